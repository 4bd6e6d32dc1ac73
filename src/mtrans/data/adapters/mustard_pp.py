"""MUStARD++: sarcasm, its type, and the emotions shown and meant, in sitcom utterances."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mtrans.core.records import Sample, Turn
from mtrans.data.adapters.shared.base import Adapter, Option, Prepared, Request, Scheme
from mtrans.data.adapters.shared.files import VideoFolder, Wanted, read_csv
from mtrans.data.adapters.shared.questions import Question
from mtrans.data.folds import assign_folds

TABLE = "mustard++_text.csv"
COLUMNS = (
    "SCENE", "KEY", "SENTENCE", "SPEAKER", "SHOW", "Sarcasm", "Sarcasm_Type", "Implicit_Emotion",
    "Explicit_Emotion", "Valence", "Arousal",
)  # fmt: skip
TYPES = {
    "PRO": "propositional",
    "ILL": "illocutionary",
    "EMB": "embedded",
    "LIK": "like-prefixed",
    "NONE": "not sarcastic",
}
EMOTIONS = (
    "anger", "disgust", "excitement", "fear", "frustration", "happiness", "neutral", "sadness",
    "surprise",
)  # fmt: skip
MEANT = tuple(sorted((*EMOTIONS, "ridicule")))


class MustardPlusPlus(Adapter):
    """MUStARD++; one of its four tasks at a time."""

    name = "mustard_pp"
    title = "MUStARD++"
    about = (
        "1,202 utterances of Friends, The Big Bang Theory, Silicon Valley, The Golden Girls and"
        " Sarcasmaholics Anonymous with the dialogue before them, half of them sarcastic, labelled"
        " with the type of sarcasm and with the emotion that is shown and the one that is meant."
    )
    source = "https://github.com/cfiltnlp/MUStARD_Plus_Plus"
    citation = "Ray et al., A Multimodal Corpus for Emotion Recognition in Sarcasm, LREC 2022"
    licence = "for research (no licence is stated); the clips are excerpts of television shows"
    get = (
        "mustard++_text.csv is in https://github.com/cfiltnlp/MUStARD_Plus_Plus, whose README links"
        " the clips"
    )
    size = "1,202 clips, 1,202 questions a task"
    kinds = ("choice",)
    metrics = ("accuracy", "weighted_precision", "weighted_recall", "weighted_f1", "macro_f1")
    chance = {
        "sarcasm": 1 / 2,
        "sarcasm_type": 1 / len(TYPES),
        "implicit_emotion": 1 / len(MEANT),
        "explicit_emotion": 1 / len(EMOTIONS),
    }
    schemes = {
        "folds": Scheme(
            "five stratified folds (--seed): the paper's own are not with the data; folds share"
            " speakers",
            folds=True,
        ),
        "speaker": Scheme(
            "as the speaker-independent split of MUStARD: Friends is the test set, the other shows"
            " the training set; ours for this set",
            {"train": 848, "test": 354},
        ),
    }
    options = {"task": Option("what is asked", "sarcasm", tuple(chance))}
    questions = (
        Question("sarcasm", "Is the last utterance, by {speaker}, sarcastic?", ("yes", "no")),
        Question(
            "sarcasm_type",
            "What kind of sarcasm is in the last utterance, by {speaker}?",
            tuple(TYPES.values()),
        ),
        Question(
            "implicit_emotion",
            "Which emotion does {speaker} really feel in the last utterance?",
            MEANT,
        ),
        Question(
            "explicit_emotion",
            "Which emotion does {speaker} show in the last utterance?",
            EMOTIONS,
        ),
    )
    files = (Wanted(TABLE, about="utterances, dialogue and labels"),)
    videos = "final_utterance_videos/SCENE_u.mp4, e.g. 1_1003_u.mp4, or SCENE.mp4"

    def read(self, annotations: Path, videos: Path | None, request: Request) -> Prepared:
        """Reads the table; rows without labels are the dialogue before the next row with some."""
        path = self.find(annotations, TABLE)
        folder = VideoFolder(videos)
        task = request.options["task"] or ""
        question = next(q for q in self.questions if q.name == task)
        samples: dict[str, Sample] = {}
        turns: list[Turn] = []
        for row in read_csv(path, COLUMNS):
            where, scene = f"{path}: {row['KEY']}", row["SCENE"]
            if scene in samples:
                self.fail(f"{where}: scene {scene} goes on after its labelled utterance")
            # a sentence may go over several lines of the file
            words = " ".join(row["SENTENCE"].split())
            if words:
                turns.append(Turn(words, row["SPEAKER"].strip(" -") or None))
            if row["Sarcasm"]:
                samples[scene] = self._sample(row, question, turns, folder, where)
                turns = []
        if turns:
            self.fail(f"{path}: ends without the labelled utterance of its last scene")
        notes = [self.check_count(f"utterances in {TABLE}", len(samples), 1202, request)]
        split = self._split(list(samples.values()), request)
        notes += self.check_sizes(split, request)
        return Prepared(split, [path], [n for n in notes if n])

    def _split(self, samples: list[Sample], request: Request) -> list[Sample]:
        if request.scheme == "folds":
            count = min(5, len(samples)) if request.allow_partial else 5
            return assign_folds(samples, count, seed=request.seed) if count > 1 else samples
        return [replace(s, split="test" if s.group == "FRIENDS" else "train") for s in samples]

    def _sample(
        self,
        row: dict[str, str],
        question: Question,
        turns: list[Turn],
        folder: VideoFolder,
        where: str,
    ) -> Sample:
        scene, show, name = row["SCENE"], row["SHOW"], row["SPEAKER"].strip(" -")
        labels = {
            "sarcasm": {"1": "yes", "0": "no"}.get(row["Sarcasm"]),
            "sarcasm_type": TYPES.get(row["Sarcasm_Type"].upper()),
            "implicit_emotion": row["Implicit_Emotion"].strip().lower(),
            "explicit_emotion": row["Explicit_Emotion"].strip().lower(),
        }
        answer, choices = labels[question.name], question.choices or ()
        if answer not in choices:
            self.fail(f"{where}: {question.name} '{answer}'; wanted one of {', '.join(choices)}")
        places = [f"final_utterance_videos/{scene}_u.mp4", f"{scene}_u.mp4", f"{scene}.mp4"]
        return Sample(
            id=f"mustard_pp-{scene}-{question.name}",
            video=folder.place(*places),
            question=question.ask(speaker=name or "the speaker"),
            choices=choices,
            answer=answer,
            label=choices.index(answer),
            context=tuple(turns),
            speaker=f"{show}: {name}" if name else None,
            group=show,
            type=question.name,
            facts={
                "show": show,
                "context_turns": len(turns) - 1,
                "sarcastic": row["Sarcasm"] == "1",
                "valence": _number(row["Valence"]),
                "arousal": _number(row["Arousal"]),
            },
        )


def _number(text: str) -> float | None:
    """Returns a rating from 1 to 9, where there is one."""
    try:
        return float(text)
    except ValueError:
        return None


ADAPTER = MustardPlusPlus()
