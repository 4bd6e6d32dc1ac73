"""What an answer is made of: to one question, or as a line of predictions.jsonl."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from mtrans.core.errors import SettingsError
from mtrans.core.records import Prediction, Sample


@dataclass(frozen=True)
class Answer:
    """What a model answers to one question about one clip.

    Attributes:
        text: The likeliest candidate, or the generated text.
        choice: Index of the likeliest candidate; None for an open question.
        choices: The candidates, as given.
        probabilities: float[len(choices)], the candidates' likelihoods normalised over them, and
            calibrated where the run has a ``calibration.json``.
        raw_probabilities: The same without calibration.
        abstained: The likeliest candidate is not likely enough to be given as an answer; then
            `text` is empty and `choice` None.
        times: Seconds of the frames that were looked at; empty without a video.
        tokens: Counts: ``visual``, ``prompt``, ``answer``.
        ms: Milliseconds of the model, without reading the video.
        read_ms: Milliseconds of reading the video.
    """

    text: str
    choice: int | None
    choices: tuple[str, ...] | None
    probabilities: tuple[float, ...] | None
    raw_probabilities: tuple[float, ...] | None
    abstained: bool
    times: tuple[float, ...]
    tokens: dict[str, int]
    ms: float
    read_ms: float


def blank(sample: Sample) -> Prediction:
    """Returns a prediction that repeats the sample and says nothing yet."""
    return Prediction(
        id=sample.id,
        video=sample.video,
        question=sample.question,
        answer="",
        target=sample.answer,
        choices=sample.choices,
        label=sample.label,
        type=sample.type,
        speaker=sample.speaker,
        group=sample.group,
        split=sample.split,
        facts=sample.facts,
        start=sample.start,
        end=sample.end,
        context=sample.context,
    )


def failure(sample: Sample, reason: str) -> Prediction:
    """Returns the prediction of a sample whose clip can't be read; it counts as wrong."""
    return dataclasses.replace(blank(sample), parse="failed", error=reason)


def check_abstention(below: float | None, choices: Sequence[str] | None) -> None:
    """Holds that a threshold for giving no answer can be applied.

    Raises:
        SettingsError: It is no probability, or there are no candidates to have one.
    """
    if below is None:
        return
    if not 0 <= below <= 1:
        raise SettingsError(f"abstain_below={below}: wanted a probability, 0 to 1")
    if not choices:
        raise SettingsError("abstain_below needs candidates; an open answer has no probability")
