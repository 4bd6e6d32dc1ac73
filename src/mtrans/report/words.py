"""Numbers as people read them; the template's filters."""

from __future__ import annotations

import math

from mtrans.measure.units import is_share, shown

NOTHING = "\N{EN DASH}"
"""Stands in a table where there is no number."""


SHARE = "accuracy"
"""Numbers of no metric's own are written as this one's: in percent."""


def percent(value: float | None, digits: int = 1, metric: str = SHARE) -> str:
    """Returns 0.5432 as ``54.3 %``, on one line; as ``0.54`` of a metric that is no share."""
    sign = "\N{NO-BREAK SPACE}%" if is_share(metric) else ""
    return NOTHING if value is None else shown(metric, value, digits=digits) + sign


def points(value: float | None, digits: int = 1, metric: str = SHARE) -> str:
    """Returns 0.5432 as ``54.3``; as ``0.54`` of a metric that is no share."""
    return NOTHING if value is None else shown(metric, value, digits=digits)


def signed(value: float | None, digits: int = 1, metric: str = SHARE) -> str:
    """Returns -0.0712 as ``−7.1``, with a true minus sign; see :func:`points`."""
    if value is None:
        return NOTHING
    text = shown(metric, abs(value), digits=digits)
    if float(text) == 0:
        return text
    return ("+" if value > 0 else "\N{MINUS SIGN}") + text


def tied(text: str) -> str:
    """Returns a sentence whose numbers do not part from their percent signs at a line's end."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def count(value: float | None) -> str:
    """Returns 1234567 as ``1,234,567``."""
    return NOTHING if value is None else f"{value:,.0f}"


def large(value: float | None) -> str:
    """Returns 1234567 as ``1.23 M``."""
    if value is None:
        return NOTHING
    for size, unit in ((1e9, " B"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:g}"


def duration(seconds: float | None) -> str:
    """Returns 221 as ``3 min 41 s``."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def memory(size: float | None) -> str:
    """Returns bytes as ``1.4 GiB``."""
    if size is None:
        return NOTHING
    for unit_size, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= unit_size:
            return f"{size / unit_size:.3g} {unit}"
    return f"{size:.0f} B"


def p_value(p: float | None) -> str:
    """Returns a p value; tiny ones as ``< 0.001``."""
    if p is None:
        return NOTHING
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def plain(value: object) -> str:
    """Returns a setting or fact as a person writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(plain(v) for v in value)
    return str(value)


def setting(value: object) -> str:
    """Returns a setting as ``--set`` takes it."""
    if isinstance(value, bool | None):
        return {True: "true", False: "false", None: "null"}[value]
    return plain(value)


def label(name: object) -> str:
    """Returns ``facts.moving_count`` as ``moving count``, ``rouge_l`` as ``ROUGE-L``."""
    known = {
        "rouge_1": "ROUGE-1",
        "rouge_2": "ROUGE-2",
        "rouge_l": "ROUGE-L",
        "meteor": "METEOR",
        "meteor_no_wordnet": "METEOR without WordNet",
        "macro_f1": "macro F1",
        "ece": "calibration error (ECE)",
        "nll": "negative log-likelihood",
        "brier": "Brier score",
        "confidence_auroc": "AUROC of confidence",
        "aurc": "area under risk-coverage",
        "cider_d": "CIDEr-D",
    }
    text = str(name)
    return known.get(text, text.removeprefix("facts.").replace("_", " "))


FILTERS = {
    f.__name__: f
    for f in (
        is_share,
        percent,
        points,
        signed,
        tied,
        count,
        large,
        duration,
        memory,
        p_value,
        plain,
        setting,
        label,
    )
}
