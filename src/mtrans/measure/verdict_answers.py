"""Answers of :mod:`mtrans.measure.verdict` that stand on an analysis or on disturbed clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mtrans.measure.sayings import axes_apart, ends, pc, points

Found = Mapping[str, Any]

LISTED = 5
"""Disturbances named at most."""

HURTS = 0.1
"""Share of right answers lost from which a disturbance is named."""

SEVERITIES = (1, 2, 3, 4, 5)
MIDDLE = 3
"""Severity at which disturbances are compared: at the most severe all of them hurt."""

PLAIN = {
    "jpeg": "JPEG compression",
    "h264": "video compression",
    "cut_in": "frames of another clip",
    "crop": "a part of the clip only",
    "frame_rate": "a camera with fewer frames",
    "slow_motion": "slow motion",
    "blur": "blur",
    "brightness": "wrong brightness",
    "contrast": "low contrast",
    "occlusion": "a patch before the picture",
    "letterbox": "black bars",
    "typos": "typing errors",
    "no_names": "missing names of speakers",
    "no_context": "missing dialogue",
}
"""Perturbations as a person calls them."""


def time(parts: Found, robustness: Found) -> list[str]:
    """Says whether the order of frames is used."""
    lines: list[str] = []
    for row in robustness.get("temporal", {}).get("rows", ()):
        if row["name"] != "reverse" or row["sensitivity"] is None:
            continue
        gap = (
            f"played backwards, {pc(row['flips_change'])} of the answers that should change do, and"
            f" {pc(row['flips_stay'])} of those that should not"
        )
        if row["low"] is not None and row["low"] > 0:
            lines.append(f"Yes, it uses the order of frames: {gap}.")
        else:
            lines.append(f"It is not shown to use the order of frames: {gap}.")
        if row.get("followed") is not None:
            reach = ends(row["followed_low"], row["followed_high"])
            lines.append(
                f"Of {row['asked']} right answers that are others backwards,"
                f" {pc(row['followed'])}{reach} turn into the right one."
            )
    worst = _worst_of(robustness)
    back = worst.get("reverse")
    if not lines and back is not None and (back["drop_low"] or 0) > 0:
        lost = f"{pc(back['drop'])}{ends(back['drop_low'], back['drop_high'])}"
        lines.append(
            f"Yes, it uses the order of frames: backwards it loses {lost} of its right answers."
        )
    still = worst.get("still")
    if still is not None and still["drop_low"] is not None:
        lines.append(_from_one_frame(still, bool(lines)))
    if (found := parts.get("directions")) is not None:
        lines.append(
            f"Direction: the line of motion is right in {pc(found['line'])}, and of those the way"
            f" along it in {pc(found['sense'])}{ends(found['sense_low'], found['sense_high'])}"
            " (guessing 50.0 %)."
        )
        if split := axes_apart(found):
            lines.append(f"{split}.")
    return lines


def _from_one_frame(still: Found, more: bool) -> str:
    lost = f"{pc(still['drop'])}{ends(still['drop_low'], still['drop_high'])}"
    if still["drop_low"] <= 0:
        return f"With its middle frame alone it is not shown to lose right answers ({lost})."
    start = "With" if more else "It needs more than one frame: with"
    return f"{start} its middle frame alone it loses {lost} of its right answers."


def trust(parts: Found) -> list[str]:
    """Says how far confidence goes."""
    found = parts.get("calibration")
    if found is None:
        return []
    last = found["variants"][-1]
    scores = {s["metric"]: s for s in last["scores"]}
    gap, right, error = (scores[m] for m in ("overconfidence", "accuracy", "ece"))
    how = " after calibration" if len(found["variants"]) > 1 else ""
    if gap["low"] is None:
        start = f"A single clip can't tell{how}"
    elif gap["low"] <= 0 <= gap["high"]:
        start = f"On average, yes{how}"
    else:
        word = "too sure" if gap["value"] > 0 else "not sure enough"
        start = f"It is {word} by {points(gap['value'])}{ends(*_absolute(gap))}{how}"
    claimed = pc(right["value"] + gap["value"])
    off = f"{points(error['value'])}{ends(error['low'], error['high'])}"
    lines = [
        f"{start}: it claims {claimed} and is right in {pc(right['value'])}; confidence by"
        f" confidence it is off by {off}."
    ]
    half = min(last["selective"], key=lambda row: abs(row["coverage"] - 0.5))
    order = scores["confidence_auroc"]
    lines.append(
        f"The {pc(half['coverage'])} it is surest of are right in {pc(half['accuracy'])}"
        f"{ends(half['low'], half['high'])}; a right answer is surer than a wrong one in"
        f" {pc(order['value'])} of pairs (50 % would say nothing)."
    )
    if not how and (gap["low"] or 0) > 0:
        lines.append("mtrans calibrate RUN puts such probabilities right.")
    return lines


def _absolute(gap: Found) -> tuple[float | None, float | None]:
    low, high = sorted((abs(gap["low"]), abs(gap["high"])))
    return low, high


def calm(robustness: Found) -> list[str]:
    """Says what disturbs it and what does not."""
    tested = [r for r in robustness.get("rows", ()) if r["kind"] not in ("attack", "order")]
    rows = [row for row in tested if row.get("drop_low") is not None]
    shown = [r for r in _at(rows, MIDDLE).values() if r["name"] != "blank"]
    lines = []
    if tested and not rows:
        lines.append(
            "Nothing can be said: no undisturbed answer is right, or all are about one clip."
        )
    if shown:
        hurt = [r for r in shown if r["drop"] >= HURTS and r["drop_low"] > 0]
        hurt.sort(key=lambda r: -r["drop"])
        calm = [r for r in shown if r["drop_high"] < HURTS]
        strong = {r["severity"] for r in shown if r["severity"] != MIDDLE}
        where = "At medium strength" if not strong else "At the strengths tested"
        if hurt:
            named = ", ".join(f"{_name(r)} {pc(r['drop'])}" for r in hurt[:LISTED])
            lines.append(f"{where} these cost the most of its right answers: {named}.")
        else:
            lines.append(f"{where} nothing is shown to take a tenth of its right answers.")
        if calm:
            lines.append(f"Less than a tenth is lost to {', '.join(_name(r) for r in calm)}.")
    blind = next((r for r in rows if r["name"] == "blank"), None)
    if blind is not None:
        chance = robustness.get("clean", {}).get("chance")
        guess = "" if chance is None else f" (guessing {pc(chance)})"
        lines.append(f"Shown nothing but black, it is right in {pc(blind['accuracy'])}{guess}.")
    return lines


def maps(found: Found) -> list[str]:
    """Says which maps beat random ones."""
    rows = found.get("maps", ())
    if not rows:
        return []
    said = [
        f"{row['name']} {pc(row['better'])}{ends(row['low'], row['high'])}"
        for row in sorted(rows, key=lambda r: -r["better"])
    ]
    return [
        f"Clips of {found['n']} on which a map beats all random ones by deletion and insertion:"
        f" {', '.join(said)}; {pc(found['chance'])} or less is chance."
    ]


def strange(found: Found) -> list[str]:
    """Says how well clips of another kind are noticed."""
    lines = []
    for row in found.get("rows", ()):
        scores = row["scores"]
        told = [
            f"{name} in {pc(scores[key]['auroc'])}{ends(scores[key]['low'], scores[key]['high'])}"
            for key, name in (("distance", "distance"), ("confidence", "low confidence"))
            if key in scores
        ]
        warned = scores["distance"]
        lines.append(
            f"{row['name']}: a strange clip is told from a known one by {', by '.join(told)} of"
            f" pairs (50 % is chance); it warns of {pc(warned['warned_strange'])} of them, and of"
            f" {pc(warned['warned_known'])} of known clips."
        )
    return lines


def _worst_of(robustness: Found) -> dict[str, Found]:
    """Returns each perturbation at its most severe."""
    rows = [r for r in robustness.get("rows", ()) if r.get("accuracy") is not None]
    return _at(rows, max(SEVERITIES))


def _at(rows: Sequence[Found], severity: int) -> dict[str, Found]:
    """Returns each perturbation at a severity, or at the nearest that was tested."""
    found: dict[str, Found] = {}
    for row in sorted(rows, key=lambda r: -abs(r["severity"] - severity)):
        found[row["name"]] = row
    return found


def _name(row: Found) -> str:
    return PLAIN.get(row["name"], str(row["name"]).replace("_", " "))
