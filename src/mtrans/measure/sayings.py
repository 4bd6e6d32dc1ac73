"""What an analysis says, in plain sentences: numbers -> words, the most telling first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Found = Mapping[str, Any]

P_LEVEL = 0.05
"""A p value below this is called a difference."""

CONSTRUCT = 20
"""Questions of a construct below which nothing is said of it."""


def pc(value: float) -> str:
    """Returns 0.5432 as ``54.3 %``."""
    return f"{100 * value:.1f} %"


def points(value: float) -> str:
    """Returns 0.0712 as ``7.1 points``, without its sign."""
    return f"{100 * abs(value):.1f} points"


def above(low: float | None, floor: float) -> bool:
    """Whether an interval lies above a number; one without ends is not shown to."""
    return low is not None and low > floor


def below(high: float | None, ceiling: float) -> bool:
    """Whether an interval lies below a number; one without ends is not shown to."""
    return high is not None and high < ceiling


def ends(low: float | None, high: float | None) -> str:
    """Returns an interval as `` (1.2 to 3.4)``; nothing where there is none."""
    return "" if low is None or high is None else f" ({100 * low:.1f} to {100 * high:.1f})"


def thing(name: object) -> str:
    """Returns the name of a key or type as people write it."""
    return str(name).removeprefix("facts.").replace("_", " ")


def value_of(value: object) -> str:
    """Returns a fact's value as people write it."""
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def part_name(facts: Mapping[str, object]) -> str:
    """Returns ``type moving count, seconds 2 to 3``."""
    return ", ".join(f"{thing(k)} {thing(value_of(v))}" for k, v in facts.items())


def of_mistakes(found: Found) -> list[str]:
    """Says what kinds of mistakes there are, and which answer is given too often."""
    n, wrong, kinds = found["n"], found["wrong"], found["kinds"]
    if not wrong:
        return [f"All {n} answers are right."]
    most = max(kinds, key=lambda kind: kinds[kind])
    told = most != "sure" and wrong > kinds.get("unknown", 0)
    also = f", and {kinds['sure']} times it was sure of a wrong answer" if told else ""
    meaning = {
        "unread": "the clip could not be read",
        "no candidate": "the answer matches no candidate",
        "nearly right": "the right candidate came second, with at least half the probability",
        "sure": "the model was sure (80 % or more) of a wrong answer",
        "unsure": "the model was not sure, and the right candidate was not near",
        "unknown": "how sure the model was is not known: the answer has no probabilities",
    }
    says = [
        f"{wrong} of {n} answers are wrong; most often ({kinds[most]} times) {meaning[most]}{also}."
    ]
    for row in found["answers"]:
        if row["low"] is not None and row["low"] > 0:
            on = f" on {thing(row['type'])}" if row["type"] else ""
            says.append(
                f"It says '{row['text']}' too often: {pc(row['said'])} of the answers{on}, right in"
                f" {pc(row['right'])}."
            )
            break
    return says


def of_worst(found: Found) -> list[str]:
    """Says on which part of the questions the model is worst."""
    if not found["found"]:
        if not found["tested"]:
            return ["No part of the questions is large enough to be held against the rest."]
        return [
            "No part of the questions is shown to be worse than the rest:"
            f" {found['tested']} parts were looked at, and what differs could be chance."
        ]
    worst = found["parts"][0]
    chance = worst["chance"]
    near = chance is not None and worst["low"] is not None and worst["low"] <= chance
    guess = f"; guessing gives {pc(chance)}, so nothing shows that it can do this" if near else ""
    return [
        f"Worst where {part_name(worst['facts'])}: {pc(worst['accuracy'])}"
        f"{ends(worst['low'], worst['high'])} right, elsewhere {pc(worst['elsewhere'])}{guess}.",
        f"{found['found']} of {found['tested']} parts are worse than what they lie in; about"
        f" {100 * found['rate']:.0f} % of such finds are expected to be false.",
    ]


def of_directions(found: Found) -> list[str]:
    """Says whether the line of motion is seen, and whether the way along it is."""
    line = f"{pc(found['line'])}{ends(found['line_low'], found['line_high'])}"
    sense = f"{pc(found['sense'])}{ends(found['sense_low'], found['sense_high'])}"
    says = [
        f"The line of motion (left-right or up-down) is right in {line} of {found['n']} answers;"
        f" guessing gives {pc(found['line_chance'])}.",
        f"Of the {found['sense_n']} along the right line, {sense} go the right way; guessing gives"
        " 50.0 %.",
    ]
    low, seen = found["sense_low"], found["line_low"]
    if low is None or seen is None:
        return says
    if (split := axes_apart(found)) and seen > found["line_chance"]:
        says.append(f"{split}.")
    if seen <= found["line_chance"]:
        says.append("So it is not shown to see motion.")
    elif low <= 0.5:
        says.append("So it sees along which line a thing moves, but not which frame came first.")
    else:
        says.append("So it sees motion, and knows something of which frame came first.")
    return says


