"""Predictions under perturbations -> ``robustness.json``: what moves the answers, and how far.

    RUN/robustness/clean.jsonl              the questions as they are
    RUN/robustness/<name>-<severity>.jsonl  the same under a perturbation; what it was stands beside
                                            it in <name>-<severity>.meta.json

Everything is paired: the same questions, the same draws of videos.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from mtrans.core.files import file_hash, write_text
from mtrans.core.records import Prediction
from mtrans.measure.intervals import RESAMPLES, bootstrap, clusters_of
from mtrans.measure.metrics import Array, Statistics, mean_of, said, truth
from mtrans.measure.predictions import PredictionsError, read_predictions
from mtrans.measure.temporal import Pair, temporal, words_of

SCHEMA = 1
"""Version of the layout of ``robustness.json``."""

CLEAN = "clean.jsonl"
"""Answers to the questions as they are."""

ROBUSTNESS = "robustness.json"
"""Name of the result."""

SEVERE = 0.1
"""Relative drop from which a perturbation is said to hurt."""


def robustness(folder: str | Path, *, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Any]:
    """Measures all perturbations of a folder and writes ``robustness.json`` into it.

    Args:
        folder: With ``clean.jsonl`` and the perturbed predictions.
        resamples: Bootstrap replicates.
        seed: Seed of the draws.

    Returns:
        ``clean`` (accuracy with interval, n, clusters), ``rows`` (one for each perturbation and
        severity), ``temporal`` (what order changes; may have ``missing``), ``says``.

    Raises:
        PredictionsError: No clean predictions, other questions than theirs, or damage.
    """
    folder = Path(folder)
    clean = read_predictions(folder / CLEAN)
    conditions = _conditions(folder)
    if not conditions:
        raise PredictionsError(f"'{folder}' has no perturbed predictions; run `mtrans robustness`")
    draws: dict[str, Any] = {"resamples": resamples, "seed": seed}
    changed = {}
    rows = []
    for path, condition in conditions:
        pairs = paired(clean, read_predictions(path), path)
        changed[condition["name"], condition["severity"]] = pairs
        rows.append({**condition, "file": path.name, **compare(pairs, **draws)})
    document = {
        "schema": SCHEMA,
        "sha256": file_hash(folder / CLEAN),
        "clean": _clean(clean, **draws),
        "rows": rows,
        "temporal": temporal(changed, clean, **draws),
    }
    document["says"] = says(document)
    write_text(folder / ROBUSTNESS, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return document


def _conditions(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Returns the perturbed predictions of a folder with what made them, by name and severity."""
    found = []
    for path in folder.glob("*-[1-5].jsonl"):
        try:
            meta = json.loads(path.with_suffix(".meta.json").read_text(encoding="utf-8"))
            condition, finished = dict(meta["condition"]), meta["finished"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PredictionsError(
                f"'{path}' lies without a record of what was perturbed; remove it and run"
                " `mtrans robustness` again"
            ) from error
        if finished:  # one that was stopped is made whole by the next run
            found.append((path, condition))
    return sorted(found, key=lambda pair: (pair[1]["kind"], pair[1]["name"], pair[1]["severity"]))


def paired(clean: Sequence[Prediction], other: Sequence[Prediction], where: Path) -> list[Pair]:
    """Pairs answers by id.

    Raises:
        PredictionsError: They are about other questions.
    """
    by_id = {p.id: p for p in other}
    if set(by_id) != {p.id for p in clean}:
        raise PredictionsError(
            f"'{where}' answers other questions than {CLEAN} beside it; give another --out or"
            " --overwrite"
        )
    return [(p, by_id[p.id]) for p in clean]


def right(prediction: Prediction) -> bool:
    """Returns whether an answer is the right one; an open one by its words alone."""
    answer = words_of(said(prediction))
    return answer is not None and answer == words_of(truth(prediction))


def flipped(pair: Pair) -> bool:
    """Returns whether the answer is another one."""
    return words_of(said(pair[0])) != words_of(said(pair[1]))


def compare(pairs: Sequence[Pair], *, resamples: int, seed: int) -> dict[str, Any]:
    """Measures one perturbation.

    Args:
        pairs: Answers without and with it.
        resamples: Bootstrap replicates.
        seed: Seed of the draws.

    Returns:
        ``accuracy`` with ``low`` and ``high``; ``drop``, the share of the clean accuracy that is
        lost, and ``flips``, the share of answers that are others, with theirs; ``n``, ``clusters``.
        Accuracy and drop are None where no right answer is known, the drop also where no answer
        is right without the perturbation: nothing can be lost then.
    """
    clusters = clusters_of([before for before, _ in pairs])
    flips = mean_of([float(flipped(pair)) for pair in pairs])
    draws: dict[str, Any] = {"resamples": resamples, "seed": seed}
    (flips_at,) = bootstrap([flips], clusters, **draws)
    row: dict[str, Any] = {
        "n": len(pairs),
        "clusters": int(clusters.max()) + 1,
        **_entry("flips", flips.value(), flips_at),
    }
    known = [pair for pair in pairs if truth(pair[0]) is not None]
    if not known:
        return row | dict.fromkeys(("accuracy", "low", "high", "drop", "drop_low", "drop_high"))
    scores = np.array([[right(before), right(after)] for before, after in known], np.float64)
    accuracy = mean_of(scores[:, 1])
    share_lost = _lost(scores.sum(axis=0))
    # a gain is no share of anything; questions that are wrong with and without count for nothing
    lost = Statistics(sparse.csr_array(scores), _lost, fraction=bool(0 <= share_lost <= 1))
    ends = bootstrap([accuracy, lost], clusters_of([p for p, _ in known]), **draws)
    row["accuracy"] = accuracy.value()
    row["low"], row["high"] = (ends[0].low, ends[0].high) if ends[0] else (None, None)
    if not scores[:, 0].any():
        return row | _entry("drop", None, None)
    return row | _entry("drop", lost.value(), ends[1])


def _lost(sums: Array) -> Array:
    """float[..., 2] right answers before and after -> the share that is lost, 0 of none."""
    before = sums[..., 0]
    out = np.zeros_like(before)
    return np.divide(before - sums[..., 1], before, out=out, where=before > 0)


def _entry(name: str, value: float | None, interval: Any) -> dict[str, Any]:
    return {
        name: value,
        f"{name}_low": interval.low if interval else None,
        f"{name}_high": interval.high if interval else None,
    }


def _clean(clean: Sequence[Prediction], *, resamples: int, seed: int) -> dict[str, Any]:
    known = [p for p in clean if truth(p) is not None]
    clusters = clusters_of(clean)
    out: dict[str, Any] = {"n": len(clean), "clusters": int(clusters.max()) + 1, "accuracy": None}
    if known:
        scores = mean_of([float(right(p)) for p in known])
        (ends,) = bootstrap([scores], clusters_of(known), resamples=resamples, seed=seed)
        out |= {"accuracy": scores.value()}
        out |= {"low": ends.low if ends else None, "high": ends.high if ends else None}
        chances = [1 / len(p.choices) for p in known if p.choices]
        out["chance"] = float(np.mean(chances)) if len(chances) == len(known) else None
    return out


def says(document: Mapping[str, Any]) -> list[str]:
    """Puts a result into plain sentences."""
    lines = []
    clean, rows = document["clean"], document["rows"]
    worst: dict[str, Mapping[str, Any]] = {}
    for row in rows:  # the most severe of each
        if row["name"] not in worst or row["severity"] > worst[row["name"]]["severity"]:
            worst[row["name"]] = row
    if clean["accuracy"] is not None:
        lines.append(f"Undisturbed {_share(clean['accuracy'])} of the answers are right.")
        known = [r for r in worst.values() if r["drop_low"] is not None]
        hurt = sorted(
            (r for r in known if r["drop"] >= SEVERE and r["drop_low"] > 0),
            key=lambda r: -r["drop"],
        )
        for row in hurt[:5]:
            lines.append(
                f"{_name(row)} takes {_share(row['drop'])} of the right answers"
                f" ({_share(row['drop_low'])} to {_share(row['drop_high'])})."
            )
        calm = [_name(r) for r in known if r["drop_high"] < SEVERE]
        if calm:
            lines.append(f"At most {_share(SEVERE)} are lost to: {', '.join(calm)}.")
        if known and not hurt:
            lines.append("No perturbation is shown to take a tenth of the right answers.")
    blind = worst.get("blank")
    if blind is not None and blind["flips"] < 0.05:
        lines.append(
            f"Without any picture {_share(1 - blind['flips'])} of the answers stay as they are:"
            " it answers from the words."
        )
    both = worst.get("pgd"), worst.get("pgd_noise")
    if both[0] and both[1] and both[0]["accuracy"] is not None:
        lines.append(
            f"An attack of {both[0]['level']:g} of 255 leaves {_share(both[0]['accuracy'])} right,"
            f" noise of the same bound {_share(both[1]['accuracy'])}."
        )
    return [*lines, *document["temporal"].get("says", [])]


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['name'].replace('_', ' ')} (severity {row['severity']})"


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"
