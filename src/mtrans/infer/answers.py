"""What an answer is made of: to one question, or as a line of predictions.jsonl."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtrans.core.errors import SettingsError
from mtrans.core.records import Prediction, Sample, Turn
from mtrans.data.fields import sample_from_json


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


Said = Sequence[Turn | str | Mapping[str, Any]] | Turn | str | Mapping[str, Any]
"""Dialogue as people give it: turns, texts, objects with text and speaker, or one of these."""


def asked(
    video: str | Path | None,
    question: str,
    choices: Sequence[str] | None = None,
    context: Said | None = None,
    start: float | None = None,
    end: float | None = None,
) -> Sample:
    """Makes a sample of one question, checked as a line of a manifest is.

    Args:
        video: The file; None asks without a video.
        question: The question.
        choices: Candidates; none makes it an open question.
        context: Dialogue before the question, oldest turn first.
        start: Start of the clip in seconds.
        end: End of the clip in seconds.

    Returns:
        The sample, with the id ``ask``.

    Raises:
        ManifestError: An empty question, fewer than two candidates or one given twice, no dialogue.
    """
    given = choices if choices is None or isinstance(choices, str) else list(choices) or None
    return sample_from_json(
        {
            "id": "ask",
            "video": None if video is None else str(video),
            "question": question,
            "choices": given,
            "context": context or None,
            "start": start,
            "end": end,
        }
    )


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
