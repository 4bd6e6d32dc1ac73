"""Why this answer: maps over frames and patches, words, routes, and whether the maps are true.

All maps are about one number, how likely the answer is that was given (its share among the
candidates; of an open answer its likelihood). Hidden cells take the colour of the clip's mean, in
the pixels: the whole model, ViT included, sees the changed clip.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mtrans.core.errors import SettingsError
from mtrans.core.records import Prediction, Sample, Turn
from mtrans.infer.attack import loss_of
from mtrans.infer.faithfulness import faithfulness, random_curves
from mtrans.infer.predictor import Predictor
from mtrans.models.inputs import ModelInputs
from mtrans.models.maps import LayerMaps, attention_maps, mean_cross, rollout
from mtrans.train.sources import video_source
from mtrans.train.validation import choice_log_likelihoods, scoring, to_device

Array = NDArray[np.float64]

REGIONS = 4
"""Regions along a side of a frame that occlusion hides, at most."""

BATCH = 32
"""Changed clips scored together."""


@dataclass(frozen=True)
class Map:
    """One map of what matters.

    Attributes:
        name: What it is.
        about: How it is made.
        cells: float[T, G, G], higher is more important.
        faith: From :func:`mtrans.infer.faithfulness.faithfulness`.
    """

    name: str
    about: str
    cells: Array
    faith: dict[str, Any]


@dataclass(frozen=True)
class Explanation:
    """All that a page shows.

    Attributes:
        prediction: The answer that is explained.
        score: How likely it is, 0 to 1.
        times: Seconds of the frames.
        frames: float[T], what hiding each frame takes from `score`.
        words: (where, word, what leaving it out takes from `score`).
        maps: Maps with their faithfulness.
        temporal: By layer float[T, T], from which frame to which, mean over queries; empty without.
        routing: By layer (temporal float[M] or None, spatial float[M] or None, gate).
        notes: What could not be made, and why.
    """

    prediction: Prediction
    score: float
    times: Array
    frames: Array
    words: list[tuple[str, str, float]]
    maps: list[Map]
    temporal: list[Array] = field(default_factory=list)
    routing: list[tuple[Array | None, Array | None, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class _Clip:
    """One question about one clip, asked again and again with something changed."""

    def __init__(self, predictor: Predictor, sample: Sample):
        self.predictor, self.device = predictor, predictor.device
        source = video_source(predictor.backbone, predictor.settings)
        pixels, self.times = source.get(sample)
        self.pixels = np.array(pixels, np.float32)
        (self.prediction,) = predictor._answer([(sample, self.pixels, self.times)])
        answer = self.prediction.answer
        # an open answer is scored as its own only candidate
        choices = sample.choices or (answer,)
        self.choice = self.prediction.choice or 0
        self.sample = dataclasses.replace(sample, choices=choices, answer=answer, label=self.choice)
        vision = predictor.backbone.base.config.vision_config
        self.grid = int(vision.image_size) // int(vision.patch_size)
        self.count = len(self.times)

    def score(self, samples: Sequence[Sample], pixels: Sequence[NDArray[np.float32]]) -> Array:
        """Returns float[n], how likely the answer is under changed words or pixels."""
        predictor, out = self.predictor, []
        model = predictor.backbone.base
        items = [(s, p, self.times) for s, p in zip(samples, pixels, strict=True)]
        with scoring(predictor.backbone.model, device=self.device, bf16=predictor.bf16):
            for begin in range(0, len(items), BATCH):
                part = items[begin : begin + BATCH]
                for values in choice_log_likelihoods(model, predictor.collate, part, self.device):
                    alone = len(values) == 1
                    shares = values.exp() if alone else values.softmax(dim=0)
                    out.append(float(shares[self.choice]))
        return np.array(out)

    def score_shown(self, shown: NDArray[np.bool_]) -> Array:
        """Returns float[n] where only some cells are shown, bool[n, T * G * G]."""
        made = [self._masked(mask.reshape(self.count, self.grid, self.grid)) for mask in shown]
        return self.score([self.sample] * len(made), made)

    def _masked(self, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        height, width = self.pixels.shape[2:]
        rows = np.arange(height) * self.grid // height
        columns = np.arange(width) * self.grid // width
        whole = mask[:, rows][:, :, columns][:, None]
        mean = self.pixels.mean(axis=(0, 2, 3), keepdims=True)
        return np.where(whole, self.pixels, mean).astype(np.float32)

    def inputs(self) -> dict[str, torch.Tensor]:
        """Returns the batch of the clip with the answer as its label."""
        item = (self.sample, self.pixels, self.times)
        return to_device(self.predictor.collate([item]), self.device)


def explain(predictor: Predictor, sample: Sample, *, seed: int = 0) -> Explanation:
    """Explains one answer.

    Args:
        predictor: The model.
        sample: The question; it needs a video.
        seed: Of the random orders that maps are held against.

    Returns:
        The explanation.

    Raises:
        SettingsError: There is no video, or the model does not look at it.
        VideoError: It can't be read.
    """
    if sample.video is None or not predictor.settings.model.vision:
        raise SettingsError(f"sample '{sample.id}': there is nothing to see; explain needs a video")
    clip = _Clip(predictor, sample)
    cells = clip.count * clip.grid**2
    full = float(clip.score_shown(np.ones((1, cells), bool))[0])
    shape = (clip.count, clip.grid, clip.grid)
    layers, notes = _layers(clip)
    maps = [_occlusion(clip, full), _gradient(clip)]
    if layers:
        about = "mean weight of cross-attention over heads, queries and layers"
        maps.append(("cross-attention", about, _cells(mean_cross(layers), shape)))
        about = "attention rollout through spatial, temporal and cross-attention"
        maps.append(("attention rollout", about, _cells(rollout(layers), shape)))
    random = random_curves(clip.score_shown, cells, seed=seed)
    judged = [
        Map(name, about, cells_, faithfulness(clip.score_shown, cells_.ravel(), random))
        for name, about, cells_ in maps
    ]
    return Explanation(
        prediction=clip.prediction,
        score=full,
        times=np.asarray(clip.times, np.float64),
        frames=_frames(clip, full),
        words=_words(clip, full),
        maps=judged,
        temporal=[_plain(m.temporal.mean(dim=0)) for m in layers if m.temporal is not None],
        routing=[_route(m) for m in layers],
        notes=notes,
    )


def _layers(clip: _Clip) -> tuple[list[LayerMaps], list[str]]:
    model = clip.predictor.backbone.base
    if model.settings.connector != "mqt":
        line = f"connector '{model.settings.connector}' has no attention maps here; only 'mqt' has"
        return [], [line]
    batch, _ = ModelInputs.split({k: v for k, v in clip.inputs().items() if k != "labels"})
    with scoring(clip.predictor.backbone.model, device=clip.device, bf16=False):
        return attention_maps(model, batch), []


def _frames(clip: _Clip, full: float) -> Array:
    """Returns float[T]: what hiding each frame takes away."""
    shown = np.ones((clip.count, clip.count, clip.grid, clip.grid), bool)
    shown[np.arange(clip.count), np.arange(clip.count)] = False
    return full - clip.score_shown(shown.reshape(clip.count, -1))


def _occlusion(clip: _Clip, full: float) -> tuple[str, str, Array]:
    """Hides one region of one frame at a time."""
    side = min(REGIONS, clip.grid)
    region = np.arange(clip.grid) * side // clip.grid
    shown = []
    for t in range(clip.count):
        for row in range(side):
            for column in range(side):
                mask = np.ones((clip.count, clip.grid, clip.grid), bool)
                mask[t][np.ix_(region == row, region == column)] = False
                shown.append(mask.ravel())
    lost = (full - clip.score_shown(np.stack(shown))).reshape(clip.count, side, side)
    name = f"what hiding each of {side} x {side} regions of each frame takes from the answer"
    return "occlusion", name, lost[:, region][:, :, region]


def _gradient(clip: _Clip) -> tuple[str, str, Array]:
    """Gradient of the answer's likelihood times the pixels' distance from the clip's mean."""
    batch = clip.inputs()
    pixels = batch["pixel_values"].float().requires_grad_(True)
    model = clip.predictor.backbone.base
    (gradient,) = torch.autograd.grad(loss_of(model, batch, pixels), pixels)
    away = pixels.detach() - pixels.detach().mean(dim=(1, 3, 4), keepdim=True)
    support = (-gradient * away).sum(dim=2)[0].double().cpu().numpy()
    height, width = support.shape[1:]
    rows, columns = (np.arange(n) * clip.grid // n for n in (height, width))
    cells = np.zeros((clip.count, clip.grid, clip.grid))
    for t in range(clip.count):
        np.add.at(cells[t], np.ix_(rows, columns), support[t])
    return "gradient x input", "gradient at the pixels times their distance from the mean", cells


def _words(clip: _Clip, full: float) -> list[tuple[str, str, float]]:
    """Leaves out one word of the question or dialogue at a time."""
    sample, changed, names = clip.sample, [], []
    parts = sample.question.split()
    for i, word in enumerate(parts):
        rest = " ".join(parts[:i] + parts[i + 1 :])
        if rest:
            changed.append(dataclasses.replace(sample, question=rest))
            names.append(("question", word))
    for k, turn in enumerate(sample.context):
        said = turn.text.split()
        for i, word in enumerate(said):
            less = Turn(" ".join(said[:i] + said[i + 1 :]), turn.speaker)
            turns = (*sample.context[:k], less, *sample.context[k + 1 :])
            changed.append(dataclasses.replace(sample, context=turns))
            names.append((turn.speaker or f"turn {k + 1}", word))
    if not changed:
        return []
    lost = full - clip.score(changed, [clip.pixels] * len(changed))
    found = [(*name, float(v)) for name, v in zip(names, lost, strict=True)]
    return sorted(found, key=lambda row: -abs(row[2]))


def _cells(patches: torch.Tensor, shape: tuple[int, int, int]) -> Array:
    """float[T, P], the class token first -> float[T, G, G]."""
    return _plain(patches[:, -shape[1] * shape[2] :]).reshape(shape)


def _plain(values: torch.Tensor) -> Array:
    return values.detach().double().cpu().numpy()


def _route(layer: LayerMaps) -> tuple[Array | None, Array | None, float]:
    routing = layer.routing
    temporal = None if routing.temporal is None else _plain(routing.temporal[0])
    spatial = None if routing.spatial is None else _plain(routing.spatial[0].mean(dim=0))
    return temporal, spatial, layer.gate
