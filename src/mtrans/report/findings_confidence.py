"""The findings on confidence: how far it goes, and what tempers it where training clips are few."""

from __future__ import annotations

from collections.abc import Iterator

from mtrans.measure.sayings import ends
from mtrans.report.findings_analysis import FIRST, Entry, Found

FEW = {"raw": "", "few": ", one temperature fitted on a quarter as many clips"}
"""How confidence is measured where clips are few -> what is said of it."""


def calibration(document: Found) -> Iterator[Entry]:
    """How far confidence goes, before and after one temperature."""
    names = ("overconfidence", "ece", "nll", "confidence_auroc")
    table = [["contender", "calibrated on", "temperature", "too sure by, points"]]
    table[0] += ["calibration error, points", "-log p", "AUROC of confidence"]
    lines = []
    for name, contender in document["contenders"].items():
        point = contender.get("calibration")
        if not point:
            continue
        told = {
            way: {s["metric"]: s for s in scores if s["metric"] in names}
            for way, scores in point["scores"].items()
        }
        for way, scores in told.items():
            heat = point["temperatures"].get(way)
            cells = [name, {"raw": "nothing", "half": "half of the test clips"}.get(way, "")]
            cells[1] = cells[1] or f"{point['fitted_on']} clips"
            cells += ["" if heat is None else f"{heat:.2f}"]
            cells += [_percent(scores[m]) for m in ("overconfidence", "ece")]
            cells += [f"{scores['nll']['value']:.3f}", _percent(scores["confidence_auroc"])]
            table.append(cells)
        if name == FIRST and "half" in told:
            before, after = (_percent(told[way]["ece"]) for way in ("raw", "half"))
            lines.append(
                f"`{name}`: calibration error {before} before, {after} after one temperature"
                f" ({point['temperatures']['half']:.2f}) fitted on other clips."
            )
    if len(table) > 1:
        title = f"How far confidence can be trusted (`{document['data']}`)"
        yield title, lines, table, "mtrans study calibration STUDY"


def few_clips(document: Found, study: str) -> Iterator[Entry]:
    """What tempers confidence where there are few training clips, in the study of that name?"""
    by_data: dict[str, list[Found]] = {}
    for point in document["points"]:
        by_data.setdefault(point["data"], []).append(point)
    for data, points in by_data.items():
        sizes = sorted({point["clips"] for point in points})
        rows: dict[str, dict[int, Found]] = {}
        for point in points:
            for way, name in FEW.items():
                if way in point["scores"]:
                    scores = {s["metric"]: s for s in point["scores"][way]}
                    rows.setdefault(f"`{point['contender']}`{name}", {})[point["clips"]] = scores
        if len(sizes) < 2 or len(rows) < 2:
            continue
        lines = []
        for clips in (sizes[0], sizes[-1]):
            there = {name: found[clips] for name, found in rows.items() if clips in found}
            told = [
                f"{word} {_percent(there[name]['ece'])} of {name}"
                for word, pick in (("least", min), ("most", max))
                for name in [pick(there, key=lambda n: there[n]["ece"]["value"])]
            ]
            likely = min(there, key=lambda n: there[n]["nll"]["value"])
            log = f"{there[likely]['nll']['value']:.3f}"
            if len(there) == 1:
                told, best = [f"{_percent(there[likely]['ece'])} of {likely}"], log
            else:
                best = f"is least of {likely} ({log})"
            lines.append(
                f"{clips} training clips: calibration error in points {', '.join(told)}; -log p of"
                f" the right candidate {best}."
            )
        table = [["calibration error, points", *(f"{clips} clips" for clips in sizes)]]
        for name, found in rows.items():
            table.append([name, *(_percent(found[c]["ece"]) if c in found else "" for c in sizes)])
        title = f"Confidence with few training clips (`{data}`; {study} of docs/RESULTS.md)"
        yield title, lines, table, "mtrans study calibration STUDY"


def _percent(score: Found) -> str:
    return f"{100 * score['value']:.1f}{ends(score['low'], score['high'])}"
