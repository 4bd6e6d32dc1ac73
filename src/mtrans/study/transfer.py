"""What a run learned on one data set says to the questions of the others, by regime.

    learned on A, asked of A's clips:    types A trained on  -> same scene, same task
                                         other types         -> same scene, new task
    asked of the clips of B:             types A trained on  -> new scene, same task
                                         other types         -> new scene, new task

A scene is a world with a size and a length of clips, or an own data set; a task is a type of
question. Nothing is trained further.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from mtrans.core.records import Prediction, Score
from mtrans.measure.apply import measure
from mtrans.measure.predictions import read_predictions
from mtrans.measure.units import shown
from mtrans.study.collect import choose
from mtrans.study.jobs import Job, elsewhere, measurable
from mtrans.study.parts import Data
from mtrans.study.plan import StudyPlan, Variant
from mtrans.study.results import Results, Row, TransferRow, main_metric, pool
from mtrans.train.run_folder import RunFolder


def transfer_rows(plan: StudyPlan, folder: Path) -> list[TransferRow]:
    """Measures what is there of a plan with `transfer`.

    Raises:
        PredictionsError: A predictions file is damaged.
        ManifestError: A manifest is damaged.
    """
    sets = {data.name: data for data in plan.data}
    places = [data.name for data in plan.data if not data.clips_of]
    variants = {(v.data.name, v.label): v for v in plan.variants()}
    known: dict[tuple[str, str, str], dict[int, list[Prediction]]] = {}

    def answers(learned: str, label: str, asked: str) -> dict[int, list[Prediction]]:
        key = (learned, label, asked)
        if key not in known:
            found = variants.get((learned, label))
            known[key] = _answers(plan, found, asked, folder) if found else {}
        return known[key]

    rows = []
    for (learned, label), variant in variants.items():
        at = variant.data.clips_of or learned
        trained = _trained_types(plan, variant, folder, answers(learned, label, at))
        for asked in places:
            mine, home = answers(learned, label, asked), answers(asked, label, asked)
            for regime, types in _regimes(sets[learned], sets[asked], trained, mine).items():
                score = _score(mine, types)
                if score is not None:
                    at_home = _score(home, types) if asked != learned else None
                    rows.append(
                        TransferRow(
                            *(label, learned, asked, regime, types, tuple(mine)), score, at_home
                        )
                    )
    return rows


def outside_rows(results: Results) -> list[TransferRow]:
    """Returns the rows of other systems, `mtrans eval BACKBONE` among them, beside the trained."""
    own = {data.name for data in results.plan.data if not data.clips_of}
    return [
        TransferRow(
            *(row.contender, "nothing here", row.data, OUTSIDE_REGIME),
            *(_of_overall(row), (), row.overall, None),
        )
        for row in results.rows
        if not row.seeds and row.contender not in results.plan.floors and row.data in own
    ]


def _answers(
    plan: StudyPlan, variant: Variant, asked: str, folder: Path
) -> dict[int, list[Prediction]]:
    """Returns the answers of a row's runs to a data set's test questions, by seed."""
    home = (variant.data.clips_of or variant.data.name) == asked
    split = None if home else elsewhere(asked)
    found = {}
    for seed in plan.seeds:
        job = _job(plan, variant, seed, folder)
        if job is None:
            continue
        run = RunFolder(folder / job.name)
        if measurable(run, split):
            found[seed] = read_predictions(run.predictions(split))
    return found


def _job(plan: StudyPlan, variant: Variant, seed: int, folder: Path) -> Job | None:
    chosen = choose(plan, variant, folder)[0]
    return None if chosen is None else plan.job(variant, chosen, seed, folder)


def _trained_types(
    plan: StudyPlan, variant: Variant, folder: Path, home: Mapping[int, Sequence[Prediction]]
) -> frozenset[str] | None:
    """Returns the types of question that were trained on; None where nothing here tells.

    Of runs restored without their clips: a world asks the same types everywhere.
    """
    job = _job(plan, variant, plan.seeds[0], folder)
    if job is not None and job.train.exists():
        return frozenset(s.type or "" for s in job.split("train"))
    if variant.data.types:
        return frozenset(variant.data.types)
    if variant.data.world is None:
        return None
    return frozenset(p.type or "" for part in home.values() for p in part)


def _regimes(
    learned: Data,
    asked: Data,
    trained: frozenset[str] | None,
    answers: Mapping[int, Sequence[Prediction]],
) -> dict[str, tuple[str, ...]]:
    """Divides the questions that were asked into regimes."""
    scene = "same scene" if learned.scene == asked.scene else "new scene"
    types = sorted({p.type or "" for part in answers.values() for p in part})
    if trained is None:
        return {f"{scene}, task unknown": tuple(types)} if types else {}
    parts = {
        f"{scene}, same task": tuple(t for t in types if t in trained),
        f"{scene}, new task": tuple(t for t in types if t not in trained),
    }
    return {regime: some for regime, some in parts.items() if some}


def _score(by_seed: Mapping[int, Sequence[Prediction]], types: Sequence[str]) -> Score | None:
    some = {s: [p for p in part if (p.type or "") in types] for s, part in by_seed.items()}
    pooled = pool(some)
    if not pooled:
        return None
    return next(iter(measure(pooled, [main_metric(pooled)])), None)


def _of_overall(row: Row) -> tuple[str, ...]:
    """Returns the types that a row's overall score is of: open ones beside closed are not."""
    same = (t for t, score in row.types.items() if score.metric == row.overall.metric)
    return tuple(same)


