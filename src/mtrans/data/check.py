"""Everything there is to say about a manifest before training on it. Needs no torch.

`check_manifest` lists all problems, not only the first, and counts what is there; the command line
prints the result, `to_json` gives it to scripts. What splits share: :mod:`mtrans.data.leaks`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mtrans.core.records import Sample
from mtrans.core.settings import FrameSettings
from mtrans.data.check_videos import absent, find_missing_lines, length, open_videos
from mtrans.data.clips import Progress
from mtrans.data.folds import split_order
from mtrans.data.manifest import Problem, scan_manifest


@dataclass(frozen=True)
class TypeSummary:
    """Counts of one question type.

    Attributes:
        samples: How many.
        answers: Right answer -> how often; open answers too.
        labels: Index of the right candidate -> how often (should not depend on the place).
        majority: Share of the commonest answer: what always saying it would score.
        chance: Mean of 1 / candidates over multiple-choice samples; None without any.
    """

    samples: int
    answers: dict[str, int]
    labels: dict[int, int]
    majority: float
    chance: float | None


@dataclass(frozen=True)
class Check:
    """What `check_manifest` found.

    Attributes:
        path: The manifest.
        form: ``manifest`` or ``messages``.
        samples: Valid samples.
        videos: Distinct video files.
        clips: Distinct (file, start, end).
        seconds: Length of the distinct clips together, as far as the files could be read.
        answered: Samples with a known answer.
        multiple_choice: Samples with candidates.
        splits: Split -> samples; ``""`` is none given.
        speakers: Distinct speakers.
        groups: Distinct groups.
        types: Question type -> counts; ``""`` is none given.
        problems: Errors and warnings, in file order.
        lines: Lines that should be samples.
        usable: Samples that no error is about.
        missing: Video files that are not there, each with the lines that name it.
    """

    path: str
    form: str
    samples: int
    videos: int
    clips: int
    seconds: float
    answered: int
    multiple_choice: int
    splits: dict[str, int]
    speakers: int
    groups: int
    types: dict[str, TypeSummary]
    problems: list[Problem] = field(default_factory=list)
    lines: int = 0
    usable: int = 0
    missing: dict[str, list[int]] = field(default_factory=dict)

    @property
    def errors(self) -> list[Problem]:
        """Problems that stop a run."""
        return [p for p in self.problems if p.severity == "error"]

    @property
    def ok(self) -> bool:
        """Whether nothing stops a run."""
        return not self.errors

    def to_json(self) -> dict[str, Any]:
        """Returns the result as a dictionary of JSON types."""
        return asdict(self)


def check_manifest(
    path: str | Path,
    *,
    videos: bool = True,
    frames: FrameSettings | None = None,
    video_folder: str | Path | None = None,
    progress: Progress | None = None,
) -> Check:
    """Checks every line, every video and how samples relate to each other.

    Args:
        path: The manifest, or a ``messages`` + ``videos`` file.
        videos: Whether to open the video files.
        frames: Also decode each clip as training would, which finds files damaged further on.
        video_folder: Where the videos are, if not where the manifest says.
        progress: Called with (videos opened, videos in all).

    Returns:
        Problems and counts.

    Raises:
        ManifestError: The manifest itself can't be read.
    """
    scan = scan_manifest(path, video_folder=video_folder)
    placed = list(zip(scan.lines, scan.samples, strict=True))
    problems = [*scan.problems, *_twins(str(path), placed)]
    durations: dict[str, float] = {}
    missing: dict[str, list[int]] = {}
    if videos:
        missing = find_missing_lines(placed)
        there = [(line, s) for line, s in placed if s.video not in missing]
        problems += open_videos(str(path), there, frames, durations, progress)
        problems += absent(str(path), missing, len({s.video for _, s in placed} - {None}))
    samples = scan.samples
    splits = Counter(s.split or "" for s in samples)
    windows = {(s.video, s.start, s.end) for s in samples if s.video is not None}
    return Check(
        path=str(path),
        form=scan.form,
        samples=len(samples),
        videos=len({s.video for s in samples if s.video is not None}),
        clips=len(windows),
        seconds=sum(length(w, durations) for w in windows),
        answered=sum(s.answer is not None for s in samples),
        multiple_choice=sum(s.choices is not None for s in samples),
        splits={name: splits[name] for name in sorted(splits, key=split_order)},
        speakers=len({s.speaker for s in samples} - {None}),
        groups=len({s.group for s in samples} - {None}),
        types=summarise_types(samples),
        problems=sorted(problems, key=lambda p: p.line),
        lines=len({*scan.lines, *(p.line for p in scan.problems if p.line)}),
        usable=_usable(placed, problems, missing),
        missing=missing,
    )


def _usable(
    placed: list[tuple[int, Sample]], problems: list[Problem], missing: Mapping[str, list[int]]
) -> int:
    """Counts samples that no error is about; an error of a clip is one of all who ask about it."""
    wrong = {p.line: p.field for p in problems if p.severity == "error"}
    files: set[str | None] = set(missing)
    clips = set()
    for line, sample in placed:
        if wrong.get(line) == "video":
            files.add(sample.video)
        elif wrong.get(line) == "start":
            clips.add((sample.video, sample.start, sample.end))
    return sum(
        line not in wrong
        and sample.video not in files
        and (sample.video, sample.start, sample.end) not in clips
        for line, sample in placed
    )


def summarise_types(samples: Iterable[Sample]) -> dict[str, TypeSummary]:
    """Counts answers and label places for each question type, commonest answer first."""
    by_type: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_type[sample.type or ""].append(sample)
    summaries = {}
    for name, some in sorted(by_type.items()):
        answers = Counter(s.answer for s in some if s.answer is not None)
        labels = Counter(s.label for s in some if s.label is not None)
        chances = [1 / len(s.choices) for s in some if s.choices]
        summaries[name] = TypeSummary(
            samples=len(some),
            answers=dict(answers.most_common()),
            labels=dict(sorted(labels.items())),
            majority=max(answers.values()) / answers.total() if answers else 0.0,
            chance=sum(chances) / len(chances) if chances else None,
        )
    return summaries


def _twins(path: str, placed: list[tuple[int, Sample]]) -> list[Problem]:
    """Finds the same question about the same clip: with another answer an error, else a warning."""
    first: dict[tuple[Any, ...], tuple[int, Sample]] = {}
    problems = []
    for line, sample in placed:
        clip = (sample.video, sample.start, sample.end)
        key = (*clip, sample.question, sample.context, sample.choices)
        if key not in first:
            first[key] = (line, sample)
            continue
        other_line, other = first[key]
        if sample.answer != other.answer:
            reason = (
                f"'{sample.answer}', but line {other_line} asks the same and says '{other.answer}'"
            )
            problems.append(Problem(path, line, "answer", reason))
        else:
            reason = f"same clip, question and answer as line {other_line}"
            problems.append(Problem(path, line, "", reason, "warning"))
    return problems
