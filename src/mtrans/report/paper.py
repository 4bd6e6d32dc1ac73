"""The table in the paper's form: published rows, cited, beside rows measured from our answers.

    published.yaml --rows--+
                           +--> Table --> Markdown, LaTeX, CSV
    runs' predictions -----+

A published row is never computed here, one of ours never copied, and none is of other questions.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from mtrans.core.errors import CheckpointError, SettingsError, did_you_mean
from mtrans.core.records import Prediction, Score
from mtrans.measure.apply import measure, of_task
from mtrans.measure.intervals import Cluster
from mtrans.measure.metrics import METRICS
from mtrans.measure.predictions import read_predictions
from mtrans.measure.text_metrics import has_wordnet
from mtrans.measure.units import shown
from mtrans.report.paper_sets import lacking
from mtrans.study.crossval import RECORD
from mtrans.study.text_control import RECORD as TEXT_CONTROL

PUBLISHED, OURS = "published", "ours"


@dataclass(frozen=True)
class Line:
    """A row of the table.

    Attributes:
        method: What was measured.
        inputs: What it saw: V video, A sound, T text; empty where a row does not say.
        scores: Column -> the number, as a fraction; only ours have intervals.
        status: ``published`` or ``ours``.
        source: Citation, or the folder.
    """

    method: str
    inputs: str
    scores: Mapping[str, Score]
    status: str
    source: str


@dataclass(frozen=True)
class Table:
    """A data set's table.

    Attributes:
        name: As `mtrans results` calls it.
        title: Of the data set.
        columns: Names of the numbers.
        lines: Published ones first.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]


