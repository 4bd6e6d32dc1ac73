"""Small makers of predictions."""

from __future__ import annotations

import numpy as np

from mtrans.core.records import Prediction

COLOURS = ("red", "green", "blue", "yellow")


def choice_prediction(i: int, label: int, choice: int | None, **more) -> Prediction:
    choices = more.pop("choices", COLOURS)
    return Prediction(
        id=more.pop("id", f"q{i}"),
        video=more.pop("video", f"/clips/{i}.mp4"),
        question=more.pop("question", "What colour?"),
        answer="" if choice is None else choices[choice],
        target=choices[label],
        choices=choices,
        label=label,
        choice=choice,
        parse="failed" if choice is None else "scored",
        **more,
    )


def open_prediction(i: int, target: str, answer: str, **more) -> Prediction:
    return Prediction(
        id=f"o{i}",
        video=more.pop("video", f"/clips/{i}.mp4"),
        question="What next?",
        answer=answer,
        target=target,
        parse="open",
        **more,
    )


def random_choices(
    n: int, accuracy: float, seed: int, questions_per_video: int = 1, within: float = 0.0
) -> list[Prediction]:
    """A predictor of known accuracy; `within` ties the questions of a video together."""
    rng = np.random.default_rng(seed)
    videos = -(-n // questions_per_video)
    shared = rng.random(videos) < accuracy
    out = []
    for i in range(n):
        video = i // questions_per_video
        right = shared[video] if rng.random() < within else rng.random() < accuracy
        label = int(rng.integers(4))
        choice = label if right else (label + int(rng.integers(1, 4))) % 4
        out.append(choice_prediction(i, label, choice, video=f"/clips/{video}.mp4"))
    return out