def axes_apart(found: Found) -> str:
    """Says that the way is known along one line and not along the other; empty where not shown."""
    rows = found.get("axes", {})
    if len(rows) < 2:
        return ""
    good, bad = sorted(rows, key=lambda name: -float(rows[name]["sense"]))
    first, second = rows[good], rows[bad]
    if None in (first["sense_low"], second["sense_high"]):
        return ""
    if first["sense_low"] <= second["sense_high"]:
        return ""
    told = [
        f"{name} in {pc(row['sense'])}{ends(row['sense_low'], row['sense_high'])}"
        for name, row in ((good, first), (bad, second))
    ]
    return f"The way is not known alike: {', '.join(told)}"


def of_constructs(found: Found) -> list[str]:
    """Says which construct is hardest, on the question type where constructs differ most."""
    types: dict[str | None, list[Found]] = {}
    for row in found["rows"]:
        if row["n"] >= CONSTRUCT:
            types.setdefault(row["type"], []).append(row)
    compared = [rows for rows in types.values() if len(rows) > 1]
    if not compared:
        return [f"Too few questions to compare constructs ({CONSTRUCT} of two are wanted)."]
    both = [sorted(rows, key=lambda row: float(row["accuracy"])) for rows in compared]
    low, high = max(
        ((r[0], r[-1]) for r in both), key=lambda p: p[1]["accuracy"] - p[0]["accuracy"]
    )
    apart = low["high"] is not None and high["low"] is not None and low["high"] < high["low"]
    tail = "" if apart else "; their intervals overlap, so this may be chance"
    return [
        f"Lowest with {_construct(low)}, {pc(low['accuracy'])}{ends(low['low'], low['high'])};"
        f" highest with {_construct(high)}, {pc(high['accuracy'])}"
        f"{ends(high['low'], high['high'])}{tail}."
    ]


def _construct(row: Found) -> str:
    name = "no construct" if row["construct"] == "none" else row["construct"]
    return f"{name} ({thing(row['type'])})" if row["type"] else str(name)


def of_modality(found: Found) -> list[str]:
    """Says how the model does where words and pictures disagree."""
    rows = {row["part"]: row for row in found["parts"]}
    says = []
    for alone, added in (("text alone", "the pictures add"), ("pictures alone", "the words add")):
        if (row := rows.get(f"{alone} wrong")) is not None:
            be = "are" if alone.startswith("pictures") else "is"
            chance = row["chance"]
            near = chance is not None and (row["low"] is None or row["low"] <= chance)
            what = f"nothing shows that {added} anything" if near else f"that is what {added}"
            guess = "" if chance is None else f" (guessing gives {pc(chance)})"
            says.append(
                f"Where {alone} {be} wrong ({row['n']} questions), {pc(row['accuracy'])}"
                f"{ends(row['low'], row['high'])} are right{guess}: {what}."
            )
    if (row := rows.get("in conflict")) is not None:
        follows, n = found["follows"], row["n"]
        says.append(
            f"Words and pictures disagree on {n} questions; there it sides with the words in"
            f" {pc(follows['text'] / n)}, with the pictures in {pc(follows['vision'] / n)}, and is"
            f" right in {pc(row['accuracy'])}{ends(row['low'], row['high'])}."
        )
    return says or ["Text alone is right on all questions."]


def of_perception(found: Found) -> list[str]:
    """Says whether mistakes come from not seeing."""
    if not sum(found["errors"].values()):
        return ["There are no mistakes to explain."]
    image = found.get("image_model")
    says = _seen(found, "it")
    if image is None:
        return says
    says += _seen(image, "the image model it was adapted from")
    own, before = found["answers"], image["answers"]
    if None not in (own["high"], before["low"]) and own["high"] < before["low"]:
        says.append(
            "It has unlearned to answer about stills, so what it sees is told by the image model's"
            " answers rather than by its own."
        )
    return says


