"""What an answer costs on this machine: seconds to the first token, memory, operations."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mtrans.core.errors import SettingsError, VideoError
from mtrans.core.records import Sample
from mtrans.infer.foreign import ForeignPredictor
from mtrans.infer.predictor import Predictor
from mtrans.models.flops import count_flops
from mtrans.train.cost import peak_memory
from mtrans.train.sources import video_source
from mtrans.train.validation import to_device

COMPONENTS = ("vit", "qformer", "projection", "llm")
"""Parts of the model that share an answer's operations among them."""


@dataclass(frozen=True)
class AnswerCost:
    """The cost of one question about one clip, asked alone: an entry of scores.json.

    Attributes:
        first_token_ms: From frames in memory to the first token, the ViT included. Of a model of
            another kind from what its processor makes of them, here and below.
        answer_ms: From frames in memory to the whole answer: candidates scored, or text written.
        visual_tokens: Visual tokens the LLM sees.
        answer_flops: Operations of reading clip, prompt and answer once, as torch counts them;
            None where the right answer is not known, or nothing was counted.
        component_flops: The same by component: ``vit``, ``qformer``, ``projection``, ``llm``;
            empty for a model of another kind.
        peak_memory_mb: Highest memory of the process so far in MiB, or the GPU's.
        memory_kind: ``cuda`` or ``rss``.
    """

    first_token_ms: float
    answer_ms: float
    visual_tokens: int
    answer_flops: float | None
    peak_memory_mb: float
    memory_kind: str
    component_flops: Mapping[str, float] = field(default_factory=dict)


def answer_cost(
    predictor: Predictor, samples: Sequence[Sample], *, count: bool = True, warm: bool = False
) -> AnswerCost | None:
    """Asks the first question whose clip can be read, alone: once to warm up, then to measure.

    Args:
        predictor: One of our models, or of another kind.
        samples: Questions.
        count: Also count its operations, which takes longer than the answer itself.
        warm: The predictor has answered from a clip's frames before: leave out the first time.

    Returns:
        The cost; None where no clip can be read.
    """
    if isinstance(predictor, ForeignPredictor):
        return _foreign_cost(predictor, samples, count)
    source = video_source(predictor.backbone, predictor.settings)
    for sample in samples:
        try:
            item = predictor._items([sample], source)[0]
        except VideoError:
            continue
        break
    else:
        return None
    if not warm:  # cold where answers were reused, or features came from the cache
        predictor._answer([item])
    (answered,) = predictor._answer([item])
    longest, predictor.max_new_tokens = predictor.max_new_tokens, 1
    try:
        began = time.monotonic()
        predictor._answer([(dataclasses.replace(sample, choices=None, label=None), *item[1:])])
        first = 1000 * (time.monotonic() - began)
    finally:
        predictor.max_new_tokens = longest
    memory, kind = peak_memory(predictor.device)  # counting takes attention apart, and more of it
    counted: dict[str, float] = {}
    if count and sample.answer is not None:
        batch = to_device(predictor.collate([item]), predictor.device)
        counted = count_flops(predictor.backbone.model, batch)
    return AnswerCost(
        first_token_ms=round(first, 3),
        answer_ms=answered.ms or 0.0,
        visual_tokens=answered.tokens["visual"],
        answer_flops=counted.get("all"),
        peak_memory_mb=round(memory, 1),
        memory_kind=kind,
        component_flops={name: counted[name] for name in COMPONENTS if name in counted},
    )


def _foreign_cost(
    predictor: ForeignPredictor, samples: Sequence[Sample], count: bool
) -> AnswerCost | None:
    for sample in samples:
        if predictor.predict_one(sample, "record").error is None:
            break
    else:
        return None
    answered = predictor.predict_one(sample, "raise")
    kept = predictor.max_new_tokens, predictor.likelihood
    predictor.max_new_tokens, predictor.likelihood = 1, False  # the prompt stays, candidates listed
    try:
        first = predictor.predict_one(sample, "raise")
    finally:
        predictor.max_new_tokens, predictor.likelihood = kept
    memory, kind = peak_memory(predictor.device)
    flops = None
    if count and sample.answer is not None:
        with contextlib.suppress(SettingsError):  # it can't be run on a prompt with an answer
            flops = predictor.count_flops(sample, sample.answer)
    return AnswerCost(
        first_token_ms=first.ms or 0.0,
        answer_ms=answered.ms or 0.0,
        visual_tokens=answered.tokens["visual"],
        answer_flops=flops,
        peak_memory_mb=round(memory, 1),
        memory_kind=kind,
    )
