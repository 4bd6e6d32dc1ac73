"""What the analyses of a study's runs say, in one small JSON file that is kept: tables, no weights.

    runs of a study --collect--> analysis/<world>.json --write--> docs/FINDINGS.md

Directions and calibration are measured here from the runs' answers. What needs a model was done by
`mtrans robustness`, `mtrans explain --clips`, `mtrans analyze --only perception`, `mtrans ood` and
`mtrans study routing`, and is taken from the folders that have it, with the commands that made it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtrans.core.errors import MTransError
from mtrans.core.files import make_folder, read_jsonl, write_text
from mtrans.core.records import Prediction
from mtrans.measure.analyze import analysis_path, read_analysis
from mtrans.measure.directions import directions
from mtrans.measure.intervals import RESAMPLES
from mtrans.measure.predictions import read_predictions
from mtrans.measure.robustness import CLEAN, Pair, paired
from mtrans.measure.temporal import ORDER, temporal
from mtrans.study.calibration_curve import calibration_curve, summary
from mtrans.study.collect import choose
from mtrans.study.jobs import StudyError, measurable
from mtrans.study.plan import StudyPlan
from mtrans.study.results import pool, read_seeds
from mtrans.train.run_folder import RunFolder

SCHEMA = 1
"""Version of the layout."""

FOLDERS = ("order", "robustness")
"""Folders of a run with answers to disturbed clips; the first that has them is taken."""


def collect_analysis(plan: StudyPlan, folder: Path) -> dict[str, Any]:
    """Measures and gathers what is there of a study.

    Args:
        plan: The study, of one data set.
        folder: Its folder.

    Returns:
        ``data``, ``world``, ``clips`` (training), ``seeds``, ``made`` (commits and date of the
        runs) and ``contenders``: by name ``directions``, ``temporal`` (over all seeds tested),
        ``calibration``, ``routing`` (entropy of each router at the first and the last logged step,
        by seed), ``masks`` (which each router takes), ``perception`` (by seed), ``robustness``,
        ``maps``, ``ood`` (each with ``seed``); what is not there is left out.

    Raises:
        StudyError: Nothing of it is finished, or it is of several data sets.
    """
    if len(plan.data) > 1:
        names = ", ".join(data.name for data in plan.data)
        raise StudyError(f"'{folder}' is of several data sets ({names}); give a study of one")
    points = {p["contender"]: p for p in summary(calibration_curve(plan, folder))}
    contenders: dict[str, Any] = {}
    made: list[dict[str, Any]] = []
    for variant in plan.variants():
        chosen = choose(plan, variant, folder)[0]
        if chosen is None or variant.point:
            continue
        runs = {
            s: RunFolder(folder / plan.job(variant, chosen, s, folder).name) for s in plan.seeds
        }
        runs = {s: run for s, run in runs.items() if measurable(run)}
        if runs:
            found = _contender(runs)
            found["calibration"] = points.get(variant.contender)
            found["masks"] = _masks(folder, variant.contender)
            made += [run.info() for run in runs.values()]
            contenders[variant.contender] = {k: v for k, v in found.items() if v}
    if not contenders:
        raise StudyError(f"'{folder}' has no finished run to analyse")
    first = plan.data[0]
    return {
        "schema": SCHEMA,
        "data": first.name,
        "world": first.world,
        "clips": first.train,
        "seeds": list(plan.seeds),
        "made": made_of(made),
        "contenders": contenders,
    }


def made_of(infos: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns which code made runs, and the day of the last: ``commits`` and ``date``."""
    commits = {str((info.get("git") or {}).get("commit") or "")[:7] for info in infos}
    days = [str(info["finished"])[:10] for info in infos if info.get("finished")]
    return {"commits": sorted(commits - {""}), "date": max(days, default=None)}


