"""What the benchmarks of a single step print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mtrans.app import output
from mtrans.app.commands_cost import operations

if TYPE_CHECKING:
    from mtrans.bench.limit import Limit
    from mtrans.bench.step import StepCase

OPERATORS = 12
"""Operators that are shown, the longest."""

WHAT = {"frames": "T, frames", "text": "L, text tokens", "batch": "B, clips"}


def show_scale(result: dict[str, Any]) -> None:
    """Prints the points, the exponents, and last whether time is linear in frames."""
    from mtrans.bench.scale import GOAL

    for what, rows in result["points"].items():
        made = output.table(WHAT[what], "ms a step", "memory added", "visual tokens")
        for row in rows:
            made.add_row(
                str(row["value"]),
                f"{1000 * row['quickest']:.1f}",
                output.size(row["peak"] - row["before"]),
                str(row["visual_tokens"]),
            )
        output.console().print(made)
    for what, fit in result["fits"].items():
        print(f"{WHAT[what]}: exponent of time {fit['time']}, of memory {fit['memory']}")
    bend = result["frames_where_squares_are_half"]
    if bend is not None:
        print(f"T² of temporal attention is half of what a frame costs in operations at T = {bend}")
    frames = result["fits"].get("frames")
    if frames is not None:
        met = "met" if frames["time"].exponent <= GOAL else "NOT met"
        print(f"exponent of time in frames: {frames['time']}; goal at most {GOAL}: {met}")


def show_limit(found: Limit, case: StepCase, backbone: str) -> None:
    """Prints parts, prediction against measurement, the cache, and last the ratio to the limit."""
    rate = found.rate
    parts = output.table(
        "part", "forward ms", "backward ms", "share %", "op/s", title=f"a step of {backbone}"
    )
    for part in rate.parts:
        speed = part.operations / part.seconds if part.operations and part.seconds else None
        parts.add_row(
            part.part,
            f"{1000 * part.forward:.2f}",
            f"{1000 * part.backward:.2f}",
            output.percent(part.seconds / rate.seconds),
            operations(speed) if speed else output.DASH,
        )
    data = case.batch / next(r for r in found.readings if r.form == "float32").warm
    parts.add_row("data, warm cache", f"{1000 * data:.2f}", "", "beside it", "")
    parts.add_row("vision, for the cache", f"{1000 * rate.vision:.2f}", "", "once a clip", "")
    output.console().print(parts)
    operators = output.table("operator", "calls", "ms", "share %")
    for one in rate.operators[:OPERATORS]:
        share = output.percent(one.seconds / rate.seconds)
        operators.add_row(one.name, f"{one.calls:.0f}", f"{1000 * one.seconds:.2f}", share)
    output.console().print(operators)
    products = sum(one.seconds for one in rate.operators if one.product)
    print(f"products of matrices take {output.percent(products / rate.seconds)} % of the step")
    _foretold(found)
    cache = output.table(
        "cache", "1,000 clips", "clips/s warm", "of the read speed", "clips/s cold", "of the disk"
    )
    for r in found.readings:
        cold = [output.DASH] * 2
        if r.cold is not None and r.share_cold is not None:
            cold = [f"{r.cold:.0f}", f"{output.percent(r.share_cold)} %"]
        warm = [f"{r.warm:.0f}", f"{output.percent(r.share_warm)} %"]
        cache.add_row(r.form, output.size(1000 * r.clip_bytes), *warm, *cold)
    output.console().print(cache)
    first = found.readings[0]
    dropped = f", {output.size(first.disk_cold)}/s cold" if first.disk_cold else ""
    print(f"reading the files through: {output.size(first.disk_warm)}/s warm{dropped}")
    if found.compiled is not None:
        made = found.compiled
        print(f"{made.ratio}; {1000 * made.seconds:.1f} ms compiled, {made.build:.0f} s to build")
    print(
        f"{operations(rate.step_rate)}op/s of {operations(rate.product_rate)}op/s"
        f" ({rate.dtype}): {output.percent(rate.step_rate / rate.product_rate)} %"
    )
    print(rate.ratio)


def _foretold(found: Limit) -> None:
    told, seen = found.foretold, found.measured
    made = output.table("a step", "foretold", "measured", "off %")
    rows = [("ms", 1000 * told.step, 1000 * seen.quick, "{:.1f}")]
    memory = told.total if seen.kind == "rss" else told.memory.total
    rows.append(("MiB", memory / 2**20, seen.peak / 2**20, "{:.0f}"))
    for name, wanted, got, form in rows:
        off = output.percent(wanted / got - 1)
        made.add_row(name, form.format(wanted), form.format(got), off)
    output.console().print(made)
    if seen.kind == "rss":
        print(f"of the memory foretold, tensors: {told.memory.total / 2**20:.0f} MiB")


def show_rounding(result: dict[str, Any]) -> None:
    """Prints what each rounding does, and last how far features in 8 bit move the metric."""
    made = output.table("rounded", "right %", "difference in points", "changed %")
    for case in result["cases"]:
        moved = f"{100 * case['difference']:+.2f}"
        if case["low"] is not None:
            moved += f" ({100 * case['low']:+.2f} to {100 * case['high']:+.2f})"
        right, changed = (output.percent(case[key]) for key in ("value", "changed"))
        made.add_row(case["case"], right, moved, changed)
    output.console().print(made)
    error = result["standard_error"]
    print(f"exact: {output.percent(result['exact'])} %, standard error {output.percent(error)}")
    eight = next(case for case in result["cases"] if case["case"] == "features in 8 bit")
    if error:
        print(
            f"features in 8 bit move it by {abs(eight['difference']) / error:.2f} standard errors"
        )
