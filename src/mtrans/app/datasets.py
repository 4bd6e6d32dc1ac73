"""What is known of the data sets: rows for a table, details, and the page in docs/.

python -m mtrans.app.datasets > docs/datasets.md
"""

from __future__ import annotations

from typing import Any

from mtrans.core.markdown import table
from mtrans.data.adapters import ADAPTERS
from mtrans.data.adapters.shared.base import Adapter

HEAD = """\
# Data sets

Written by `python -m mtrans.app.datasets > docs/datasets.md`; a test holds it equal to the program.
`mtrans data list NAME` shows the same for one.

```
mtrans data prepare mustard --annotations MUStARD/data --videos mmsd_raw_data --out data/mustard
```

reads a set's official files and writes a manifest for each split (`train.jsonl`, `val.jsonl`,
`test.jsonl`, or `fold1.jsonl` ...), `all.jsonl` with all of them, and `prepared.json`: counts,
balance of the answers, chance, SHA-256 of the annotation files, versions. Nothing is downloaded.

- Row counts and split sizes are held against the published ones; `--allow-partial` accepts less.
- Clips that are not there stop it, with the list in `missing_videos.txt`; `--allow-missing-videos`
  keeps their questions for work on text, `--drop-missing-videos` leaves them out and says how many.
  `mtrans data check --no-videos` checks a manifest whose clips are not there.
- `--fraction 0.1` keeps a tenth of the training split: stratified by question type and answer,
  seeded, and nested, so that a smaller part is contained in a larger one of the same seed. It
  counts videos, or what `--fraction-of` says.
- Chance is the accuracy of guessing among the candidates; "by question" where their number varies,
  and then `prepare` computes it.
"""


def rows() -> list[tuple[str, ...]]:
    """Returns the table of all data sets, its head first."""
    made: list[tuple[str, ...]] = [("data set", "what", "size", "chance", "licence", "from")]
    for name in sorted(ADAPTERS):
        a = ADAPTERS.get(name)
        made.append(
            (name, f"{a.title}: {', '.join(a.kinds)}", a.size, chance(a), a.licence, a.source)
        )
    return made


def chance(adapter: Adapter) -> str:
    """Returns the accuracy of guessing, in words."""
    if adapter.chance:
        return ", ".join(
            f"{100 * value:.1f} %" if kind == "*" else f"{kind} {100 * value:.1f} %"
            for kind, value in adapter.chance.items()
        )
    return "by question" if "choice" in adapter.kinds else "none (open)"


def details(adapter: Adapter) -> str:
    """Returns all that is known of a data set, as Markdown."""
    lines = [
        f"## {adapter.name}",
        "",
        f"**{adapter.title}.** {adapter.about}",
        "",
        f"- Size: {adapter.size}. Chance: {chance(adapter)}.",
        f"- Metrics: {', '.join(adapter.metrics)}.",
        f"- Source: {adapter.source}. {adapter.citation}.",
        f"- Licence: {adapter.licence}.",
        f"- How to get it: {adapter.get}.",
        f"- Clips: {adapter.videos}.",
    ]
    for file in adapter.files:
        names = " or ".join(f"`{name}`" for name in (file.name, *file.others))
        need = "" if file.needed else " (optional)"
        lines.append(f"- Reads {names}{need}{': ' + file.about if file.about else ''}.")
    if adapter.settings:
        asked = ", ".join(f"`{k}={v}`" for k, v in adapter.settings.items())
        lines.append(f"- Its protocol asks for {asked}.")
    schemes = [
        (f"`{name}`", scheme.about, ", ".join(f"{split} {n}" for split, n in scheme.sizes.items()))
        for name, scheme in adapter.schemes.items()
    ]
    lines += ["", *table(["split scheme", "how", "sizes"], schemes)]
    options = [
        (
            f"`{name}`",
            option.about,
            ", ".join(f"`{v}`" for v in option.values) or "any",
            "" if option.default is None else f"`{option.default}`",
        )
        for name, option in adapter.options.items()
    ]
    if options:
        lines += ["", *table(["`--option`", "what it does", "values", "default"], options)]
    questions = [
        (f"`{q.name}`", q.version, q.text, ", ".join(q.choices or ())) for q in adapter.questions
    ]
    if questions:
        lines += ["", *table(["question", "version", "text", "candidates"], questions)]
    return "\n".join([*lines, ""])


def as_plain(adapter: Adapter) -> dict[str, Any]:
    """Returns what is known of a data set as JSON types."""
    words = ("name", "title", "about", "source", "citation", "licence", "get", "size", "version")
    return {word: getattr(adapter, word) for word in words} | {
        "kinds": list(adapter.kinds),
        "metrics": list(adapter.metrics),
        "chance": dict(adapter.chance),
        "schemes": {
            name: {"about": s.about, "sizes": dict(s.sizes), "folds": s.folds}
            for name, s in adapter.schemes.items()
        },
        "options": {
            name: {"about": o.about, "default": o.default, "values": list(o.values)}
            for name, o in adapter.options.items()
        },
        "settings": dict(adapter.settings),
    }


def page() -> str:
    """Returns docs/datasets.md."""
    head, *body = rows()
    made = table(head, [(f"[`{name}`](#{name})", *cells) for name, *cells in body])
    parts = [details(ADAPTERS.get(name)) for name in sorted(ADAPTERS)]
    return "\n".join([HEAD, *made, "", *parts])


if __name__ == "__main__":
    print(page(), end="")