def published() -> dict[str, Any]:
    """Returns the content of ``published.yaml``: sources and sets."""
    text = files("mtrans.report").joinpath("published.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    return content


def tables(ours: Sequence[tuple[str, Path]] = (), names: Sequence[str] = ()) -> list[Table]:
    """Makes the tables.

    Args:
        ours: Data set and folder of a run, or of a cross-validation, to stand beside.
        names: Data sets to show; none takes those of `ours`, or all.

    Raises:
        SettingsError: A data set that nothing is published of here; answers to another one.
        CheckpointError: A folder holds no answers.
        PredictionsError: Answers are damaged.
    """
    known = published()
    wanted = list(dict.fromkeys([*names, *(name for name, _ in ours)])) or list(known["sets"])
    for name in wanted:
        if name not in known["sets"]:
            raise SettingsError(f"no published rows of '{name}'{did_you_mean(name, known['sets'])}")
    return [_table(name, known, [folder for n, folder in ours if n == name]) for name in wanted]


def _table(name: str, known: Mapping[str, Any], folders: Sequence[Path]) -> Table:
    entry = known["sets"][name]
    lines = [
        Line(
            row["method"],
            row["inputs"],
            {c: Score(c, value / 100) for c, value in row["values"].items()},
            PUBLISHED,
            known["sources"][row["source"]],
        )
        for row in entry["rows"]
    ]
    for folder in folders:
        lines += _measured(name, folder, entry["columns"])
    return Table(name, entry["title"], tuple(entry["columns"]), tuple(lines))


def _measured(name: str, folder: Path, columns: Mapping[str, Mapping[str, str]]) -> list[Line]:
    """Measures a run's answers, a text-only control's, or every row of a cross-validation."""
    cluster: Cluster = "video"
    if (folder / RECORD).exists():
        cluster = json.loads((folder / RECORD).read_text(encoding="utf-8"))["protocol"]["by"]
        answers = {f.parent.name: f for f in sorted(folder.glob("pooled/*/predictions.jsonl"))}
    else:
        answers = {folder.resolve().name: folder / "predictions.jsonl"}
    inputs = ""
    if (folder / TEXT_CONTROL).exists():
        control = json.loads((folder / TEXT_CONTROL).read_text(encoding="utf-8"))
        answers = {control["method"]: folder / "predictions.jsonl"}
        cluster, inputs = control["protocol"]["by"], control["inputs"]
    lines = []
    for method, file in answers.items():
        if not file.exists():
            raise CheckpointError(f"'{folder}' holds no predictions.jsonl; run `mtrans eval` first")
        found = read_predictions(file)
        if part := lacking(name, found, file):
            method = f"{method} ({part} questions)"
        scores = {c: _score(found, column, cluster) for c, column in columns.items()}
        kept = {c: score for c, score in scores.items() if score is not None}
        lines.append(Line(method, inputs, kept, OURS, str(folder)))
    return lines


def _score(
    predictions: Sequence[Prediction], column: Mapping[str, str], cluster: Cluster
) -> Score | None:
    name = column["metric"]
    if name == "meteor" and not has_wordnet():
        name = "meteor_no_wordnet"  # lower than the full one; the score says which it is
    wanted = column.get("type")
    some = [p for p in predictions if wanted in (None, p.type)]
    if not of_task(some, METRICS.get(name).task):
        return None
    return measure(some, [name], cluster=cluster)[0]


def to_markdown(made: Sequence[Table]) -> str:
    """Returns the tables as Markdown, citations below."""
    out = []
    for table in made:
        numbers = _footnotes(table)
        out += [f"### {table.title}", "", f"| {' | '.join(_heads(table))} |"]
        out += ["|---" * len(_heads(table)) + "|"]
        for line in table.lines:
            mark = f"published [{numbers[line.source]}]" if line.status == PUBLISHED else "ours"
            cells = [line.method, line.inputs, *_cells(table, line), mark]
            out.append(f"| {' | '.join(cells)} |")
        out += ["", *(f"[{n}] {source}" for source, n in numbers.items()), "", _note(table), ""]
    return "\n".join(out)


def to_latex(made: Sequence[Table]) -> str:
    """Returns the tables as LaTeX (booktabs), citations below."""
    out = []
    for table in made:
        numbers = _footnotes(table)
        width = len(_heads(table))
        out += [r"\begin{table}", r"\centering", rf"\caption{{{_escape(table.title)}}}"]
        out += [rf"\begin{{tabular}}{{ll{'r' * len(table.columns)}l}}", r"\toprule"]
        out += [" & ".join(map(_escape, _heads(table))) + r" \\", r"\midrule"]
        for line in table.lines:
            mark = f"published [{numbers[line.source]}]" if line.status == PUBLISHED else "ours"
            cells = [line.method, line.inputs, *_cells(table, line), mark]
            out.append(" & ".join(map(_escape, cells)) + r" \\")
        out += [r"\bottomrule"]
        for source, n in numbers.items():
            words = _escape(f"[{n}] {source}")
            out.append(rf"\multicolumn{{{width}}}{{p{{\linewidth}}}}{{\footnotesize {words}}} \\")
        out += [r"\end{tabular}", r"\end{table}", ""]
    return "\n".join(out)


def to_csv(made: Sequence[Table]) -> str:
    """Returns one line a number, as fractions."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        [
            "set",
            "method",
            "inputs",
            "column",
            "metric",
            "value",
            "low",
            "high",
            "n",
            "status",
            "source",
        ]
    )
    for table in made:
        for line in table.lines:
            for column, s in line.scores.items():
                number = [s.metric if line.status == OURS else "", round(s.value, 6), s.low, s.high]
                head = [table.name, line.method, line.inputs, column]
                writer.writerow([*head, *number, s.n or "", line.status, line.source])
    return file.getvalue()


def _heads(table: Table) -> list[str]:
    return ["method", "inputs", *table.columns, "status"]


def _footnotes(table: Table) -> dict[str, int]:
    cited = dict.fromkeys(line.source for line in table.lines if line.status == PUBLISHED)
    return {source: n for n, source in enumerate(cited, 1)}


def _cells(table: Table, line: Line) -> list[str]:
    cells = []
    for column in table.columns:
        score = line.scores.get(column)
        if score is None:
            cells.append("")
            continue
        name = score.metric
        cell = shown(name, score.value)
        if score.low is not None and score.high is not None:
            cell += f" [{shown(name, score.low)}, {shown(name, score.high)}]"
        cells.append(cell)
    return cells


def _note(table: Table) -> str:
    words = "In %. Published rows are as their authors state them, without intervals."
    if not any(line.status == OURS for line in table.lines):
        return words
    words += " Ours: 95 % bootstrap interval."
    metrics = {s.metric for x in table.lines if x.status == OURS for s in x.scores.values()}
    lacking = " Our METEOR lacks synonyms (no WordNet here)."
    return words + (lacking if "meteor_no_wordnet" in metrics else "")


def _escape(text: str) -> str:
    return "".join(f"\\{c}" if c in "&%$#_{}" else c for c in text)
