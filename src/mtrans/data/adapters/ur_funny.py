"""UR-FUNNY v2: does the audience laugh at the last sentence of this piece of a TED talk?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mtrans.core.records import Sample, Turn
from mtrans.data.adapters.shared.base import Adapter, Prepared, Request, Scheme
from mtrans.data.adapters.shared.files import VideoFolder, Wanted, field_of
from mtrans.data.adapters.shared.mmla import read_mmla
from mtrans.data.adapters.shared.questions import Question
from mtrans.data.adapters.shared.unpickle import unpickle

FOLDS, TEXT, LABELS = "data_folds.pkl", "language_sdk.pkl", "humor_label_sdk.pkl"
PARTS = {"train": "train", "val": "dev", "test": "test"}
MMLA = {split: f"{part}.jsonl" for split, part in PARTS.items()}
PREFIX, WORDS = "UR-FUNNY_", ("humorous", "serious")


class UrFunny(Adapter):
    """UR-FUNNY v2 from its pickles, or its text from MMLA's JSONL."""

    name = "ur_funny"
    title = "UR-FUNNY v2"
    about = (
        "Pieces of TED talks: a sentence that made the audience laugh, or one of the same talk"
        " that did not, with the sentences before it; the clip shows both. Version 2 took out"
        " overlapping and noisy pieces. `--fraction` gives the reduced training split."
    )
    source = "https://github.com/ROC-HCI/UR-FUNNY"
    citation = "Hasan et al., UR-FUNNY, EMNLP 2019"
    licence = "for research (no licence is stated); talks are TED's, CC BY-NC-ND 4.0"
    get = (
        "https://github.com/ROC-HCI/UR-FUNNY links version 2 of the pickles and the clips"
        " (urfunny2_videos); the JSONL files are in https://github.com/thuiar/MMLA"
    )
    size = "9,588 clips, 9,588 questions"
    kinds = ("choice",)
    metrics = ("accuracy", "weighted_precision", "weighted_recall", "weighted_f1", "macro_f1")
    chance = {"*": 0.5}
    schemes = {
        "official": Scheme(
            "the split of version 2: data_folds.pkl, or MMLA's files",
            {"train": 7614, "val": 980, "test": 994},
        ),
    }
    questions = (Question("humor", "Does the audience laugh at the last sentence?", ("yes", "no")),)
    files = (
        Wanted(FOLDS, ("data_folds.p", "data_folds"), "ids of each split"),
        Wanted(TEXT, ("language_sdk.p", "language_sdk"), "sentences and times"),
        Wanted(LABELS, ("humor_label_sdk.p", "humor_label_sdk"), "labels"),
        *(Wanted(n, about="MMLA's form, in place of the pickles") for n in MMLA.values()),
    )
    videos = "urfunny2_videos/ID.mp4, e.g. urfunny2_videos/24.mp4, or MMLA's UR-FUNNY_ID.mp4"

    def read(self, annotations: Path, videos: Path | None, request: Request) -> Prepared:
        """Reads the pickles where they are, else the JSONL files."""
        folder = VideoFolder(videos)
        if self.find_if_there(annotations, FOLDS) is None:
            samples, files, notes = self._from_mmla(annotations, folder, request)
        else:
            samples, files, notes = self._from_pickles(annotations, folder)
        return Prepared(samples, files, notes + self.check_sizes(samples, request))

    def _from_pickles(
        self, annotations: Path, folder: VideoFolder
    ) -> tuple[list[Sample], list[Path], list[str]]:
        paths = [self.find(annotations, name) for name in (FOLDS, TEXT, LABELS)]
        folds, said, labels = (self._table(path) for path in paths)
        samples = []
        for split, part in PARTS.items():
            for key in field_of(folds, part, (list, tuple, np.ndarray), str(paths[0])):
                if key not in said or key not in labels:
                    self.fail(f"{paths[0]}: {part} names '{key}', which is not in {TEXT}, {LABELS}")
                where = f"{paths[1]}: {key}"
                before = field_of(said[key], "context_sentences", list, where)
                last = field_of(said[key], "punchline_sentence", str, where)
                turns = [Turn(str(t)) for t in (*before, last) if str(t).strip()]
                funny = labels[key]
                if isinstance(funny, str) or funny not in (0, 1):
                    self.fail(f"{paths[2]}: {key}: label {funny!r}; wanted 0 or 1")
                samples.append(self._sample(str(key), turns, bool(funny), split, folder))
        return samples, paths, []

    def _from_mmla(
        self, annotations: Path, folder: VideoFolder, request: Request
    ) -> tuple[list[Sample], list[Path], list[str]]:
        samples = []
        files = self.find_parts(annotations, MMLA, request)
        for split, path in files.items():
            for line in read_mmla(path, PREFIX, WORDS):
                turns = [Turn(line.said)]
                funny = line.label == "humorous"
                samples.append(self._sample(line.clip, turns, funny, split, folder))
        notes = [f"no {FOLDS}: samples lack the sentences before the last one."]
        return samples, list(files.values()), notes

    def _sample(
        self, key: str, turns: list[Turn], funny: bool, split: str, folder: VideoFolder
    ) -> Sample:
        return Sample(
            id=f"ur_funny-{key}",
            video=folder.place(f"urfunny2_videos/{key}.mp4", f"{key}.mp4", f"{PREFIX}{key}.mp4"),
            question=self.questions[0].ask(),
            choices=self.questions[0].choices,
            answer="yes" if funny else "no",
            label=0 if funny else 1,
            context=tuple(turns),
            split=split,
            type="humor",
            facts={"context_turns": len(turns) - 1},
        )

    def _table(self, path: Path) -> dict[Any, Any]:
        value = unpickle(path)
        if not isinstance(value, dict):
            self.fail(f"{path}: holds {type(value).__name__}; wanted a dictionary")
        return value


ADAPTER = UrFunny()
