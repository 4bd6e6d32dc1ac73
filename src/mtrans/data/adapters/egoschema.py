"""EgoSchema: five-way questions that need three minutes of first-person video."""

from __future__ import annotations

from pathlib import Path

from mtrans.core.records import Sample
from mtrans.data.adapters.shared.base import Adapter, Prepared, Request, Scheme
from mtrans.data.adapters.shared.files import VideoFolder, Wanted, field_of, read_json
from mtrans.data.adapters.shared.open_qa import text_of
from mtrans.data.adapters.shared.questions import distinct

QUESTIONS, ANSWERS = "questions.json", "subset_answers.json"
OPTIONS = tuple(f"option {i}" for i in range(5))


class EgoSchema(Adapter):
    """EgoSchema: the questions with public answers, or all."""

    name = "egoschema"
    title = "EgoSchema"
    about = (
        "One question with five long candidates about each of 5,031 three-minute clips of Ego4D,"
        " for testing only. The answers to 500 are public; those to the others are not, so their"
        " predictions go to the authors' validation server."
    )
    source = "https://github.com/egoschema/EgoSchema"
    citation = "Mangalam et al., EgoSchema, NeurIPS 2023 Datasets and Benchmarks"
    licence = "under Ego4D's licence, which has to be signed"
    get = (
        "questions.json and subset_answers.json are in https://github.com/egoschema/EgoSchema,"
        " whose readme says how to get the videos"
    )
    size = "5,031 clips, 5,031 questions, 500 with public answers"
    kinds = ("choice",)
    metrics = ("accuracy",)
    chance = {"*": 0.2}
    schemes = {
        "subset": Scheme("the 500 questions whose answers are public", {"test": 500}),
        "full": Scheme(
            "all questions; those without a public answer are predicted, not measured",
            {"test": 5031},
        ),
    }
    files = (
        Wanted(QUESTIONS, about="questions and candidates"),
        Wanted(ANSWERS, about="the public answers"),
    )
    videos = "videos/Q_UID.mp4, e.g. videos/0074f737-11cb-497d-8d07-77c3a8127391.mp4"

    def read(self, annotations: Path, videos: Path | None, request: Request) -> Prepared:
        """Reads the questions, with answers where public."""
        path, answered = (self.find(annotations, name) for name in (QUESTIONS, ANSWERS))
        answers = read_json(answered, dict)
        if not answers:
            self.fail(f"{answered}: holds no answers")
        folder = VideoFolder(videos)
        samples, keys = [], set()
        for place, record in enumerate(read_json(path, list), 1):
            where = f"{path}: question {place}"
            key = field_of(record, "q_uid", str, where)
            keys.add(key)
            label = answers.get(key)
            if label is None and request.scheme == "subset":
                continue
            if label is not None and (type(label) is not int or not 0 <= label < len(OPTIONS)):
                self.fail(f"{answered}: {key}: {label!r}; wanted 0 to {len(OPTIONS) - 1}")
            written = [text_of(record, option, where) for option in OPTIONS]
            choices, place_of_right = distinct(written, label)
            samples.append(
                Sample(
                    id=f"egoschema-{key}",
                    video=folder.place(f"videos/{key}.mp4", f"{key}.mp4"),
                    question=text_of(record, "question", where),
                    answer=None if label is None else written[label],
                    choices=choices,
                    label=place_of_right,
                    split="test",
                    type="egoschema",
                )
            )
        unknown = [key for key in answers if key not in keys]
        if unknown:
            self.fail(f"{answered}: answers '{unknown[0]}', which is not in {path.name}")
        notes = self.check_sizes(samples, request)
        if request.scheme == "full":
            note = self.check_count(f"answers in {ANSWERS}", len(answers), 500, request)
            notes += [note] if note else []
        return Prepared(samples, [path, answered], notes)


ADAPTER = EgoSchema()
