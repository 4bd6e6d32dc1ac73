"""How a metric's numbers are written: shares in percent, anything else in its own unit.

`scores.json` holds every number in the metric's own unit. Whether that is a share, the metric
itself knows (:attr:`~mtrans.measure.metrics.Metric.share`); all tables ask here.
"""

from __future__ import annotations

from collections.abc import Sequence

from mtrans.measure.apply import METRICS  # with every metric in it

DIGITS = 1
"""Decimals of a percentage."""


def is_share(metric: str) -> bool:
    """Whether a metric is shown in percent, as are names that this version does not know."""
    return metric not in METRICS or METRICS.get(metric).share


def shown(metric: str, value: float, *, signed: bool = False, digits: int | None = None) -> str:
    """Returns a value of a metric, or a difference of two, as tables write it.

    Args:
        metric: Its name.
        value: The number, in the metric's own unit.
        signed: With a plus where it is positive.
        digits: Decimals of a percentage; a number in another unit has one more.

    Returns:
        ``54.3`` for a share of 0.5432, ``0.54`` otherwise.
    """
    digits = DIGITS if digits is None else digits
    sign = "+" if signed else ""
    if is_share(metric):
        return f"{100 * value:{sign}.{digits}f}"
    return f"{value:{sign}.{digits + 1}f}"


def unit(metrics: Sequence[str]) -> str:
    """Returns the head of a column of such numbers: ``%``, or what else stands in it."""
    if all(is_share(metric) for metric in metrics):
        return "%"
    return "% or own unit" if any(is_share(metric) for metric in metrics) else "own unit"
