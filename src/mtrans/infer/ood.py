"""Is this clip of the kind the model was trained on? What it makes of clips, before the LLM."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mtrans.core.errors import CheckpointError, SettingsError
from mtrans.core.records import Sample
from mtrans.data.clips import clips_of
from mtrans.infer.gaussian import Gaussian, fit, read_gaussian
from mtrans.infer.predictor import Predictor
from mtrans.models.inputs import ModelInputs
from mtrans.train.sources import video_source
from mtrans.train.validation import chunks, scoring, to_device

Array = NDArray[np.float64]


def query_features(
    predictor: Predictor, samples: Sequence[Sample], *, batch_size: int = 16
) -> Array:
    """Returns float[n, C]: the mean over a clip's visual tokens, before the projection to the LLM.

    Of a connector that answers by itself, and gives no tokens, what its classifier reads.

    Args:
        predictor: The model.
        samples: Questions with a video; the question takes part where text is fused early.
        batch_size: Clips taken together.

    Raises:
        VideoError: A clip can't be read.
    """
    model = predictor.backbone.base
    source = video_source(predictor.backbone, predictor.settings)
    out = []
    with scoring(predictor.backbone.model, device=predictor.device, bf16=predictor.bf16):
        for part in chunks(samples, batch_size):
            items = [(s, *source.get(s)) for s in part]
            batch = to_device(predictor.collate.prompts(items), predictor.device)
            mean = _summary(model, ModelInputs.split(batch)[0])
            out.append(mean.double().cpu().numpy())
    return np.concatenate(out)


def _summary(model: Any, inputs: ModelInputs) -> torch.Tensor:
    """Returns float[B, C], what the model makes of clips before it answers."""
    if model.answers_itself:
        read: list[torch.Tensor] = []
        classifier = model.connecting.classifier
        handle = classifier.register_forward_pre_hook(lambda _, given: read.append(given[0]))
        try:
            model._own_scores(inputs)
        finally:
            handle.remove()
        return read[0].float()
    visual = model.connecting(model._clips(inputs))
    tokens = visual.tokens.float()
    there = torch.ones(tokens.shape[:2], device=tokens.device)
    if visual.mask is not None:
        there = visual.mask.float()
    return torch.einsum("bk,bkc->bc", there, tokens) / there.sum(dim=1, keepdim=True)


def one_a_clip(samples: Sequence[Sample]) -> list[Sample]:
    """Returns a question about each clip: the first with candidates, or the first.

    Raises:
        SettingsError: No question has a video.
    """
    parts = clips_of(samples).values()
    chosen = [next((s for s in asked if s.choices), asked[0]) for asked in parts]
    if not chosen:
        raise SettingsError("no question has a video; a clip's strangeness needs clips")
    return chosen


def fit_run(predictor: Predictor, samples: Sequence[Sample], *, seed: int = 0) -> Gaussian:
    """Fits what training clips look like and stores it with the run.

    Raises:
        CheckpointError: The model has no run folder.
        SettingsError: Too few clips, or the model does not look at them.
    """
    run = _run(predictor)
    found = fit(query_features(predictor, one_a_clip(samples)), seed=seed)
    found.save(run)
    return found


def scores(predictor: Predictor, samples: Sequence[Sample]) -> dict[str, Array]:
    """Returns how strange each clip is, by two scores; higher is stranger.

    Args:
        predictor: A model whose run holds a fit.
        samples: Questions; one about each clip is taken, with candidates where there is one.

    Returns:
        ``distance`` float[n]; and ``confidence`` float[m], 1 less the largest probability, of the
        m clips whose question has candidates, where there are any.
    """
    fitted = read_gaussian(_run(predictor))
    samples = one_a_clip(samples)
    out = {"distance": fitted.distance(query_features(predictor, samples))}
    if some := [s for s in samples if s.choices]:
        answered = predictor.predict(some, use_cache=False, errors="raise")
        out["confidence"] = 1 - np.array([max(p.probabilities or (1.0,)) for p in answered])
    return out


def warning(predictor: Predictor, sample: Sample) -> str | None:
    """Returns a line where a clip is unlike the training clips, None where it is not.

    Raises:
        CheckpointError: The run does not know its training clips.
        VideoError: The clip can't be read.
    """
    fitted = read_gaussian(_run(predictor))
    if sample.video is None:
        return None
    away = float(fitted.distance(query_features(predictor, [sample]))[0])
    if away <= fitted.threshold:
        return None
    return (
        f"this clip is unlike the training clips (distance {away:.1f}, of which"
        f" {fitted.threshold:.1f} is the usual limit): do not rely on the answer"
    )


def _run(predictor: Predictor) -> Path:
    if not predictor.settings.model.vision:
        raise SettingsError("the text-only control sees no clip, so none is strange to it")
    if predictor.run is None:
        raise CheckpointError(
            f"'{predictor.backbone.name}' has no run folder that could know its training clips"
        )
    return predictor.run.path
