"""CLEVRER: why simulated objects collided, what comes next, what would if one was not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mtrans.core.records import Sample
from mtrans.data.adapters.shared.base import Adapter, Prepared, Request, Scheme
from mtrans.data.adapters.shared.files import VideoFolder, Wanted, field_of, read_json
from mtrans.data.adapters.shared.open_qa import text_of
from mtrans.data.adapters.shared.questions import Question

PARTS = {"train": "train.json", "val": "validation.json", "test": "test.json"}
VIDEOS = {"train": 10000, "val": 5000, "test": 5000}
FIRST = {"train": 0, "val": 10000, "test": 15000}
FOLDERS = {"train": "train", "val": "validation", "test": "test"}
HUMANS = {"train": "train-orig-small.json", "val": "valid-orig-small.json"}
TYPES = ("explanatory", "predictive", "counterfactual")
ANSWERS = {"correct": "yes", "wrong": "no"}


class Clevrer(Adapter):
    """CLEVRER's multiple-choice questions, each of their options judged by itself."""

    name = "clevrer"
    title = "CLEVRER"
    about = (
        "Questions on 20,000 simulated videos of colliding objects, 5 seconds each. Read are the"
        " multiple-choice ones (explanatory, predictive, counterfactual), any number of whose"
        " options may be right: every option is a yes/no sample. The official measures are accuracy"
        " per option and per question (all options right). Test answers are not public. The paper"
        " trains on 1 % of the videos: --fraction 0.01."
    )
    source = "http://clevrer.csail.mit.edu"
    citation = "Yi et al., CLEVRER, ICLR 2020"
    licence = "CC0"
    get = (
        "questions (train.json, validation.json, test.json) and videos (video_train.zip,"
        " video_validation.zip, video_test.zip) are at http://clevrer.csail.mit.edu; the small"
        " files are in https://github.com/xyang23/CLEVRER-Humans1.0"
    )
    size = "20,000 videos; 85,362 multiple-choice questions of 305,280"
    kinds = ("choice",)
    metrics = ("accuracy", "question_accuracy")
    chance = {"*": 0.5}
    schemes = {
        "official": Scheme("as published: 10,000, 5,000 and 5,000 videos; the number is checked"),
        "humans": Scheme(
            "the part that comes with CLEVRER-Humans: one explanatory question with four options"
            " for each of 564 training and 564 validation videos",
            {"train": 2256, "val": 2256},
        ),
    }
    questions = (
        Question("option", "{question} Is it right to say: {option}?", choices=("yes", "no")),
    )
    files = (
        *(Wanted(name, about=f"{part} questions") for part, name in PARTS.items()),
        *(Wanted(n, about="for --split-scheme humans", needed=False) for n in HUMANS.values()),
    )
    videos = "video_train/video_00000-01000/video_00000.mp4 ..., video_validation, video_test"

    def read(self, annotations: Path, videos: Path | None, request: Request) -> Prepared:
        """Reads the splits that are there."""
        official = request.scheme == "official"
        parts = self.find_parts(annotations, PARTS if official else HUMANS, request)
        folder = VideoFolder(videos)
        samples: list[Sample] = []
        notes: list[str | None] = []
        for split, path in parts.items():
            scenes = list(self._scenes(path, split))
            if official:
                what = f"videos in {path.name}"
                notes.append(self.check_count(what, len(scenes), VIDEOS[split], request))
            for number, record in scenes:
                video = folder.place(_place(number, split), f"video_{number:05d}.mp4")
                for question in field_of(record, "questions", list, f"{path}: scene {number}"):
                    samples += self._options(question, number, video, split, path)
        notes += self.check_sizes(samples, request)
        return Prepared(samples, list(parts.values()), [n for n in notes if n])

    def _scenes(self, path: Path, split: str) -> Iterator[tuple[int, Any]]:
        """Yields (number, record) of a list of scenes; the small files are {number: scene}.

        Theirs count from 0 within the split, as their repository's training script shows.
        """
        scenes = read_json(path, (list, dict))
        if isinstance(scenes, list):
            for place, record in enumerate(scenes, 1):
                yield field_of(record, "scene_index", int, f"{path}: scene {place}"), record
            return
        for key, record in scenes.items():
            if not key.isdigit():
                self.fail(f"{path}: scene '{key[:40]}'; wanted a number")
            yield int(key) + FIRST[split], record

    def _options(
        self, question: Any, scene: int, video: str, split: str, path: Path
    ) -> Iterator[Sample]:
        number = field_of(question, "question_id", int, f"{path}: scene {scene}")
        where = f"{path}: scene {scene}, question {number}"
        kind = field_of(question, "question_type", str, where)
        if kind not in TYPES:
            if kind != "descriptive":
                self.fail(f"{where}: question_type '{kind}'; wanted {', '.join(TYPES)}")
            return
        asked = text_of(question, "question", where)
        options = field_of(question, "choices", list, where)
        for option in options:
            written = option.get("answer") if isinstance(option, dict) else None
            if written not in ANSWERS and not (written is None and split == "test"):
                self.fail(f"{where}: an option's answer is {written!r}; wanted correct or wrong")
            place = field_of(option, "choice_id", int, where)
            answer = None if written is None else ANSWERS[written]
            choices = self.questions[0].choices or ()
            text = text_of(option, "choice", where)
            yield Sample(
                id=f"clevrer-{scene}-{number}-{place}",
                video=video,
                question=self.questions[0].ask(question=asked, option=text),
                choices=choices,
                answer=answer,
                label=None if answer is None else choices.index(answer),
                split=split,
                type=kind,
                facts={"question_id": f"{scene}-{number}", "options": len(options)},
            )


def _place(number: int, split: str) -> str:
    low = number // 1000 * 1000
    return f"video_{FOLDERS[split]}/video_{low:05d}-{low + 1000:05d}/video_{number:05d}.mp4"


ADAPTER = Clevrer()
