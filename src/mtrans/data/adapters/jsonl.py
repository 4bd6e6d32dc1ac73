"""Own samples as a JSONL manifest, or in the messages + videos form of fine-tuning tools."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from mtrans.core.records import Sample
from mtrans.data.adapters.shared.base import Prepared, Request
from mtrans.data.adapters.shared.files import VideoFolder, Wanted
from mtrans.data.adapters.shared.own import OWN_OPTIONS, OwnAdapter, split_own
from mtrans.data.manifest import read_manifest


class Jsonl(OwnAdapter):
    """A JSONL file."""

    name = "jsonl"
    title = "own JSONL"
    about = (
        "One sample a line, as docs/data-format.md describes, or messages + videos as common"
        " fine-tuning tools read them. A line that names no split belongs to that of its file's"
        " name, if it is called train, val, dev, valid, validation, test or foldN."
    )
    source = "docs/data-format.md"
    get = "write it as docs/data-format.md shows; give the file, or a folder of *.jsonl"
    options = OWN_OPTIONS
    files = (Wanted("*.jsonl", others=("*.json",), about="samples"),)
    videos = "the path in each line, from the file's folder or, with --videos, by its file name"

    def read(self, annotations: Path, videos: Path | None, request: Request) -> Prepared:
        """Reads one file, or every JSONL file of a folder."""
        if (annotations / "prepared.json").exists() and (annotations / "all.jsonl").exists():
            paths = [annotations / "all.jsonl"]  # what `prepare` wrote: the rest is in it again
        elif annotations.is_dir():
            paths = sorted(annotations.glob("*.jsonl")) or sorted(annotations.glob("*.json"))
        else:
            paths = [annotations] if annotations.exists() else []
        if not paths:
            self.fail(f"no *.jsonl in '{annotations}'")
        folder = VideoFolder(videos)
        samples: list[Sample] = []
        seen: dict[str, Path] = {}
        for path in paths:
            for sample in read_manifest(path):
                video = sample.video
                if video is not None and videos is not None and not Path(video).exists():
                    video = folder.place(Path(video).name)
                split = sample.split or _split_of(path)
                samples.append(replace(sample, video=video, split=split))
                if (other := seen.setdefault(sample.id, path)) != path:
                    self.fail(
                        f"the id '{sample.id}' is in '{other.name}' and in '{path.name}' of"
                        f" '{annotations}'; give one of the files"
                    )
        return Prepared(split_own(samples, request), paths)


def _split_of(path: Path) -> str | None:
    """Returns the split that a file's name says, if it does."""
    known = {"train": "train", "test": "test", **dict.fromkeys(("val", "dev", "valid"), "val")}
    name = path.stem.lower()
    return known.get(name.replace("validation", "val")) or (
        name if re.fullmatch(r"fold\d+", name) else None
    )


ADAPTER = Jsonl()
