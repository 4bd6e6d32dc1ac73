"""What a run costs: the entries of run.json's ``cost`` that every study tables and draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mtrans.study.results import Row


@dataclass(frozen=True)
class Cost:
    """One cost.

    Attributes:
        name: Its key in run.json.
        head: Head of its column.
        form: A number as the column shows it.
        axis: Its name where scores are drawn over it; empty where they are not.
    """

    name: str
    head: str
    form: Callable[[float], str]
    axis: str = ""


def _whole(number: float) -> str:
    return f"{number:,.0f}"


def _giga(number: float) -> str:
    return f"{number / 1e9:.3g}"


COSTS = (
    Cost("visual_tokens", "visual tokens", _whole, "visual tokens"),
    Cost("trained_parameters", "trained parameters", _whole, "trained parameters"),
    Cost("total_parameters", "all parameters", _whole),
    Cost("training_flops", "GFLOPs, training", _giga, "operations of a clip in training"),
    Cost("answer_flops", "GFLOPs, answer", _giga),
    Cost("train_seconds", "training s", _whole, "seconds of training"),
    Cost("seconds_per_step", "ms a step", lambda seconds: _whole(1000 * seconds)),
    Cost("first_token_ms", "ms to first token", _whole),
    Cost("answer_ms", "ms an answer", _whole),
    Cost("peak_memory_mb", "peak MiB", _whole, "peak memory in MiB"),
)

SIZES = COSTS[:2]
"""Those that stand beside the scores: how much the LLM reads, and how much is trained."""

ABOUT = (
    "GFLOPs are of one clip with one question, as torch counts them: in a training step, forward"
    " and backward, without features that are cached; and of an answer, the ViT included. Seconds"
    " and milliseconds are wall clock on a machine that may have had other work; an answer is asked"
    " alone, from frames in memory, the ViT included. Memory is the training process's, or the"
    " GPU's part. Medians over seeds."
)


def known(rows: Sequence[Row], costs: Sequence[Cost] = COSTS) -> list[Cost]:
    """Returns the costs that some row knows."""
    return [cost for cost in costs if any(cost.name in row.cost for row in rows)]


def cells(row: Row, costs: Sequence[Cost]) -> list[str]:
    """Returns a row's costs as a table shows them; empty where one is not known."""
    return [cost.form(row.cost[cost.name]) if cost.name in row.cost else "" for cost in costs]


def cost_table(rows: Sequence[Row], labels: Sequence[str]) -> list[str]:
    """Returns the Markdown table of all costs, with what they are; nothing where none is known.

    Args:
        rows: A data set's rows; floors, which cost nothing, are left out.
        labels: Their names.
    """
    found = known(rows)
    if not found:
        return []
    heads = ["cost", *(cost.head for cost in found)]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    lines += [
        f"| {' | '.join([label, *cells(row, found)])} |"
        for row, label in zip(rows, labels, strict=True)
        if row.cost
    ]
    return [*lines, "", ABOUT, ""]
