"""MSRVTT-QA: open questions with one-word answers about clips of web videos."""

from __future__ import annotations

from pathlib import Path

from mtrans.core.records import Sample
from mtrans.data.adapters.shared.base import Adapter, Prepared, Request, Scheme
from mtrans.data.adapters.shared.files import VideoFolder, Wanted
from mtrans.data.adapters.shared.open_qa import PARTS, question_word, read_open_qa

CATEGORIES = (
    "music", "people", "gaming", "sports/actions", "news/events/politics", "education", "tv shows",
    "movie/comedy", "animation", "vehicles/autos", "howto", "travel", "science/technology",
    "animals/pets", "kids/family", "documentary", "food/drink", "cooking", "beauty/fashion",
    "advertisement",
)  # fmt: skip
FOLDERS = {"train": "TrainValVideo", "val": "TrainValVideo", "test": "TestVideo"}


class MsrvttQa(Adapter):
    """MSRVTT-QA."""

    name = "msrvtt_qa"
    title = "MSRVTT-QA"
    about = (
        "Questions made by a program from the captions of the 10,000 clips of MSR-VTT, 10 to 30"
        " seconds each, answered with one word. The published accuracy is the share of answers that"
        " equal the given one; a question's type is its first word."
    )
    source = "https://github.com/xudejing/video-question-answering"
    citation = "Xu et al., Video Question Answering via Gradually Refined Attention, ACM MM 2017"
    licence = "for research (no licence is stated); clips are YouTube users'"
    get = (
        "https://github.com/xudejing/video-question-answering links train_qa.json, val_qa.json and"
        " test_qa.json; the clips are MSR-VTT's (train_val_videos.zip, test_videos.zip)"
    )
    size = "10,000 clips, 243,680 questions"
    kinds = ("open",)
    metrics = ("exact_match", "rouge_l")
    schemes = {
        "official": Scheme(
            "as published, by clip: 6,513, 497 and 2,990 of them",
            {"train": 158581, "val": 12278, "test": 72821},
        ),
    }
    files = (
        Wanted(PARTS["train"], about="training questions"),
        Wanted(PARTS["val"], about="validation questions"),
        Wanted(PARTS["test"], about="test questions"),
    )
    videos = "TrainValVideo/videoNUMBER.mp4 and TestVideo/videoNUMBER.mp4, e.g. video7010.mp4"

    def read(self, annotations: Path, videos: Path | None, request: Request) -> Prepared:
        """Reads the splits that are there."""
        parts = self.find_parts(annotations, PARTS, request)
        folder = VideoFolder(videos)
        samples = []
        for split, path in parts.items():
            for asked in read_open_qa(path):
                category = asked.record.get("category_id")
                known = isinstance(category, int) and 0 <= category < len(CATEGORIES)
                name = f"video{asked.video}.mp4"
                samples.append(
                    Sample(
                        id=f"msrvtt_qa-{asked.key}",
                        video=folder.place(f"{FOLDERS[split]}/{name}", name),
                        question=asked.question,
                        answer=asked.answer,
                        split=split,
                        type=question_word(asked.question),
                        facts={"category": CATEGORIES[int(category or 0)]} if known else {},
                    )
                )
        return Prepared(samples, list(parts.values()), self.check_sizes(samples, request))


ADAPTER = MsrvttQa()
