"""What a text-only control found, written down: answers, scores, what was chosen, a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mtrans.core.files import file_hash, make_folder, write_text
from mtrans.core.markdown import table
from mtrans.core.records import Prediction, Sample, Score
from mtrans.measure.apply import default_metrics, measure
from mtrans.measure.intervals import Cluster
from mtrans.measure.predictions import write_predictions
from mtrans.measure.score import score_predictions
from mtrans.measure.units import shown
from mtrans.study.floors import MAJORITY, majority
from mtrans.study.text_control import RECORD
from mtrans.study.text_control.lm import FrozenLM
from mtrans.study.text_control.probe import Choice
from mtrans.train.circumstances import versions

STYLE = "instructblip"
"""How a sample is put: turns with their speakers, one a line, then the question."""

Rounds = Mapping[str, Mapping[str, Sequence[Sample]]]
"""Round -> train, val and test samples."""


@dataclass(frozen=True)
class Texts:
    """What to learn from and to answer.

    Attributes:
        data: Training manifest; without `test` a manifest whose samples name folds.
        val: To choose on; None sets `share` of the training samples aside.
        test: To answer, once.
        share: Of the training samples (of each fold), to choose on where there is no `val`.
        by: What that never tears apart.
        seed: Of what is set aside.
    """

    data: Path
    val: Path | None = None
    test: Path | None = None
    share: float = 0.15
    by: Cluster = "video"
    seed: int = 0


@dataclass(frozen=True)
class Control:
    """What was found.

    Attributes:
        method: The probe's name, for tables.
        scores: Over all test questions.
        floor: The same of the commonest training answer.
        chosen: Round -> the probe.
        out: The folder.
    """

    method: str
    scores: list[Score]
    floor: list[Score]
    chosen: dict[str, Choice]
    out: Path


def write_control(
    texts: Texts,
    out: Path,
    lm: FrozenLM,
    rounds: Rounds,
    tried: dict[str, list[Choice]],
    found: list[Prediction],
    opened: str,
) -> Control:
    """Writes everything a control leaves behind.

    Args:
        texts: What was learnt from and answered.
        out: The folder.
        lm: The language model.
        rounds: The samples.
        tried: Round -> all probes, the chosen one first.
        found: The test answers.
        opened: When they were asked, in ISO 8601.

    Raises:
        PredictionsError: No right answer is known.
    """
    make_folder(out)
    file = out / "predictions.jsonl"
    write_predictions(file, found)
    metrics = [*default_metrics(found), *(["weighted_f1"] if found[0].choices else [])]
    scores = [s for s in score_predictions(file, metrics=metrics, cluster=texts.by) if not s.slice]
    commonest = [p for r in rounds.values() for p in majority(r["train"], r["test"])]
    floor = measure(commonest, metrics, cluster=texts.by)
    chosen = {name: probes[0] for name, probes in tried.items()}
    method = f"{lm.title}, probe on frozen hidden states"
    control = Control(method, scores, floor, chosen, out)
    given = {"data": texts.data, "val": texts.val, "test": texts.test}
    record: dict[str, Any] = {
        "method": method,
        "inputs": "T",
        "lm": {"title": lm.title, "sha256": lm.hash, "layers": lm.layers},
        "text": {"style": STYLE, "settings": "context and question"},
        "protocol": {**asdict(texts), **{k: f and str(f) for k, f in given.items()}},
        "data_sha256": {k: file_hash(f) for k, f in given.items() if f is not None},
        "sizes": {n: {split: len(p) for split, p in r.items()} for n, r in rounds.items()},
        "chosen": {name: asdict(probe) for name, probe in chosen.items()},
        "tried": {name: [asdict(probe) for probe in probes] for name, probes in tried.items()},
        "opened": [*_opened(out), opened],
        "versions": versions(),
    }
    write_text(out / RECORD, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    write_text(out / "table.md", to_markdown(control, rounds))
    return control


def _opened(out: Path) -> list[str]:
    """Returns when the test part was opened before."""
    try:
        return list(json.loads((out / RECORD).read_text(encoding="utf-8"))["opened"])
    except (OSError, ValueError, KeyError):
        return []


def to_markdown(control: Control, rounds: Rounds) -> str:
    """Returns chance, majority and the probe, and what was chosen."""
    names = [s.metric for s in control.scores if s.metric != "parse_failures"]
    chances = {s.metric: s.chance for s in control.scores}
    guessed = [None if (c := chances[n]) is None else Score(n, c) for n in names]
    rows = [_row("chance", guessed)]
    for label, scores in ((MAJORITY, control.floor), (control.method, control.scores)):
        by_name = {s.metric: s for s in scores}
        rows.append(_row(label, [by_name.get(n) for n in names]))
    lines = table(["", *names], rows)
    n, clusters = control.scores[0].n, control.scores[0].clusters
    lines += ["", f"In %, {n} test questions; 95 % bootstrap interval over {clusters} clusters."]
    chosen = []
    for name, probe in control.chosen.items():
        sizes = [str(len(rounds[name][split])) for split in ("train", "val", "test")]
        cells = [name, *sizes, str(probe.layer), probe.pooling, f"{probe.c:g}"]
        chosen.append([*cells, f"{100 * probe.accuracy:.1f}"])
    heads = ["", "train", "val", "test", "layer", "pooling", "C", "val %"]
    return "\n".join([*lines, "", *table(heads, chosen), ""])


def _row(label: str, scores: Sequence[Score | None]) -> list[str]:
    cells = [label]
    for s in scores:
        cell = "" if s is None else shown(s.metric, s.value)
        if s is not None and s.low is not None and s.high is not None:
            cell += f" [{shown(s.metric, s.low)}, {shown(s.metric, s.high)}]"
        cells.append(cell)
    return cells
