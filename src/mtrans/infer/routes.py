"""Which masks a model's routers choose for given questions: the probabilities alpha, by layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from mtrans.core.records import Sample
from mtrans.infer.predictor import Predictor
from mtrans.models.inputs import ModelInputs
from mtrans.train.validation import to_device

Routes = dict[tuple[str, int], NDArray[np.float64]]
"""(``temporal`` or ``spatial``, layer from 1) -> float[n, M], rows sum to one, mask 0 unbounded."""


@torch.inference_mode()
def routes(predictor: Predictor, samples: Sequence[Sample], batch_size: int = 64) -> Routes:
    """Runs the connector on questions and takes down what its routers say.

    Spatial routers speak of every frame; their probabilities are averaged over the frames.

    Args:
        predictor: A model with connector `mqt`; another has no routers.
        samples: Questions whose clips can be read.
        batch_size: Questions read together.

    Returns:
        The probabilities; nothing of layers and attentions that are not routed.

    Raises:
        VideoError: A clip can't be read.
    """
    source, _ = predictor._source(samples, "raise", False, None)
    found: dict[tuple[str, int], list[NDArray[np.float64]]] = {}
    for start in range(0, len(samples), batch_size):
        items = predictor._items(samples[start : start + batch_size], source)
        batch = to_device(predictor.collate.prompts(items), predictor.device)
        inputs, _ = ModelInputs.split(batch)
        for number, layer in enumerate(predictor.backbone.base.encode_video(inputs)[1], 1):
            for family, alpha in (("temporal", layer.temporal), ("spatial", layer.spatial)):
                if alpha is None:
                    continue
                rows = alpha.double().mean(dim=1) if family == "spatial" else alpha.double()
                found.setdefault((family, number), []).append(rows.cpu().numpy())
    return {key: np.concatenate(parts) for key, parts in found.items()}
