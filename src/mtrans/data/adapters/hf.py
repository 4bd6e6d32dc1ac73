"""Own samples as a Hugging Face `datasets` data set on disk; options say what its columns are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mtrans.core.errors import DatasetError
from mtrans.core.records import Sample
from mtrans.data.adapters.shared.base import Prepared, Request
from mtrans.data.adapters.shared.columns import COLUMN_OPTIONS, SPLIT_NAMES, Columns
from mtrans.data.adapters.shared.files import VideoFolder, Wanted
from mtrans.data.adapters.shared.own import OWN_OPTIONS, OwnAdapter, split_own

SAVED = ("dataset_dict.json", "dataset_info.json")


class HuggingFace(OwnAdapter):
    """A data set of the library `datasets`."""

    name = "hf"
    title = "own Hugging Face data set"
    about = (
        "A data set written with `save_to_disk`, all its splits. Options name the columns, as for"
        " `csv`; class labels come with their names, and a column may hold a list of candidates. A"
        " video column has to hold paths of files, not the files' bytes. Needs the library"
        " `datasets`: pip install 'mtrans[hf]'."
    )
    source = "https://huggingface.co/docs/datasets"
    licence = "that of the data set"
    get = (
        "load the data set with the library `datasets` and write it with"
        " save_to_disk(FOLDER); nothing is downloaded here"
    )
    options = {**COLUMN_OPTIONS, **OWN_OPTIONS}
    files = (Wanted(SAVED[0], SAVED[1:], "what save_to_disk writes"),)
    videos = "the path in each row, from --videos or, without it, from the data set's folder"

    def read(self, annotations: Path, videos: Path | None, request: Request) -> Prepared:
        """Reads every split."""
        path = self.find(annotations, SAVED[0])
        parts = self._parts(path)
        folder = VideoFolder(videos)
        samples: list[Sample] = []
        for name, part in parts.items():
            split = SPLIT_NAMES.get(name.lower(), name) if name else None
            place = f"{path.parent}{f', split {name}' if name else ''}"
            columns = Columns(request, part.column_names, place, folder, str(path.parent))
            samples += columns.samples(_rows(part, place), split)
        return Prepared(split_own(samples, request), sorted(path.parent.rglob("*.arrow")))

    def _parts(self, path: Path) -> dict[str, Any]:
        """Returns split -> data set; a set without splits has the name ""."""
        try:
            import datasets
        except ImportError as error:
            raise DatasetError(
                "hf: the library `datasets` is not installed; pip install 'mtrans[hf]'"
            ) from error
        try:
            # in memory, so that no file stays open
            loaded = datasets.load_from_disk(str(path.parent), keep_in_memory=True)
        except Exception as error:  # pyarrow and datasets raise many kinds for damaged files
            reason = " ".join(str(error).split()) or type(error).__name__
            self.fail(f"{_broken(path.parent) or path}: not a whole data set ({reason[:200]})")
        if isinstance(loaded, datasets.DatasetDict):
            return dict(loaded)
        return {"": loaded}


def _broken(folder: Path) -> Path | None:
    """Returns the first data file that can't be read; the library's own error names none."""
    import pyarrow

    for file in sorted(folder.rglob("*.arrow")):
        try:
            pyarrow.ipc.open_stream(file.read_bytes()).read_all()
        except pyarrow.ArrowException:
            return file
    return None


def _rows(part: Any, place: str) -> Iterator[Mapping[str, Any]]:
    """Yields rows as plain values: class names for numbers, paths for videos."""
    import datasets

    labels, media = {}, []
    for name, feature in part.features.items():
        if isinstance(feature, datasets.ClassLabel):
            labels[name] = feature
        elif hasattr(feature, "decode") and hasattr(feature, "decode_example"):
            part = part.cast_column(name, type(feature)(decode=False))
            media.append(name)
    for number, row in enumerate(part):
        plain = dict(row)
        for name, feature in labels.items():
            value = plain[name]
            plain[name] = None if value is None or value < 0 else feature.int2str(value)
        for name in media:
            held = plain[name] or {}
            # with a path beside the bytes, the file may lie below --videos
            if held.get("bytes") and not held.get("path"):
                raise DatasetError(
                    f"{place}: row {number + 1}: {name} holds a file's bytes; wanted its path:"
                    " write the files out and give their folder as --videos"
                )
            plain[name] = held.get("path")
        yield plain


ADAPTER = HuggingFace()
