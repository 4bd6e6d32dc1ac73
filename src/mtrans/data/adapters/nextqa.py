"""NExT-QA: why, how and when questions about everyday videos, with candidates or without."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from mtrans.core.records import Sample
from mtrans.data.adapters.shared.base import Adapter, Prepared, Request, Scheme
from mtrans.data.adapters.shared.files import VideoFolder, Wanted, read_csv, read_json
from mtrans.data.adapters.shared.questions import distinct

PARTS = {"train": "train.csv", "val": "val.csv", "test": "test.csv"}
MAPPING = "map_vid_vidorID.json"
COLUMNS = ("video", "frame_count", "question", "answer", "qid", "type")
CANDIDATES = ("a0", "a1", "a2", "a3", "a4")
TYPES = {
    "CW": "causal why",
    "CH": "causal how",
    "TN": "temporal next",
    "TC": "temporal current",
    "TP": "temporal previous",
    "DC": "descriptive count",
    "DL": "descriptive location",
    "DB": "descriptive yes/no",
    "DO": "descriptive other",
}


class NextQa(Adapter):
    """NExT-QA, multiple choice or open."""

    name = "nextqa"
    title = "NExT-QA"
    about = (
        "Questions about actions in 5,440 everyday videos of VidOR, 44 seconds on average: causal,"
        " temporal and descriptive. Multiple choice has five candidates; in a few questions one is"
        " there twice and counts once (chance is 20 % otherwise). The open form is published with"
        " WUPS, which is not computed."
    )
    source = "https://github.com/doc-doc/NExT-QA"
    citation = "Xiao et al., NExT-QA, CVPR 2021"
    licence = "annotations MIT; videos are VidOR's (YFCC100M, Creative Commons)"
    get = (
        "multiple choice: dataset/nextqa/*.csv of https://github.com/doc-doc/NExT-QA; open:"
        " dataset/nextqa/*.csv of https://github.com/doc-doc/NExT-OE; videos and"
        " map_vid_vidorID.json are linked there (NExTVideo)"
    )
    size = "5,440 videos; 47,692 multiple-choice and 52,044 open questions"
    kinds = ("choice", "open")
    metrics = ("accuracy", "exact_match", "rouge_l")
    schemes = {
        "mc": Scheme(
            "multiple choice, split by video as published",
            {"train": 34132, "val": 4996, "test": 8564},
        ),
        "oe": Scheme(
            "open questions, split by video as published; answers of a few words",
            {"train": 37523, "val": 5343, "test": 9178},
        ),
    }
    files = (
        *(Wanted(name, about=f"{part} questions") for part, name in PARTS.items()),
        Wanted(MAPPING, about="where videos are within NExTVideo", needed=False),
    )
    videos = "NExTVideo/FOLDER/ID.mp4, as map_vid_vidorID.json says, or ID.mp4"

    def read(self, annotations: Path, videos: Path | None, request: Request) -> Prepared:
        """Reads the splits that are there."""
        parts = self.find_parts(annotations, PARTS, request)
        mapping = self.find_if_there(annotations, MAPPING)
        places = read_json(mapping, dict) if mapping else {}
        folder = VideoFolder(videos)
        columns = (*COLUMNS, *CANDIDATES) if request.scheme == "mc" else COLUMNS
        samples = []
        used: Counter[str] = Counter()
        for split, path in parts.items():
            for row in read_csv(path, columns):
                where = f"{path}: question {row['qid']} on video {row['video']}"
                if request.scheme == "oe" and "a0" in row:
                    self.fail(f"{path}: has candidates, so it is NExT-QA's; wanted NExT-OE's")
                place = places.get(row["video"], row["video"])
                if mapping and not (row["video"] in places and isinstance(place, str)):
                    self.fail(f"{mapping}: does not say where video {row['video']} is")
                key = f"nextqa-{row['video']}-{row['qid']}"
                used[key] += 1  # three numbers of the open training split are given twice
                if used[key] > 1:
                    key = f"{key}-{used[key]}"
                samples.append(self._sample(key, row, split, place, folder, where))
        files = [*parts.values(), *([mapping] if mapping else [])]
        return Prepared(samples, files, self.check_sizes(samples, request))

    def _sample(
        self,
        key: str,
        row: dict[str, str],
        split: str,
        place: str,
        folder: VideoFolder,
        where: str,
    ) -> Sample:
        answer, code, question = row["answer"].strip(), row["type"], row["question"].strip()
        choices: tuple[str, ...] | None = None
        label: int | None = None
        if not question or not answer:
            self.fail(f"{where}: question or answer is empty")
        if code not in TYPES:
            self.fail(f"{where}: type '{code}'; wanted one of {', '.join(TYPES)}")
        if "a0" in row:
            if answer not in {str(i) for i in range(len(CANDIDATES))}:
                self.fail(f"{where}: answer '{answer}'; wanted 0 to {len(CANDIDATES) - 1}")
            written = [row[c].strip() for c in CANDIDATES]
            if not all(written):
                self.fail(f"{where}: an empty candidate")
            choices, label = distinct(written, int(answer))
            answer = written[int(answer)]
        return Sample(
            id=key,
            video=folder.place(f"NExTVideo/{place}.mp4", f"{row['video']}.mp4"),
            question=question,
            answer=answer,
            choices=choices,
            label=label,
            split=split,
            type=TYPES[code],
            facts={"kind": TYPES[code].split()[0]},
        )


ADAPTER = NextQa()
