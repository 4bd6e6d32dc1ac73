"""MSVD-QA: open questions with one-word answers about short YouTube clips."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mtrans.core.records import Sample
from mtrans.data.adapters.shared.base import Adapter, Prepared, Request, Scheme
from mtrans.data.adapters.shared.files import VideoFolder, Wanted, read_csv, read_text
from mtrans.data.adapters.shared.open_qa import PARTS, OpenQuestion, question_word, read_open_qa

NAMES = "youtube_mapping.txt"
COLUMNS = ("video_id", "answer", "question", "video_name", "question_id")


class MsvdQa(Adapter):
    """MSVD-QA from its JSON files, or its validation split from IG-VLM's CSV."""

    name = "msvd_qa"
    title = "MSVD-QA"
    about = (
        "Questions made by a program from the captions of 1,970 short YouTube clips, answered with"
        " one word. The published accuracy is the share of answers that equal the given one; a"
        " question's type is its first word. IG-VLM's CSV holds the validation split."
    )
    source = "https://github.com/xudejing/video-question-answering"
    citation = "Xu et al., Video Question Answering via Gradually Refined Attention, ACM MM 2017"
    licence = "for research (no licence is stated); clips are YouTube users'"
    get = (
        "https://github.com/xudejing/video-question-answering links train_qa.json, val_qa.json,"
        " test_qa.json and youtube_mapping.txt; the clips are the Microsoft Research Video"
        " Description Corpus (YouTubeClips.tar); MSVD_QA.csv is in"
        " https://github.com/imagegridworth/IG-VLM"
    )
    size = "1,970 clips, 50,505 questions"
    kinds = ("open",)
    metrics = ("exact_match", "rouge_l")
    schemes = {
        "official": Scheme(
            "as published, by clip: 1,200, 250 and 520 of them",
            {"train": 30933, "val": 6415, "test": 13157},
        ),
    }
    files = (
        Wanted(PARTS["train"], about="training questions"),
        Wanted(PARTS["val"], ("MSVD_QA.csv",), "validation questions"),
        Wanted(PARTS["test"], about="test questions"),
        Wanted(NAMES, about="clips' names on YouTube", needed=False),
    )
    videos = "vidNUMBER.avi, e.g. vid1201.avi, or with youtube_mapping.txt YouTubeClips/NAME.avi"

    def read(self, annotations: Path, videos: Path | None, request: Request) -> Prepared:
        """Reads the splits that are there."""
        parts = self.find_parts(annotations, PARTS, request)
        mapping = self.find_if_there(annotations, NAMES)
        names = self._names(mapping) if mapping else {}
        folder = VideoFolder(videos)
        samples = []
        for split, path in parts.items():
            table = path.suffix.lower() == ".csv"
            for asked in self._from_csv(path) if table else read_open_qa(path):
                name = names.get(asked.video) or asked.record.get("video_name")
                if mapping and asked.video not in names:
                    self.fail(f"{mapping}: no name for clip vid{asked.video}")
                samples.append(self._sample(asked, name, split, folder))
        files = [*parts.values(), *([mapping] if mapping else [])]
        return Prepared(samples, files, self.check_sizes(samples, request))

    def _sample(
        self, asked: OpenQuestion, name: str | None, split: str, folder: VideoFolder
    ) -> Sample:
        places = [f"vid{asked.video}.avi"]
        if name:
            places = [f"YouTubeClips/{name}.avi", *places]
        return Sample(
            id=f"msvd_qa-{asked.key}",
            video=folder.place(*places),
            question=asked.question,
            answer=asked.answer,
            # NAME is the video's id on YouTube, then start and end; several clips may be of one
            group=name.rsplit("_", 2)[0] if name else None,
            split=split,
            type=question_word(asked.question),
        )

    def _from_csv(self, path: Path) -> Iterator[OpenQuestion]:
        for row in read_csv(path, COLUMNS):
            key = row["question_id"].rpartition("_")[2]  # VIDEO_QUESTION
            question, answer = row["question"].strip(), row["answer"].strip()
            if not (key.isdigit() and row["video_id"].isdigit() and question and answer):
                self.fail(f"{path}: question '{row['question_id']}' lacks a number or text")
            yield OpenQuestion(key, int(row["video_id"]), question, answer, dict(row))

    def _names(self, path: Path) -> dict[int, str]:
        """Reads lines ``NAME vidNUMBER``."""
        names = {}
        for line in read_text(path).splitlines():
            name, _, number = line.strip().rpartition(" ")
            if not (name and number.startswith("vid") and number[3:].isdigit()):
                self.fail(f"{path}: '{line[:60]}'; wanted lines such as 'NAME vid1'")
            names[int(number[3:])] = name.strip()
        return names


ADAPTER = MsvdQa()
