"""`mtrans cost`: what an answer and a training step cost in operations, before anything is run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtrans.app import output

if TYPE_CHECKING:
    from mtrans.measure.cost import Flops


def cost(
    backbone: Annotated[
        str, typer.Option(help="tiny, a folder, or a published checkpoint.")
    ] = "tiny",
    frames: Annotated[list[int] | None, typer.Option(help="Frames of a clip.")] = None,
    text: Annotated[int, typer.Option(min=1, help="Tokens of question and dialogue.")] = 32,
    answer: Annotated[int, typer.Option(min=1, help="Tokens of the answer.")] = 3,
    preset: Annotated[str, typer.Option(help="mtrans, or paper.")] = "mtrans",
    set_: Annotated[list[str] | None, typer.Option("--set", help="One setting, key=value.")] = None,
) -> None:
    """Compute operations, parameters and visual tokens of a backbone with the method on it.

    A formula from the backbone's config, held equal to torch's counter by a test: products of
    matrices for one clip with one question, 2 operations a multiply and add. A published
    InstructBLIP needs no download. Connector mqt only; frozen features count as computed once.
    """
    from mtrans.app.sizes import count
    from mtrans.core.errors import SettingsError
    from mtrans.core.settings import load_settings
    from mtrans.measure.cost import COMPONENTS, flops
    from mtrans.models.lora import trained_formula
    from mtrans.models.rules import query_count

    settings = load_settings(preset=preset, overrides=set_ or [])
    if settings.model.connector != "mqt":
        raise SettingsError(
            f"model.connector={settings.model.connector}: the formula is that of mqt; what another"
            " one costs stands in a run's run.json"
        )
    output.quiet_libraries()
    config = config_of(backbone)
    counts = frames or [4, 8, 32]
    told = {"words": text, "prompt": text, "answer": answer}
    steps = [flops(config, settings.model, settings.lora, frames=n, **told) for n in counts]
    heads = [f"{n} frames" for n in counts]
    made = output.table("operations of one clip", *heads, title=f"{backbone}, {text} text tokens")
    for name in COMPONENTS:
        made.add_row(name.replace("_", " "), *(operations(f.forward.get(name, 0)) for f in steps))
    for label, value in _totals(steps).items():
        made.add_row(label, *value)
    queries = query_count(config, settings.model)
    concat = settings.model.pool == "concat"
    tokens = [queries * n if concat else queries for n in counts]
    made.add_row("visual tokens", *map(str, tokens))
    output.console().print(made)
    trained = trained_formula(config, settings.model, settings.lora)
    total = count(config)[0] + trained
    print(f"parameters: {total:,}, trained: {trained:,} ({100 * trained / total:.3f} %)")


def _totals(steps: list[Flops]) -> dict[str, list[str]]:
    return {
        "an answer": [operations(f.answering) for f in steps],
        "a training step, ViT cached": [operations(f.training) for f in steps],
        "share of it backward %": [output.percent(f.backward_share) for f in steps],
    }


def config_of(backbone: str) -> Any:
    """Returns a backbone's config; of a published InstructBLIP from its known sizes.

    Raises:
        CheckpointError: Nothing there, or not what it should be.
    """
    from mtrans.app.data import check_model
    from mtrans.app.sizes import PUBLISHED, published_config
    from mtrans.models.loading import read_config

    if backbone in PUBLISHED:
        return published_config(*PUBLISHED[backbone])
    check_model(backbone)
    return read_config(backbone)


def operations(number: float) -> str:
    """Returns a number of operations in a unit that reads well."""
    for unit in ("", " K", " M", " G", " T"):
        if number < 1000:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g} P"
