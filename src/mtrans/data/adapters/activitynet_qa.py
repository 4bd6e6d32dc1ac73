"""ActivityNet-QA: open questions by people about minutes-long web videos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mtrans.core.records import Sample
from mtrans.data.adapters.shared.base import Adapter, Prepared, Request, Scheme
from mtrans.data.adapters.shared.files import VideoFolder, Wanted, field_of, read_json
from mtrans.data.adapters.shared.open_qa import text_of

PARTS = ("train", "val", "test")
TYPES = (
    "motion", "spatial relation", "temporal relation", "yes/no", "color", "object", "location",
    "number", "other",
)  # fmt: skip


class ActivitynetQa(Adapter):
    """ActivityNet-QA."""

    name = "activitynet_qa"
    title = "ActivityNet-QA"
    about = (
        "Ten questions about each of 5,800 videos of ActivityNet, asked and answered by people in"
        " a word or a short phrase. The published accuracy is the share of answers that equal the"
        " given one; the paper's WUPS is not computed."
    )
    source = "https://github.com/MILVLG/activitynet-qa"
    citation = "Yu et al., ActivityNet-QA, AAAI 2019"
    licence = (
        "annotations Apache-2.0 by the repository's licence file, for non-commercial use by its"
        " readme; videos are YouTube users'"
    )
    get = (
        "the *_q.json and *_a.json files are in the folder dataset of"
        " https://github.com/MILVLG/activitynet-qa; videos come from YouTube by their name, or from"
        " http://activity-net.org"
    )
    size = "5,800 videos, 58,000 questions"
    kinds = ("open",)
    metrics = ("exact_match", "rouge_l")
    schemes = {
        "official": Scheme(
            "as published, by video: 3,200, 1,800 and 800 of them",
            {"train": 32000, "val": 18000, "test": 8000},
        ),
    }
    files = tuple(
        Wanted(f"{part}_{kind}.json", about=f"{part} {what}")
        for part in PARTS
        for kind, what in (("q", "questions"), ("a", "answers"))
    )
    videos = "v_NAME.mp4, e.g. v_1QIUV7WYKXg.mp4, or NAME.mp4"

    def read(self, annotations: Path, videos: Path | None, request: Request) -> Prepared:
        """Reads the splits that are there; each needs its questions and its answers."""
        names = {f"{p}_{kind}": f"{p}_{kind}.json" for p in PARTS for kind in "qa"}
        found = self.find_parts(annotations, names, request)
        folder = VideoFolder(videos)
        samples: list[Sample] = []
        for part in PARTS:
            asked, answered = found.get(f"{part}_q"), found.get(f"{part}_a")
            if asked and answered:
                samples += self._part(asked, answered, part, folder)
            elif asked or answered:
                self.fail(f"only '{asked or answered}' of {part}_q.json and {part}_a.json is there")
        return Prepared(samples, list(found.values()), self.check_sizes(samples, request))

    def _part(self, asked: Path, answered: Path, split: str, folder: VideoFolder) -> list[Sample]:
        answers: dict[str, tuple[str, str]] = {}
        for place, record in enumerate(read_json(answered, list), 1):
            where = f"{answered}: answer {place}"
            key = field_of(record, "question_id", str, where)
            number = field_of(record, "type", int, where)
            if not 0 <= number < len(TYPES):
                self.fail(f"{where}: type {number}; wanted 0 to {len(TYPES) - 1}")
            answers[key] = text_of(record, "answer", where), TYPES[number]
        samples = []
        for place, record in enumerate(read_json(asked, list), 1):
            where = f"{asked}: question {place}"
            key = field_of(record, "question_id", str, where)
            if key not in answers:
                self.fail(f"{where}: no answer to '{key}' in {answered.name}")
            samples.append(self._sample(key, record, answers[key], split, folder, where))
        if len(samples) != len(answers):
            self.fail(f"{asked}: {len(samples)} questions, {len(answers)} answers in '{answered}'")
        return samples

    def _sample(
        self,
        key: str,
        record: Any,
        answer: tuple[str, str],
        split: str,
        folder: VideoFolder,
        where: str,
    ) -> Sample:
        name = field_of(record, "video_name", str, where)
        return Sample(
            id=f"activitynet_qa-{key}",
            video=folder.place(f"v_{name}.mp4", f"{name}.mp4"),
            question=text_of(record, "question", where),
            answer=answer[0],
            split=split,
            type=answer[1],
        )


ADAPTER = ActivitynetQa()
