"""Own samples as a JSONL manifest, or in the messages + videos form of fine-tuning tools."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mtrans.core.records import Sample
from mtrans.data.adapters.shared.base import Adapter, Option, Prepared, Request, Scheme
from mtrans.data.adapters.shared.files import VideoFolder, Wanted
from mtrans.data.manifest import read_manifest


class Jsonl(Adapter):
    """A JSONL file."""

    name = "jsonl"
    title = "own JSONL"
    about = (
        "One sample a line, as docs/data-format.md describes, or messages + videos as common"
        " fine-tuning tools read them. `split` says where a sample belongs; without it the option"
        " `split` does, or the file's name."
    )
    source = "docs/data-format.md"
    citation = "none: your own data"
    licence = "yours"
    get = "write it as docs/data-format.md shows; give the file, or a folder of *.jsonl"
    size = "any"
    kinds = ("choice", "open", "caption")
    metrics = ("accuracy", "macro_f1", "exact_match", "rouge_l", "meteor")
    schemes = {"given": Scheme("the split that each line names, else its file's name")}
    options = {"split": Option("the split of lines that name none, in place of the file's name")}
    files = (Wanted("*.jsonl", others=("*.json",), about="samples"),)
    videos = "the path in each line, from the file's folder or, with --videos, by its file name"

    def read(self, annotations: Path, videos: Path | None, request: Request) -> Prepared:
        """Reads one file, or every JSONL file of a folder."""
        if annotations.is_dir():
            paths = sorted(annotations.glob("*.jsonl")) or sorted(annotations.glob("*.json"))
        else:
            paths = [annotations] if annotations.exists() else []
        if not paths:
            self.fail(f"no *.jsonl in '{annotations}'")
        folder = VideoFolder(videos)
        samples: list[Sample] = []
        for path in paths:
            for sample in read_manifest(path):
                video = sample.video
                if video is not None and videos is not None and not Path(video).exists():
                    video = folder.place(Path(video).name)
                split = sample.split or request.options["split"] or path.stem
                samples.append(replace(sample, video=video, split=split))
        seen: dict[str, Sample] = {}
        for sample in samples:
            if seen.setdefault(sample.id, sample) is not sample:
                self.fail(f"the id '{sample.id}' is used in two files")
        return Prepared(samples, paths)


ADAPTER = Jsonl()
