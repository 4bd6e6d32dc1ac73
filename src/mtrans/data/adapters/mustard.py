"""MUStARD: is what a sitcom character says last meant sarcastically?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mtrans.core.records import Sample, Turn
from mtrans.data.adapters.shared.base import Adapter, Prepared, Request, Scheme
from mtrans.data.adapters.shared.files import (
    VideoFolder,
    Wanted,
    field_of,
    read_json,
)
from mtrans.data.adapters.shared.mmla import read_mmla
from mtrans.data.adapters.shared.questions import Question
from mtrans.data.adapters.shared.unpickle import unpickle

CLIPS, FOLDS = "sarcasm_data.json", "split_indices.p"
MMLA = {"train": "train.jsonl", "val": "dev.jsonl", "test": "test.jsonl"}
PREFIX, LABELS = "MUStARD_", ("sarcastic", "sincere")


class Mustard(Adapter):
    """MUStARD, with the three ways in which it is split."""

    name = "mustard"
    title = "MUStARD"
    about = (
        "690 utterances from Friends, The Big Bang Theory, The Golden Girls and Sarcasmaholics"
        " Anonymous, half of them sarcastic, each with the dialogue before it. The clip shows the"
        " utterance; the dialogue is given as text."
    )
    source = "https://github.com/soujanyaporia/MUStARD"
    citation = "Castro et al., Towards Multimodal Sarcasm Detection, ACL 2019"
    licence = "annotations MIT; the clips are excerpts of television shows, for research"
    get = (
        "sarcasm_data.json and split_indices.p are in the folder data/ of"
        " https://github.com/soujanyaporia/MUStARD, whose README links the clips"
        " (mmsd_raw_data.zip); the JSONL files are in https://github.com/thuiar/MMLA"
    )
    size = "690 clips, 690 questions"
    kinds = ("choice",)
    metrics = ("accuracy", "weighted_precision", "weighted_recall", "weighted_f1", "macro_f1")
    chance = {"*": 0.5}
    schemes = {
        "5fold": Scheme(
            "the five folds that come with the data (split_indices.p), each trained on 552 clips"
            " and tested on 138; folds share speakers",
            {f"fold{i}": 138 for i in range(1, 6)},
            folds=True,
        ),
        "mmla": Scheme(
            "MUStARD*: 414/138/138 as in MMLA's train.jsonl, dev.jsonl, test.jsonl, balanced in"
            " sarcasm; the parts share speakers. sarcasm_data.json adds dialogue and speakers",
            {"train": 414, "val": 138, "test": 138},
        ),
        "speaker": Scheme(
            "the speaker-independent split of the MUStARD paper: all 356 utterances from Friends"
            " (152 sarcastic) are the test set, the other three shows' 334 (193 sarcastic) the"
            " training set; there is no validation set",
            {"train": 334, "test": 356},
        ),
    }
    questions = (
        Question("sarcasm", "Is the last utterance, by {speaker}, sarcastic?", ("yes", "no")),
        Question("sarcasm-no-name", "Is the last utterance sarcastic?", ("yes", "no")),
    )
    files = (
        Wanted(CLIPS, about="utterances and dialogue"),
        Wanted(FOLDS, about="folds, for --split-scheme 5fold", needed=False),
        *(Wanted(n, about="for --split-scheme mmla", needed=False) for n in MMLA.values()),
    )
    videos = "utterances_final/ID.mp4, e.g. utterances_final/1_60.mp4, or MMLA's MUStARD_ID.mp4"

    def read(self, annotations: Path, videos: Path | None, request: Request) -> Prepared:
        """Reads the clips and the files of the wanted split."""
        path = self.find_if_there(annotations, CLIPS)
        folder = VideoFolder(videos)
        if path is None:
            if request.scheme != "mmla":
                self.fail(f"no {CLIPS} in '{annotations}'")
            return self._without_dialogue(annotations, folder, request)
        clips = read_json(path, dict)
        notes = [self.check_count(f"clips in {CLIPS}", len(clips), 690, request)]
        split, files = self._split(annotations, clips, request.scheme)
        samples = [
            self._sample(key, clip, f"{path}: {key}", split[key], _video(folder, key))
            for key, clip in clips.items()
            if key in split
        ]
        notes += self.check_sizes(samples, request)
        return Prepared(samples, [path, *files], [n for n in notes if n])

    def _without_dialogue(
        self, annotations: Path, folder: VideoFolder, request: Request
    ) -> Prepared:
        """Reads MMLA's files alone: they hold the utterance, but neither dialogue nor speaker."""
        samples, files = [], [self.find(annotations, name) for name in MMLA.values()]
        for part, path in zip(MMLA, files, strict=True):
            for line in read_mmla(path, PREFIX, LABELS):
                samples.append(
                    Sample(
                        id=f"mustard-{line.clip}",
                        video=_video(folder, line.clip),
                        question=self.questions[1].ask(),
                        choices=self.questions[1].choices,
                        answer="yes" if line.label == "sarcastic" else "no",
                        label=0 if line.label == "sarcastic" else 1,
                        context=(Turn(line.said),),
                        split=part,
                        type="sarcasm",
                    )
                )
        notes = [f"no {CLIPS}: samples lack speaker, show and the dialogue before the utterance."]
        return Prepared(samples, files, notes + self.check_sizes(samples, request))

    def _sample(self, key: str, clip: Any, where: str, split: str, video: str) -> Sample:
        words = field_of(clip, "utterance", str, where)
        speaker = field_of(clip, "speaker", str, where)
        said = field_of(clip, "context", list, where)
        speakers = field_of(clip, "context_speakers", list, where)
        if len(said) != len(speakers):
            self.fail(f"{where}: {len(said)} turns by {len(speakers)} speakers")
        show = field_of(clip, "show", str, where)
        sarcastic = field_of(clip, "sarcasm", bool, where)
        turns = [
            Turn(str(t), str(s)) for t, s in zip(said, speakers, strict=True) if str(t).strip()
        ]
        return Sample(
            id=f"mustard-{key}",
            video=video,
            question=self.questions[0].ask(speaker=speaker),
            choices=self.questions[0].choices,
            answer="yes" if sarcastic else "no",
            label=0 if sarcastic else 1,
            context=(*turns, Turn(words, speaker)),
            # PERSON is one label for all unnamed speakers; a name says who only within its show
            speaker=f"{show}: {speaker}",
            group=show,
            split=split,
            type="sarcasm",
            facts={"show": show, "context_turns": len(turns)},
        )

    def _split(
        self, annotations: Path, clips: dict[str, Any], scheme: str
    ) -> tuple[dict[str, str], list[Path]]:
        """Returns the split of each clip, and the files that say so."""
        if scheme == "speaker":
            shows = {k: field_of(c, "show", str, f"{CLIPS}: {k}") for k, c in clips.items()}
            return {k: "test" if s == "FRIENDS" else "train" for k, s in shows.items()}, []
        if scheme == "5fold":
            path = self.find(annotations, FOLDS)
            return self._folds(path, list(clips)), [path]
        split = {}
        paths = {part: self.find(annotations, name) for part, name in MMLA.items()}
        for part, path in paths.items():
            for line in read_mmla(path, PREFIX, LABELS):
                if line.clip not in clips:
                    self.fail(f"{path}: clip '{line.clip}' is not in {CLIPS}")
                if line.clip in split:
                    self.fail(f"{path}: clip '{line.clip}' is named twice")
                split[line.clip] = part
        return split, list(paths.values())

    def _folds(self, path: Path, keys: list[str]) -> dict[str, str]:
        """Returns the fold in which each clip is tested; the file counts clips in JSON order."""
        split = {}
        for number, (_, test) in enumerate(self._pairs(path), 1):
            for place in test:
                if not 0 <= place < len(keys):
                    self.fail(f"{path}: fold {number} names clip {place} of {len(keys)}")
                if keys[place] in split:
                    self.fail(f"{path}: clip {place} is in two folds")
                split[keys[place]] = f"fold{number}"
        return split

    def _pairs(self, path: Path) -> list[Any]:
        folds = unpickle(path)
        if not isinstance(folds, list) or not all(
            isinstance(f, tuple | list) and len(f) == 2 for f in folds
        ):
            self.fail(f"{path}: wanted a list of (train, test) index lists")
        return folds


def _video(folder: VideoFolder, key: str) -> str:
    return folder.place(f"utterances_final/{key}.mp4", f"{key}.mp4", f"{PREFIX}{key}.mp4")


ADAPTER = Mustard()