def write_analysis(document: Mapping[str, Any], path: Path) -> None:
    """Writes a collected analysis."""
    make_folder(path.parent)
    write_text(path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def _contender(runs: Mapping[int, RunFolder]) -> dict[str, Any]:
    by_seed = read_seeds(runs)
    single = {s: directions(part, resamples=2) for s, part in by_seed.items()}
    return {
        "seeds": list(runs),
        "directions": directions(pool(by_seed)),
        "senses": {s: found["sense"] for s, found in single.items() if found},
        "temporal": _temporal(runs),
        "routing": {s: found for s, run in runs.items() if (found := _routing(run))},
        "perception": {s: part for s, run in runs.items() if (part := _perception(run))},
        **_gathered(runs),
    }


def _temporal(runs: Mapping[int, RunFolder]) -> dict[str, Any] | None:
    """Measures use of order over all seeds that were tested on the same questions, and by seed."""
    tested = {seed: found for seed, run in runs.items() if (found := _reordered(seed, run))}
    if not tested:
        return None
    first = next(iter(tested.values()))
    asked = {p.id.partition("#")[0] for p in first[0]}
    same = {
        seed: found
        for seed, found in tested.items()
        if {p.id.partition("#")[0] for p in found[0]} == asked
    }
    whole = _ordered(list(same.values()))
    if "rows" not in whole:
        return None
    single = {seed: _ordered([found], resamples=2)["rows"] for seed, found in same.items()}
    each = {
        seed: next((r["sensitivity"] for r in rows if r["name"] == "reverse"), None)
        for seed, rows in single.items()
    }
    return {"seeds": list(same), "questions": len(asked), "rows": whole["rows"], "by_seed": each}


Tested = tuple[list[Prediction], dict[tuple[str, int], list[Pair]]]
"""A run's undisturbed answers, and by perturbation and severity the pairs with disturbed ones."""


def _reordered(seed: int, run: RunFolder) -> Tested | None:
    folder = next((run.path / f for f in FOLDERS if (run.path / f / CLEAN).exists()), None)
    if folder is None:
        return None
    clean = pool({seed: read_predictions(folder / CLEAN)})
    pairs = {}
    for name in ORDER:
        file = folder / f"{name}-5.jsonl"
        # one that is being made, or was stopped, is as if it were not there
        if (_document(file.with_suffix(".meta.json")) or {}).get("finished"):
            pairs[name, 5] = paired(clean, pool({seed: read_predictions(file)}), file)
    return (clean, pairs) if pairs else None


def _ordered(tested: Sequence[Tested], resamples: int = RESAMPLES) -> dict[str, Any]:
    clean = [p for own, _ in tested for p in own]
    pairs: dict[tuple[str, int], list[Pair]] = {}
    for _, own in tested:
        for key, some in own.items():
            pairs.setdefault(key, []).extend(some)
    return temporal(pairs, clean, resamples=resamples, seed=0)


def _routing(run: RunFolder) -> list[list[float]] | None:
    """Returns the routing entropy of each layer, in nats, at the first and the last step."""
    lines = _lines(run.path / "log.jsonl")
    known = [line["routing_entropy"] for line in lines if line.get("routing_entropy")]
    return [known[0], known[-1]] if known else None


MASKS = ("family", "layer", "masks", "shares", "agreement", "varies")
"""What is kept of a router, as :class:`mtrans.study.routing_study.LayerFound` names it."""


def _masks(folder: Path, contender: str) -> list[dict[str, Any]]:
    """Returns which masks a contender's routers take, from the latest table that has it."""
    tables = [*folder.glob("routing.json"), *folder.glob("tables/*/routing.json")]
    for file in sorted(tables, key=lambda file: file.stat().st_mtime, reverse=True):
        table = _read(file) or []
        for row in (row for row in table if row["contender"] == contender):
            return [{key: layer[key] for key in MASKS} for layer in row["layers"]]
    return []


SEEN = ("errors", "seen", "seen_when_right", "seen_when_wrong", "difference", "low", "high")
"""What is kept of the part `perception` of a run's analysis, with the accuracy on stills."""


def _perception(run: RunFolder) -> dict[str, Any] | None:
    """Returns whether mistakes come from not seeing, by its own answers and the image model's."""
    predictions = run.predictions()
    document = read_analysis(analysis_path(predictions), predictions) or {}
    own = document.get("parts", {}).get("perception", {})
    models = {"own": own, "image_model": own.get("image_model", {})}
    if not all("errors" in found for found in models.values()):
        return None
    return {
        name: {**{key: found[key] for key in SEEN}, "stills": found["answers"]}
        for name, found in models.items()
    }


def _gathered(runs: Mapping[int, RunFolder]) -> dict[str, Any]:
    """Takes what commands left in run folders, of the first seed that has it."""
    places = {
        "robustness": ("robustness/robustness.json", ("clean", "rows")),
        "maps": ("explain/faithfulness.json", ("n", "chance", "maps")),
        "ood": ("ood.json", ("known", "rows")),
    }
    found: dict[str, Any] = {}
    for name, (place, keys) in places.items():
        for seed, run in runs.items():
            document = _document(run.path / place)
            if document is not None:
                found[name] = {"seed": seed, **{key: document[key] for key in keys}}
                break
    return found


def _document(path: Path) -> dict[str, Any] | None:
    found = _read(path)
    if found is not None and not isinstance(found, dict):
        raise MTransError(f"'{path}' is damaged (no JSON object); make it again")
    return found


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return None
    except ValueError as error:
        raise MTransError(f"'{path}' is damaged ({error}); make it again") from error


def _lines(path: Path) -> Sequence[dict[str, Any]]:
    try:
        return read_jsonl(path)
    except MTransError:
        return []
