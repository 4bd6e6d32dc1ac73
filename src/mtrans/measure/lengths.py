"""How long the clips are, for break-downs, where the manifest does not say it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from mtrans.core.records import Prediction

FACT = "seconds"
"""The fact that says it."""


def with_lengths(predictions: Sequence[Prediction]) -> list[Prediction]:
    """Returns predictions with the fact `seconds`.

    Where it is missing it is the length of the clip's window, or of the video file; predictions
    whose file is not there, or can't be read, come back as they are.
    """
    whole: dict[str, float | None] = {}
    out = []
    for p in predictions:
        seconds = None
        if FACT not in p.facts and p.video is not None and p.error is None:
            end = p.end
            if end is None:
                if p.video not in whole:
                    whole[p.video] = _seconds(p.video)
                end = whole[p.video]
            seconds = None if end is None else round(end - (p.start or 0.0), 3)
        if seconds is not None:
            p = dataclasses.replace(p, facts={**p.facts, FACT: seconds})
        out.append(p)
    return out


def _seconds(video: str) -> float | None:
    if not Path(video).exists():
        return None
    from mtrans.core.errors import VideoError
    from mtrans.video.decode import probe

    try:
        return probe(video).duration
    except VideoError:
        return None