def _seen(found: Found, who: str) -> list[str]:
    """Says how one model answers about stills, and what that makes of the mistakes."""
    errors, answers = found["errors"], found["answers"]
    wrong = errors["reasoning"] + errors["perception"]
    says = [
        f"Asked what there is to see, {who} is right in {pc(answers['accuracy'])}"
        f"{ends(answers['low'], answers['high'])} of {answers['n']} answers, and in all of them for"
        f" {pc(found['seen'])} of the clips (guessing {pc(found['by_chance'])}):"
        f" {errors['reasoning']} of {wrong} mistakes are about such clips (reasoning),"
        f" {errors['perception']} about others (perception)."
    ]
    if found["difference"] is None:
        return says
    control = (
        f"{pc(found['seen_when_right'])} of the right answers are about such clips, and"
        f" {pc(found['seen_when_wrong'])} of the mistakes"
    )
    if found["low"] is not None and found["low"] > 0:
        return [*says, f"Seeing matters: {control}."]
    return [*says, f"Not seeing does not explain the mistakes: {control}."]


def of_calibration(found: Found) -> list[str]:
    """Says how far confidence can be trusted and what abstaining would gain."""
    says = []
    for variant in found["variants"]:
        scores = {s["metric"]: s for s in variant["scores"]}
        gap, right, error = (scores[m] for m in ("overconfidence", "accuracy", "ece"))
        sure = right["value"] + gap["value"]
        if gap["low"] is None or gap["low"] <= 0 <= gap["high"]:
            verdict = "neither clearly over- nor underconfident"
        else:
            word = "overconfident" if gap["value"] > 0 else "underconfident"
            verdict = f"{word} by {points(gap['value'])}"
        says.append(
            f"Confidence {variant['name']}: {pc(sure)} on average, right in {pc(right['value'])}:"
            f" {verdict}; calibration error {points(error['value'])}"
            f"{ends(error['low'], error['high'])}."
        )
    losses = [
        next(s["value"] for s in variant["scores"] if s["metric"] == "nll")
        for variant in found["variants"]
    ]
    if losses[-1] > losses[0]:
        says.append(
            "Calibrating does not help here: the mean -log p of the right candidate is"
            f" {losses[-1]:.3f} with it and {losses[0]:.3f} without; the clips it was fitted on"
            " may be unlike these."
        )
    last = found["variants"][-1]
    half = min(last["selective"], key=lambda row: abs(row["coverage"] - 0.5))
    whole = last["selective"][-1]
    says.append(
        f"Answering only the {pc(half['coverage'])} it is surest of (--abstain-below"
        f" {threshold(half['threshold'])}) gives {pc(half['accuracy'])}"
        f"{ends(half['low'], half['high'])} right instead of {pc(whole['accuracy'])}."
    )
    return says


def threshold(value: float) -> str:
    """Returns a confidence with as many digits as it takes to lie below it."""
    for digits in range(2, 8):
        text = f"{int(value * 10**digits) / 10**digits:.{digits}f}"
        if value - float(text) < (1 - value) / 4 or digits == 7:
            return text
    return f"{value}"


def of_bias(found: Found) -> list[str]:
    """Says which columns give answers away, what the model reads, and for whom it errs."""
    data, model, gaps = [], [], []
    for column in found["columns"]:
        name = thing(column["name"])
        for row in column["shortcuts"]:
            on = f" on {thing(row['type'])}" if row["type"] else ""
            told, answers = row["truth"], row["answers"]
            if _above(told):
                whole = " (it is the answer, or gives it away)" if told["with"] > 0.999 else ""
                data.append(
                    f"{name} alone predicts the right answer{on} in {pc(told['with'])}, without it"
                    f" {pc(told['without'])}{whole}"
                )
            elif _above(answers):
                model.append(
                    f"{name} alone predicts the model's answer{on} in {pc(answers['with'])}"
                    f" (without it {pc(answers['without'])}), though not the right one"
                )
        for key, what in (("gap", "accuracy differs"), ("odds", "the odds of an answer differ")):
            gap = column[key]
            if gap is not None and gap["p"] < P_LEVEL:
                gaps.append(
                    f"{what} by {points(gap['value'])}{ends(gap['low'], gap['high'])} between"
                    f" groups of {name}"
                )
    says = [
        f"Shortcut in the data: {'; '.join(data)}."
        if data
        else "No shortcut in the data: no column predicts the right answers by itself."
    ]
    if model:
        says.append(f"Read by the model: {'; '.join(model)}.")
    says.append(
        f"{'; '.join(gaps)[:1].upper()}{'; '.join(gaps)[1:]}."
        if gaps
        else "No column's groups differ in accuracy or odds by more than chance."
    )
    return says


def _above(guess: Found) -> bool:
    return guess["low"] is not None and guess["low"] > 0
