"""YouCook2: what is done in a step of a cooking video, and what comes before and after."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mtrans.core.records import Sample
from mtrans.data.adapters.shared.base import Adapter, Option, Prepared, Request, Scheme
from mtrans.data.adapters.shared.files import VideoFolder, Wanted, field_of, read_json
from mtrans.data.adapters.shared.questions import Question
from mtrans.data.folds import hold_out

STEPS = "yc2_annotations_trainval.json"
SPLITS = {"training": "train", "validation": "test"}
TYPES = ("what", "next", "previous", "order")


@dataclass(frozen=True)
class Step:
    """A step of a recipe: when, in seconds, and what is done."""

    start: float
    end: float
    sentence: str


class YouCook2(Adapter):
    """YouCook2 as captions, or as questions on steps."""

    name = "youcook2"
    title = "YouCook2"
    about = (
        "2,000 cooking videos from YouTube, of which 1,790 have their steps marked and described."
        " Task `caption`: describe the step that the clip shows. Task `questions`: one question a"
        " step, its type drawn by a hash of seed, video and step among those the step allows:"
        " `what` is done; what comes `next` or `previous`, asked on the step's clip alone, so that"
        " it has to be foreseen or inferred; the `order` of it and the next one, on a clip of"
        " both. Answers are the annotators' sentences."
    )
    source = "http://youcook2.eecs.umich.edu"
    citation = "Zhou et al., Towards Automatic Learning of Procedures from Web Videos, AAAI 2018"
    licence = "annotations for research, in MIT-licensed repositories; videos are their owners'"
    get = (
        "http://youcook2.eecs.umich.edu/download has the annotations"
        " (youcookii_annotations_trainval.json; the same data are yc2_annotations_trainval.json in"
        " https://github.com/jayleicn/recurrent-transformer) and a script that gets the videos"
    )
    size = "1,790 videos, 13,829 steps, one question each"
    kinds = ("caption", "open")
    metrics = ("meteor", "rouge_l")
    schemes = {
        "official": Scheme(
            "1,333 training videos; the 457 videos of the validation subset are the test set, as"
            " the published test annotations are withheld and papers report on these",
            {"train": 10337, "test": 3492},
        ),
        "with_val": Scheme(
            "the same, with a tenth of the training steps (whole videos, --seed) as validation set"
        ),
    }
    options = {"task": Option("what is asked", "caption", ("caption", "questions"))}
    questions = (
        Question("caption", "What is the person doing in this cooking step?"),
        Question("what", "What is the person doing in this cooking step?"),
        Question("next", "What does the person do in the next cooking step?"),
        Question("previous", "What did the person do in the cooking step before this one?"),
        Question("order", "Which of these does the person do first: {one}, or {other}?"),
    )
    files = (Wanted(STEPS, ("youcookii_annotations_trainval.json",), "steps of all videos"),)
    videos = "ID.mp4, .mkv or .webm, e.g. raw_videos/training/RECIPE/ID.mp4, anywhere below"

    def read(self, annotations: Path, videos: Path | None, request: Request) -> Prepared:
        """Reads every video's steps."""
        path = self.find(annotations, STEPS)
        database = field_of(read_json(path, dict), "database", dict, str(path))
        folder = VideoFolder(videos)
        task = request.options["task"]
        samples = []
        for video, entry in database.items():
            where = f"{path}: {video}"
            subset = field_of(entry, "subset", str, where)
            if subset not in SPLITS:  # official files may list test videos, without steps
                continue
            recipe = str(field_of(entry, "recipe_type", (str, int), where))
            steps = self._steps(field_of(entry, "annotations", list, where), where)
            for place in range(len(steps)):
                if task == "caption":
                    sample = self._ask("caption", video, steps, place)
                else:
                    sample = self._drawn(video, steps, place, request.seed)
                official = f"raw_videos/{subset}/{recipe}/{video}.mp4"
                samples.append(
                    replace(
                        sample,
                        video=folder.place(official, f"{video}.mp4"),
                        split=SPLITS[subset],
                        facts={"recipe": recipe, "step": place + 1, "steps": len(steps)},
                    )
                )
        notes = [self.check_count(f"videos in {path.name}", len(database), 1790, request)]
        if request.scheme == "with_val" and samples:
            samples = self._with_val(samples, request)
        return Prepared(
            samples, [path], [n for n in notes if n] + self.check_sizes(samples, request)
        )

    def _steps(self, annotations: Sequence[Any], where: str) -> list[Step]:
        steps = []
        for number, one in enumerate(annotations):
            here = f"{where}: step {number}"
            segment = field_of(one, "segment", list, here)
            sentence = " ".join(field_of(one, "sentence", str, here).split())
            if len(segment) != 2 or not all(isinstance(t, int | float) for t in segment):
                self.fail(f"{here}: segment {segment}; wanted start and end in seconds")
            if not 0 <= segment[0] < segment[1] or not sentence:
                self.fail(
                    f"{here}: segment {segment} with '{sentence}'; wanted start < end, a text"
                )
            steps.append(Step(float(segment[0]), float(segment[1]), sentence))
        return steps

    def _drawn(self, video: str, steps: Sequence[Step], place: int, seed: int) -> Sample:
        """Draws one of the types that the step allows."""
        last = place == len(steps) - 1
        twins = not last and steps[place].sentence == steps[place + 1].sentence
        possible = {"what": True, "next": not last, "previous": place > 0}
        possible["order"] = not last and not twins
        types = [t for t in TYPES if possible[t]]
        return self._ask(
            types[_draw(seed, video, place, "type") % len(types)], video, steps, place, seed
        )

    def _ask(
        self, kind: str, video: str, steps: Sequence[Step], place: int, seed: int = 0
    ) -> Sample:
        """Asks a question of a type on a step."""
        step = steps[place]
        wording = next(q for q in self.questions if q.name == kind)
        fields, answer, end = {}, step.sentence, step.end
        if kind == "next":
            answer = steps[place + 1].sentence
        elif kind == "previous":
            answer = steps[place - 1].sentence
        elif kind == "order":
            pair = [step.sentence, steps[place + 1].sentence]
            turn = _draw(seed, video, place, "order") % 2
            fields = {"one": pair[turn], "other": pair[1 - turn]}
            end = max(step.end, steps[place + 1].end)
        return Sample(
            id=f"youcook2-{video}-{place}-{kind}",
            video=None,
            question=wording.ask(**fields),
            answer=answer,
            start=step.start,
            end=end,
            group=video,
            type=kind,
        )

    def _with_val(self, samples: list[Sample], request: Request) -> list[Sample]:
        train = [s for s in samples if s.split == "train"]
        split = hold_out(train, {"val": 0.1}, unit="group", seed=request.seed)
        return [*split, *(s for s in samples if s.split != "train")]


def _draw(seed: int, video: str, place: int, what: str) -> int:
    return int(hashlib.sha256(f"{seed}\t{video}\t{place}\t{what}".encode()).hexdigest()[:8], 16)


ADAPTER = YouCook2()
