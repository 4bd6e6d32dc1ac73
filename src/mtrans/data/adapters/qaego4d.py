"""QaEgo4D: questions of a wearer about what their camera saw."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from mtrans.core.records import Fact, Sample
from mtrans.data.adapters.shared.base import Adapter, Option, Prepared, Request, Scheme
from mtrans.data.adapters.shared.files import VideoFolder, Wanted, field_of, read_json

FPS = 30.0
"""Ego4D's clips are at 30 frames a second, and moments are given in frames."""

SHORTEST = 1.0
"""Seconds; a moment of one frame is widened around its middle."""

OPEN = {part: f"annotations.{part}.json" for part in ("train", "val", "test")}
CLOSED = "annotations.QaEgo4D_test_close.json"


class QaEgo4d(Adapter):
    """QaEgo4D with open answers, or with candidates."""

    name = "qaego4d"
    title = "QaEgo4D"
    about = (
        "Questions on Ego4D's clips, such as where something was left, made from its natural"
        " language queries, each with the moment that answers it. With `window=moment` the clip is"
        " that moment; with `window=clip` the whole clip of some minutes, as episodic memory is"
        " meant. Task `closed` takes the candidates that GroundVQA added."
    )
    source = "https://github.com/lbaermann/qaego4d"
    citation = (
        "Bärmann and Waibel, Where did I leave my keys?, CVPR workshops 2022; candidates: Di and"
        " Xie, Grounded Question-Answering in Long Egocentric Videos, CVPR 2024"
    )
    licence = "Ego4D's licence agreement, signed for each user"
    get = (
        "https://github.com/lbaermann/qaego4d makes the files from Ego4D's; those with candidates"
        " are linked in https://github.com/Becomebright/GroundVQA; the clips come with Ego4D's"
        " command line after its licence is signed"
    )
    size = "14,513 questions"
    kinds = ("open", "choice")
    metrics = ("exact_match", "rouge_l", "meteor", "accuracy")
    schemes = {
        "official": Scheme("the set's own, by video", {"train": 10746, "val": 1913, "test": 1854}),
    }
    options = {
        "task": Option("open answers, or candidates", "open", ("open", "closed")),
        "window": Option(
            "the clip: the moment that answers, or all of it", "moment", ("moment", "clip")
        ),
    }
    files = (
        *(
            Wanted(name, (name.replace(".", ".QaEgo4D_", 1),), f"{part} questions")
            for part, name in OPEN.items()
        ),
        Wanted(CLOSED, about="test questions with wrong_answers, for task=closed", needed=False),
    )
    videos = "ID.mp4, e.g. clips/ID.mp4, where ID is video_id, Ego4D's clip"

    def read(self, annotations: Path, videos: Path | None, request: Request) -> Prepared:
        """Reads the three files; for closed questions the test file with candidates."""
        folder = VideoFolder(videos)
        closed = request.options["task"] == "closed"
        whole = request.options["window"] == "clip"
        samples = []
        names = {**OPEN, "test": CLOSED} if closed else OPEN
        files = self.find_parts(annotations, names, request)
        for part, path in files.items():
            for number, record in enumerate(read_json(path, list)):
                sample = self._sample(record, f"{path}: item {number}", part, closed, whole, folder)
                samples.append(sample)
        # how many closed questions there are is not published with the set
        notes = [] if closed else self.check_sizes(samples, request)
        return Prepared(samples, list(files.values()), notes)

    def _sample(
        self, record: Any, where: str, part: str, closed: bool, whole: bool, folder: VideoFolder
    ) -> Sample:
        clip = str(field_of(record, "video_id", (str, int), where))
        key = str(field_of(record, "sample_id", (str, int), where))
        question = field_of(record, "question", str, where).strip()
        answer = field_of(record, "answer", str, where).strip()
        moment = self._moment(record, where)
        start, end = (None, None) if whole or moment is None else moment
        choices, label = self._choices(record, answer, key, where) if closed else (None, None)
        facts: dict[str, Fact] = {"moment_known": moment is not None}
        if moment is not None:
            facts["moment_start"], facts["moment_seconds"] = moment[0], moment[1] - moment[0]
        return Sample(
            id=f"qaego4d-{part}-{key}",
            video=folder.place(f"clips/{clip}.mp4", f"{clip}.mp4"),
            question=question,
            answer=answer,
            choices=choices,
            label=label,
            start=start,
            end=end,
            group=str(record.get("video_uid") or clip),
            split=part,
            type="closed" if closed else "open",
            facts=facts,
        )

    def _moment(self, record: Any, where: str) -> tuple[float, float] | None:
        """Returns the moment in seconds; a few records have none."""
        frames = [record.get("moment_start_frame"), record.get("moment_end_frame")]
        if None in frames:
            return None
        if not all(isinstance(f, int | float) for f in frames) or not 0 <= frames[0] <= frames[1]:
            self.fail(f"{where}: moment from frame {frames[0]} to {frames[1]}; wanted start <= end")
        start, end = frames[0] / FPS, frames[1] / FPS
        if end - start < SHORTEST:
            start = max(0.0, (start + end - SHORTEST) / 2)
            end = start + SHORTEST
        return round(start, 3), round(end, 3)

    def _choices(
        self, record: Any, answer: str, key: str, where: str
    ) -> tuple[tuple[str, ...], int]:
        """Returns the candidates in an order that depends on the sample's id alone."""
        wrong = [str(w).strip() for w in field_of(record, "wrong_answers", list, where)]
        if not wrong or "" in wrong or len({answer, *wrong}) <= len(wrong):
            self.fail(f"{where}: answer '{answer}', wrong_answers {wrong}; wanted different texts")
        order = sorted(
            [answer, *wrong], key=lambda c: hashlib.sha256(f"{key}\t{c}".encode()).digest()
        )
        return tuple(order), order.index(answer)


ADAPTER = QaEgo4d()
