"""What a published row was measured on, so that answers to other questions can't stand beside it.

    published set -> adapter and scheme -> ids ``mustard-...``, splits, number of questions

Every adapter names its questions after itself, so that answers tell what they are answers to
wherever they come from: a run, a cross-validation, a control, an imported log. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mtrans.core.errors import SettingsError
from mtrans.core.records import Prediction
from mtrans.data.adapters import ADAPTERS


@dataclass(frozen=True)
class Origin:
    """Where a published set's questions come from.

    Attributes:
        adapter: The data set, as `mtrans data prepare` calls it.
        scheme: How it is split.
        types: Kinds of question that are counted; none: all.
        questions: How many were published, where it is not the scheme's number.
    """

    adapter: str
    scheme: str = "official"
    types: tuple[str, ...] = ()
    questions: int | None = None


CLEVRER = ("moving_direction", "moving_count", "moving_attribute", "object_existence")
SETS = {
    "ur_funny": Origin("ur_funny"),
    "mustard": Origin("mustard", "5fold"),
    "mustard_star": Origin("mustard", "mmla"),
    "clevrer": Origin("mvbench", types=CLEVRER, questions=4 * 200),
    "qaego4d": Origin("qaego4d"),
    "youcook2": Origin("youcook2"),
}


def lacking(name: str, predictions: Sequence[Prediction], file: Path) -> str:
    """Checks that answers are to a published set's questions.

    Args:
        name: The published set.
        predictions: The answers; a pooled one's id ends in ``#seed``.
        file: Where they were read, for errors.

    Returns:
        What to say of answers to some of the questions only, e.g. ``138 of 690``; else nothing.

    Raises:
        SettingsError: They are answers to another data set's questions, or to another split's.
    """
    origin = SETS[name]
    scheme = ADAPTERS.get(origin.adapter).schemes[origin.scheme]
    advice = (
        f"prepare it with `mtrans data prepare {origin.adapter} --split-scheme {origin.scheme}`"
    )
    ids = [p.id for p in predictions]
    strange = [i for i in ids if not i.startswith(f"{origin.adapter}-")]
    if strange:
        raise SettingsError(
            f"{name}={file}: {len(strange)} of {len(ids)} answers are to another data set's"
            f" questions, e.g. '{strange[0]}', wanted '{origin.adapter}-...'; {advice}"
        )
    held = "folds" if scheme.folds else "the split 'test'"
    splits = dict.fromkeys(p.split for p in predictions if p.split is not None)
    fixed = [s for s in splits if (s in ("train", "val", "test") if scheme.folds else s != "test")]
    if fixed:
        raise SettingsError(
            f"{name}={file}: answers of the split '{fixed[0]}', the published rows are of {held};"
            f" {advice}"
        )
    asked = [p for p in predictions if not origin.types or p.type in origin.types]
    counted = {p.id.partition("#")[0] for p in asked}
    there = sum(n for s, n in scheme.sizes.items() if scheme.folds or s == "test")
    wanted = origin.questions or there
    if len(counted) > wanted:
        raise SettingsError(
            f"{name}={file}: {len(counted)} questions, the published rows are of {wanted}; {advice}"
        )
    return f"{len(counted)} of {wanted}" if len(counted) < wanted else ""
