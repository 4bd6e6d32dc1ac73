"""The video files that a manifest names: which are not there, can't be opened, or are too short."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sized
from typing import Any

from mtrans.core.errors import VideoError
from mtrans.core.records import Sample
from mtrans.core.settings import FrameSettings
from mtrans.data.clips import Progress
from mtrans.data.manifest import Problem

FEW = 3
"""Missing video files that get a line each; more of them get one line together."""


def find_missing_lines(placed: list[tuple[int, Sample]]) -> dict[str, list[int]]:
    """Returns the video files that are not there, each with the lines that name it."""
    lines: dict[str, list[int]] = defaultdict(list)
    for line, sample in placed:
        if sample.video is not None:
            lines[sample.video].append(line)
    return {video: some for video, some in lines.items() if not os.path.exists(video)}


def absent(path: str, missing: Mapping[str, list[int]], videos: int) -> list[Problem]:
    """Says what is not there: a line for each of a few files, one line for many.

    Args:
        path: The manifest.
        missing: Files that are not there, with the lines that name them.
        videos: How many files there should be.

    Returns:
        The errors.
    """
    if len(missing) <= FEW:
        return [
            Problem(path, lines[0], "video", f"{video}: no such file; check the path{_of(lines)}")
            for video, lines in missing.items()
        ]
    samples = sum(map(len, missing.values()))
    some = ", ".join(f"'{v}' (line {missing[v][0]})" for v in list(missing)[:2])
    reason = (
        f"{len(missing)} of {videos} files are not there ({samples} samples), e.g. {some}; give"
        " their folder with --video-folder, or --no-videos for work on text"
    )
    return [Problem(path, 0, "video", reason)]


def _of(asked: Sized) -> str:
    return f" ({len(asked)} samples)" if len(asked) > 1 else ""


def open_videos(
    path: str,
    placed: list[tuple[int, Sample]],
    frames: FrameSettings | None,
    durations: dict[str, float],
    progress: Progress | None,
) -> list[Problem]:
    """Opens every video once.

    Args:
        path: The manifest, for messages.
        placed: Samples with their lines.
        frames: Also decode each clip so.
        durations: Filled: video -> seconds.
        progress: Called with (videos opened, videos in all).

    Returns:
        What is wrong with them.
    """
    from mtrans.video.clip import load_clip
    from mtrans.video.decode import probe

    users: dict[str, list[tuple[int, Sample]]] = defaultdict(list)
    for line, sample in placed:
        if sample.video is not None:
            users[sample.video].append((line, sample))
    problems = []
    for done, (video, asked) in enumerate(users.items(), 1):
        windows: dict[tuple[float | None, float | None], int] = {}
        for line, sample in asked:
            windows.setdefault((sample.start, sample.end), line)
        try:
            duration = durations[video] = probe(video).duration
        except VideoError as error:
            problems.append(Problem(path, asked[0][0], "video", f"{error}{_of(asked)}"))
        else:
            for (start, end), line in windows.items():
                problem = _outside(start, end, duration)
                if problem is not None:
                    problems.append(Problem(path, line, *problem))
                elif frames is not None:
                    try:
                        load_clip(video, frames, start, end)
                    except VideoError as error:
                        problems.append(Problem(path, line, "video", str(error)))
        if progress is not None:
            progress(done, len(users))
    return problems


def _outside(
    start: float | None, end: float | None, duration: float
) -> tuple[str, str, str] | None:
    if start is not None and start >= duration:
        return "start", f"{start} s, but the video lasts {duration:.2f} s", "error"
    # the last frame's own length is often left out of the duration
    if end is not None and end > duration + 1.0:
        return "end", f"{end} s, but the video lasts {duration:.2f} s; it is cut there", "warning"
    return None


def length(window: tuple[Any, ...], durations: dict[str, float]) -> float:
    """Returns the seconds of a clip (file, start, end); 0 where its file was not read."""
    video, start, end = window
    if video not in durations:
        return 0.0
    return max(0.0, min(end or durations[video], durations[video]) - (start or 0.0))
