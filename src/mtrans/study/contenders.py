"""Contenders on the same clips with the same budget: ``python -m mtrans.study.contenders``.

    worlds x contenders x learning rates (first seed)  -> the rate with the best validation accuracy
    worlds x contenders x seeds, at that rate          -> predictions on the test clips -> table

A study (:mod:`mtrans.study.run`) of synthetic worlds, written as options instead of a plan. Its
runs lie in <out>/<world>/<contender>/rate-<rate>-seed-<seed>.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from mtrans.core.errors import MTransError, SettingsError, did_you_mean
from mtrans.study.grid import failures
from mtrans.study.parts import CONTENDERS, Contender, Data
from mtrans.study.plan import StudyPlan
from mtrans.study.run import run_study
from mtrans.study.tables import markdown

RATE = "train.learning_rate"

MAIN = ("mtrans", "paper", "text", "single", "mean", "concat")
"""Contenders of the main comparison; `mtrans study contenders` lists all there are."""


def parse(arguments: list[str] | None = None) -> tuple[StudyPlan, Path, int]:
    """Reads the command's options.

    Returns:
        The plan, the study's folder, and how many runs go side by side.

    Raises:
        SettingsError: An unknown contender, or rates that are no numbers.
    """
    parser = argparse.ArgumentParser(
        prog="python -m mtrans.study.contenders",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, default=Path("runs/contenders"))
    add("--workers", type=int, default=1, help="runs side by side")
    add("--set", action="append", default=[], help="key=value for every contender")
    add("--worlds", nargs="+", default=["physics", "talk"])
    add("--contenders", nargs="+", default=list(MAIN), help="differences are to the first")
    add("--seeds", nargs="+", type=int, default=[0, 1, 2])
    add("--rates", nargs="+", type=float, default=[4e-3], help="searched with the first seed")
    add(
        "--rates-of",
        action="append",
        default=[],
        metavar="NAME=R,R,...",
        help="own rates of a contender, in place of --rates; repeatable",
    )
    budget = {"train": 600, "val": 100, "test": 400, "steps": 800, "batch": 32, "frames": 4}
    for name, number in {**budget, "world-seed": 0}.items():
        add(f"--{name}", type=int, default=number)
    given = parser.parse_args(arguments)
    contenders = {name: _known(name, CONTENDERS) for name in given.contenders}
    for words in given.rates_of:
        name, _, rates = words.partition("=")
        own = replace(_known(name, contenders), search={RATE: _rates(words, rates)})
        contenders[name] = own
    plan = StudyPlan(
        data=tuple(
            Data(w, given.train, given.test, given.val, world=w, seed=given.world_seed)
            for w in given.worlds
        ),
        contenders=contenders,
        frames=given.frames,
        steps=given.steps,
        batch=given.batch,
        seeds=tuple(given.seeds),
        search={RATE: tuple(given.rates)},
        overrides=tuple(given.set),
    )
    return plan, given.out, given.workers


def main(arguments: list[str] | None = None) -> None:
    """Runs the study; see ``--help``."""
    try:
        plan, out, workers = parse(arguments)
        results, outcomes = run_study(plan, out, workers=workers)
    except MTransError as error:
        sys.exit(f"error: {error}")
    print(markdown(results))
    print(f"written to {out}/table.md, table.csv and results.json")
    if failed := failures(outcomes, out):
        sys.exit(f"error: {failed}")


def _known(name: str, known: dict[str, Contender]) -> Contender:
    if name not in known:
        raise SettingsError(f"unknown contender '{name}'{did_you_mean(name, known)}")
    return known[name]


def _rates(words: str, rates: str) -> tuple[float, ...]:
    try:
        return tuple(float(rate) for rate in rates.split(","))
    except ValueError as error:
        raise SettingsError(
            f"--rates-of {words}: wanted a contender and its rates, e.g. paper=1e-4,1e-3"
        ) from error


if __name__ == "__main__":
    main()
