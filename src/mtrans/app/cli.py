"""The command line: each command is a thin function; its signature and docstring are its help.

Importing this module imports neither torch nor any other heavy library; a command imports what it
needs when it runs.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import mtrans
from mtrans.app import (
    commands_adapt,
    commands_analyze,
    commands_ask,
    commands_bench,
    commands_bench_peer,
    commands_calibration,
    commands_cost,
    commands_crossval,
    commands_data,
    commands_eval,
    commands_exchange,
    commands_explain,
    commands_ood,
    commands_report,
    commands_results,
    commands_robustness,
    commands_study,
    commands_text_control,
)
from mtrans.app.errors import FriendlyGroup

app = typer.Typer(
    name="mtrans",
    cls=FriendlyGroup,
    add_completion=False,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(commands_data.worlds, name="worlds")
app.add_typer(commands_data.data, name="data")
app.add_typer(commands_study.study, name="study")
app.add_typer(commands_bench.bench, name="bench")
commands_bench.bench.command("train")(commands_bench_peer.train)
commands_bench.bench.command("answer")(commands_bench_peer.answer)
commands_study.study.command("calibration")(commands_calibration.calibration)
app.command("adapt")(commands_adapt.adapt)
app.command("crossval", cls=commands_crossval.ManyValues)(commands_crossval.crossval)
app.command("text-control", cls=commands_crossval.ManyValues)(commands_text_control.text_control)
app.command("eval")(commands_eval.evaluate)
app.command("ask")(commands_ask.ask)
app.command("calibrate")(commands_analyze.calibrate)
app.command("analyze")(commands_analyze.analyze)
app.command("robustness", cls=commands_crossval.ManyValues)(commands_robustness.robustness)
app.command("explain")(commands_explain.explain)
app.command("ood")(commands_ood.ood)
app.command("report")(commands_report.report)
app.command("results")(commands_results.results)
app.command("compare")(commands_report.compare)
app.command("import-predictions")(commands_exchange.import_predictions)
app.command("export-predictions")(commands_exchange.export_predictions)
app.command("card")(commands_exchange.model_card)
commands_data.data.command("card")(commands_exchange.data_card)
app.command("settings")(commands_report.settings)
app.command("cost", cls=commands_crossval.ManyValues)(commands_cost.cost)
app.command("doctor")(commands_report.doctor)
app.command("demo")(commands_report.demo)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"mtrans {mtrans.__version__}")
        raise typer.Exit()


@app.callback()
def root(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Turn an image multimodal model into a video model with a few hundred labelled clips."""
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


def main() -> None:
    """Runs the command line; ``--debug`` may stand anywhere before ``--``."""
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    if "--debug" in words[:end]:
        words.remove("--debug")
        words.insert(0, "--debug")
    app(args=words, prog_name="mtrans")


if __name__ == "__main__":
    main()
