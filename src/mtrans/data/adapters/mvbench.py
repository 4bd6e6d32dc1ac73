"""MVBench: 20 tasks that a single frame can't solve, 200 multiple-choice questions each."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from mtrans.core.errors import SettingsError, did_you_mean
from mtrans.core.records import Sample
from mtrans.data.adapters.shared.base import Adapter, Option, Prepared, Request, Scheme
from mtrans.data.adapters.shared.files import VideoFolder, Wanted, field_of, read_json
from mtrans.data.adapters.shared.open_qa import text_of
from mtrans.data.adapters.shared.questions import distinct


class Task(NamedTuple):
    """One of the 20."""

    column: str
    """Its heading in the paper's tables."""
    folder: str
    """Where its videos are."""
    window: bool = False
    """Whether a question is about a part of its video, from `start` to `end`."""


CLEVRER, CHARADES = "clevrer/video_validation", "star/Charades_v1_480"
PERCEPTION = "perception/videos"
TASKS = {
    "action_sequence": Task("AS", CHARADES, True),
    "action_prediction": Task("AP", CHARADES, True),
    "action_antonym": Task("AA", "ssv2_video"),
    "fine_grained_action": Task("FA", "Moments_in_Time_Raw/videos"),
    "unexpected_action": Task("UA", "FunQA_test/test"),
    "object_existence": Task("OE", CLEVRER),
    "object_interaction": Task("OI", CHARADES, True),
    "object_shuffle": Task("OS", PERCEPTION),
    "moving_direction": Task("MD", CLEVRER),
    "action_localization": Task("AL", "sta/sta_video", True),
    "scene_transition": Task("ST", "scene_qa/video"),
    "action_count": Task("AC", PERCEPTION),
    "moving_count": Task("MC", CLEVRER),
    "moving_attribute": Task("MA", CLEVRER),
    "state_change": Task("SC", PERCEPTION),
    "fine_grained_pose": Task("FP", "nturgbd"),
    "character_order": Task("CO", PERCEPTION),
    "egocentric_navigation": Task("EN", "vlnqa"),
    "episodic_reasoning": Task("ER", "tvqa/frames_fps3_hq", True),
    "counterfactual_inference": Task("CI", CLEVRER),
}
EACH = 200
FILES = {task: f"{task}.json" for task in TASKS}
GROUPS = {
    "all": tuple(TASKS),
    "clevrer": tuple(name for name, task in TASKS.items() if task.folder == CLEVRER),
}


class MvBench(Adapter):
    """MVBench, or some of its tasks."""

    name = "mvbench"
    title = "MVBench"
    about = (
        "20 tasks on clips of eleven other sets, for testing only. The option tasks=clevrer reads"
        " those on CLEVRER's videos: object_existence (OE), moving_direction (MD), moving_count"
        " (MC), moving_attribute (MA), counterfactual_inference (CI). MVBench's own prompt is the"
        " template 'mvbench'. Episodic reasoning comes as folders of frames, 3 a second."
    )
    source = "https://huggingface.co/datasets/OpenGVLab/MVBench"
    citation = "Li et al., MVBench, CVPR 2024"
    licence = "annotations MIT; videos under the terms of the sets that they come from"
    get = (
        "json/*.json and video/*.zip are at https://huggingface.co/datasets/OpenGVLab/MVBench; NTU"
        " RGB+D's videos (fine_grained_pose) have to be asked for at their own site"
    )
    size = "4,000 questions, 200 a task"
    kinds = ("choice",)
    metrics = ("accuracy",)
    schemes = {"official": Scheme("all questions are the test set", {"test": EACH * len(TASKS)})}
    options = {
        "tasks": Option(
            "which tasks: all, clevrer, or names or columns, e.g. OE,moving_count",
            "all",
        )
    }
    files = tuple(Wanted(name, about=f"{TASKS[task].column}") for task, name in FILES.items())
    videos = "as in the notebook mvbench.ipynb: clevrer/video_validation/video_10009.mp4 ..."
    settings = {"prompt.template": "mvbench", "prompt.list_choices": "true"}

    def read(self, annotations: Path, videos: Path | None, request: Request) -> Prepared:
        """Reads the wanted tasks."""
        wanted = _chosen(request.options["tasks"] or "all")
        parts = self.find_parts(annotations, {t: FILES[t] for t in wanted}, request)
        folder = VideoFolder(videos)
        samples: list[Sample] = []
        notes: list[str | None] = []
        for task, path in parts.items():
            records = read_json(path, list)
            what = f"questions in {path.name}"
            notes.append(self.check_count(what, len(records), EACH, request))
            samples += [
                self._sample(task, place, record, folder, f"{path}: question {place}")
                for place, record in enumerate(records)
            ]
        if len(wanted) == len(TASKS):
            notes += self.check_sizes(samples, request)
        return Prepared(samples, list(parts.values()), [n for n in notes if n])

    def _sample(
        self, name: str, place: int, record: Any, folder: VideoFolder, where: str
    ) -> Sample:
        task = TASKS[name]
        video = field_of(record, "video", str, where)
        written = field_of(record, "candidates", list, where)
        answer = field_of(record, "answer", str, where)
        if len(set(written)) < 2 or not all(isinstance(c, str) and c.strip() for c in written):
            self.fail(f"{where}: candidates {written!r}; wanted two texts or more")
        if answer not in written:
            self.fail(f"{where}: the answer '{answer}' is not among the candidates")
        choices, label = distinct(written, written.index(answer))
        start, end = (
            float(field_of(record, bound, (int, float), where)) if task.window else None
            for bound in ("start", "end")
        )
        path = f"{task.folder}/{video}"
        return Sample(
            id=f"mvbench-{name}-{place}",
            # the collection's later release has some folders below data0613
            video=folder.place(path, f"data0613/{path}", f"video/{path}"),
            question=text_of(record, "question", where),
            choices=choices,
            answer=answer,
            label=label,
            start=start,
            end=end,
            split="test",
            type=name,
            facts={"column": task.column, "videos": task.folder.split("/")[0]},
        )


def _chosen(tasks: str) -> list[str]:
    """Returns the tasks that an option names.

    Raises:
        SettingsError: One of them is unknown.
    """
    columns = {task.column.lower(): name for name, task in TASKS.items()}
    chosen: list[str] = []
    for word in filter(None, (w.strip().lower() for w in tasks.split(","))):
        name = columns.get(word, word)
        if name not in TASKS and name not in GROUPS:
            known = did_you_mean(word, [*GROUPS, *TASKS])
            raise SettingsError(f"mvbench: option tasks={tasks}: no task '{word}'{known}")
        chosen += GROUPS.get(name, (name,))
    if not chosen:
        raise SettingsError(f"mvbench: option tasks={tasks}: names no task; wanted e.g. clevrer")
    return [name for name in TASKS if name in chosen]


ADAPTER = MvBench()
