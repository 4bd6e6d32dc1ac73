"""Own samples as a table with a header; options say what its columns are."""

from __future__ import annotations

from pathlib import Path

from mtrans.core.errors import SettingsError
from mtrans.data.adapters.shared.base import Option, Prepared, Request
from mtrans.data.adapters.shared.columns import COLUMN_OPTIONS, Columns
from mtrans.data.adapters.shared.files import VideoFolder, Wanted, read_csv
from mtrans.data.adapters.shared.own import OWN_OPTIONS, OwnAdapter, split_own


class Csv(OwnAdapter):
    """A CSV or TSV file."""

    name = "csv"
    title = "own CSV"
    about = (
        "One question a row. Options name the columns; a question for all rows can be given with"
        " `ask`, and without `choices` the candidates are all answers of the table. Columns named"
        " in `facts` are kept beside each prediction, so that results can be broken down by them."
    )
    source = "docs/datasets.md"
    get = "write a table with a header; quoted fields may hold commas and line breaks"
    options = {
        **COLUMN_OPTIONS,
        **OWN_OPTIONS,
        "delimiter": Option("what separates columns", "comma", ("comma", "tab", "semicolon")),
    }
    files = (Wanted("*.csv", ("*.tsv", "*.txt"), "rows"),)
    videos = "the path in each row, from --videos or, without it, from the table's folder"

    def read(self, annotations: Path, videos: Path | None, request: Request) -> Prepared:
        """Reads the table."""
        path = annotations if annotations.is_file() else self.find(annotations, "*.csv")
        delimiter = {"comma": ",", "tab": "\t", "semicolon": ";"}[
            request.options["delimiter"] or ""
        ]
        rows = read_csv(path, (), delimiter)
        if not rows:
            self.fail(f"{path}: no rows below the header")
        header = list(rows[0])
        if len(header) == 1:
            raise SettingsError(
                f"{path}: one column only, '{header[0]}'; is --option delimiter= another one?"
            )
        columns = Columns(request, header, str(path), VideoFolder(videos), str(path.parent))
        return Prepared(split_own(columns.samples(rows), request), [path])


ADAPTER = Csv()
