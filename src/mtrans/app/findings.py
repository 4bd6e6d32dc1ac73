"""docs/FINDINGS.md and what it is made from; `make findings` writes the page.

python -m mtrans.app.findings collect STUDY docs/results/analysis   a study's analyses, kept
python -m mtrans.app.findings write docs/results                    prints the page
"""

from __future__ import annotations

import sys
from pathlib import Path

from mtrans.core.errors import MTransError


def collect(study: Path, out: Path) -> Path:
    """Keeps the analyses of a study as ``out/<data>.json``."""
    from mtrans.study.analysis import collect_analysis, write_analysis
    from mtrans.study.run import load_study

    document = collect_analysis(load_study(study), study)
    path = out / f"{document['data']}.json"
    write_analysis(document, path)
    return path


def main(words: list[str]) -> int:
    """Runs one of the two; returns the exit status."""
    from mtrans.report.findings import findings

    try:
        match words:
            case ["collect", study, out]:
                print(collect(Path(study), Path(out)))
            case ["write", folder]:
                print(findings(Path(folder)), end="")
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except MTransError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
