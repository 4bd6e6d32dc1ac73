"""The three records that travel: a sample in, a prediction out, a score at the end.

`Sample` is a manifest line, `Prediction` a line of ``predictions.jsonl``, `Score` an entry of
``scores.json``. They are plain data, JSON on disk, and need no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

Fact = str | int | float | bool | None
"""What a fact of a clip may be: a word, a number or a yes/no."""


@dataclass(frozen=True)
class Turn:
    """One turn of a dialogue.

    Attributes:
        text: What was said.
        speaker: Who said it, where known.
    """

    text: str
    speaker: str | None = None


@dataclass(frozen=True)
class Sample:
    """One question about one clip: a line of a manifest.

    Attributes:
        id: Unique within the manifest.
        video: Path of the video file; in a manifest file relative to that file's folder, or
            absolute; once read always absolute. None for a question that needs no video.
        question: What is asked.
        answer: The right answer as text; with `choices` it equals ``choices[label]``. None where
            the answer is not known.
        choices: The candidates of a multiple-choice question; None for an open one.
        label: Index of the right candidate.
        start: Start of the clip within the file, in seconds; None is the beginning.
        end: End of the clip within the file, in seconds; None is the end.
        context: Dialogue or text that precedes the question, oldest turn first.
        speaker: Who is seen or heard, for speaker-independent splits.
        group: What must stay on one side of a split (source video, show, subject).
        split: ``train``, ``val``, ``test`` or a fold's name.
        type: The question's type, for break-downs.
        facts: Anything known of the clip (number of objects, length, speed, ...).
    """

    id: str
    video: str | None
    question: str
    answer: str | None = None
    choices: tuple[str, ...] | None = None
    label: int | None = None
    start: float | None = None
    end: float | None = None
    context: tuple[Turn, ...] = ()
    speaker: str | None = None
    group: str | None = None
    split: str | None = None
    type: str | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Returns the manifest line as a dictionary, without empty fields."""
        return _without_empty(asdict(self))


@dataclass(frozen=True)
class Prediction:
    """One answer of a model: a line of ``predictions.jsonl``, all that is needed to measure it.

    Attributes:
        id: The sample's id.
        video: The sample's video, as the cluster for intervals.
        question: What was asked.
        answer: What the model said: the likeliest candidate, or the generated text.
        target: The right answer; None where unknown.
        choices: The candidates, for multiple choice.
        label: Index of the right candidate.
        choice: Index of the chosen candidate.
        probabilities: float[len(choices)], the candidates' likelihoods normalised over them, and
            calibrated where the run has a ``calibration.json``.
        log_likelihoods: float[len(choices)], summed log-likelihood of each candidate's tokens, as
            the model gives it.
        parse: ``scored`` (candidates' likelihoods), ``parsed`` (text matched to a candidate),
            ``open`` (free text), ``failed`` (text that matches no candidate: counts as wrong).
        ms: Milliseconds this answer took, model only.
        tokens: Counts: ``visual``, ``prompt``, ``answer``.
        type: The question's type.
        speaker: The sample's speaker.
        group: The sample's group.
        split: The sample's split.
        facts: The sample's facts.
        error: Why there is no answer (an unreadable clip); then `answer` is empty and `parse`
            is ``failed``.
        start: Start of the clip within `video`, in seconds, so that a report can show it.
        end: End of the clip within `video`, in seconds.
        context: The sample's dialogue or text, for break-downs by what was said.
    """

    id: str
    video: str | None
    question: str
    answer: str
    target: str | None = None
    choices: tuple[str, ...] | None = None
    label: int | None = None
    choice: int | None = None
    probabilities: tuple[float, ...] | None = None
    log_likelihoods: tuple[float, ...] | None = None
    parse: str = "open"
    ms: float | None = None
    tokens: Mapping[str, int] = field(default_factory=dict)
    type: str | None = None
    speaker: str | None = None
    group: str | None = None
    split: str | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)
    error: str | None = None
    start: float | None = None
    end: float | None = None
    context: tuple[Turn, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Returns the line of ``predictions.jsonl`` as a dictionary, without empty fields."""
        return _without_empty(asdict(self))


@dataclass(frozen=True)
class Score:
    """One measured number.

    Attributes:
        metric: The metric's name (``accuracy``, ``rouge_l``, ...).
        value: The number, in the metric's own unit (fractions, not percent).
        low: Lower end of the interval.
        high: Upper end of the interval.
        standard_error: Standard error of `value`.
        n: Predictions it rests on.
        clusters: Videos it rests on (the unit of the bootstrap).
        slice: Which part of the predictions: ``{}`` is all, ``{"type": "moving_count"}`` a type.
        chance: The metric's value under uniform guessing, where defined.
    """

    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    standard_error: float | None = None
    n: int = 0
    clusters: int = 0
    slice: Mapping[str, Fact] = field(default_factory=dict)
    chance: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns the entry of ``scores.json`` as a dictionary."""
        return asdict(self)


def _without_empty(record: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in record.items() if v is not None and v != {} and v != () and v != []}


def text_length(sample: Sample) -> int:
    """Returns the characters of everything that is read and scored for a question."""
    said = [turn.text for turn in sample.context]
    return sum(map(len, [sample.question, sample.answer or "", *(sample.choices or ()), *said]))


def middling(samples: Sequence[Sample]) -> int:
    """Returns the place of the sample whose text is of middling length, to stand for all."""
    return sorted(range(len(samples)), key=lambda i: text_length(samples[i]))[len(samples) // 2]