OUTSIDE_REGIME = "not trained here"
"""Regime of another system's answers."""

ABOUT = (
    "Nothing is trained further. Same task: types of question that were trained on; new scene:"
    " another world, or clips of another size or length. `trained there` is the same contender"
    " trained on the clips it is asked about, on the same questions."
)
"""What a table of transfer means."""

HEADS = ("contender", "learned on", "asked of", "regime", "types", "score", "trained there")


def transfer_markdown(rows: Sequence[TransferRow]) -> str:
    """Returns the table, regimes of one contender and training set together."""
    lines = [
        "### transfer: learned on one, asked of all",
        "",
        ABOUT,
        "",
        *_matrices(rows),
        f"| {' | '.join((*HEADS[:-1], 'chance', HEADS[-1], 'seeds'))} |",
        "|---" * (len(HEADS) + 2) + "|",
    ]
    for row in rows:
        name = row.score.metric
        chance = "" if row.score.chance is None else shown(name, row.score.chance)
        types = ", ".join(t or "none" for t in row.types)
        cells = (row.contender, row.learned, row.asked, row.regime, types)
        ends = (_cell(row.score), chance, _cell(row.at_home), str(len(row.seeds)))
        lines.append(f"| {' | '.join((*cells, *ends))} |")
    if not rows:
        lines.append("| no run is finished |" + " |" * (len(HEADS) + 1))
    return "\n".join([*lines, ""])


MARKS = {
    "same scene, same task": "",
    "same scene, new task": " (new task)",
    "new scene, same task": " (new scene)",
    "new scene, new task": " (both new)",
    "same scene, task unknown": " (task unknown)",
    "new scene, task unknown": " (new scene, task unknown)",
    OUTSIDE_REGIME: "",
}
"""Regime -> what stands behind a score in the matrix."""


def _matrices(rows: Sequence[TransferRow]) -> list[str]:
    """Returns a table for each contender: learned on down, asked of across, without intervals."""
    lines: list[str] = []
    for contender in dict.fromkeys(row.contender for row in rows):
        mine = [row for row in rows if row.contender == contender]
        asked = list(dict.fromkeys(row.asked for row in mine))
        lines += [f"| {contender}, learned on | {' | '.join(f'asked of {a}' for a in asked)} |"]
        lines += ["|---" * (len(asked) + 1) + "|"]
        for learned in dict.fromkeys(row.learned for row in mine):
            cells = [
                ", ".join(
                    f"{shown(row.score.metric, row.score.value)}{MARKS[row.regime]}"
                    for row in mine
                    if (row.learned, row.asked) == (learned, there)
                )
                for there in asked
            ]
            lines += [f"| {learned} | {' | '.join(cells)} |"]
        lines += [""]
    return lines


def transfer_csv(rows: Sequence[TransferRow]) -> str:
    """Returns one line a row, numbers as fractions."""
    file = io.StringIO()
    write = csv.writer(file, lineterminator="\n").writerow
    ends = ("value", "low", "high", "chance")
    write([*HEADS[:5], "metric", "seeds", "questions", *ends, *(f"there {e}" for e in ends)])
    for row in rows:
        scores = [
            getattr(score, end) if score else None
            for score in (row.score, row.at_home)
            for end in ends
        ]
        names = (row.contender, row.learned, row.asked, row.regime, " ".join(row.types))
        write([*names, row.score.metric, len(row.seeds), row.score.n, *scores])
    return file.getvalue()


def _cell(score: Score | None) -> str:
    if score is None:
        return ""
    name = score.metric
    cell = shown(name, score.value)
    if score.low is None or score.high is None:
        return cell
    return f"{cell} [{shown(name, score.low)}, {shown(name, score.high)}]"
