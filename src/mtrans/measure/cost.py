r"""What an answer costs in floating point operations: a formula, from config numbers alone.

A product of matrices m x k and k x n is 2 m k n operations; nothing else is counted, as torch's own
counter does (:mod:`mtrans.models.flops`, held equal to this by a test). For one clip of T frames
with P patches (CLS included), Q queries, L words in the Q-Former (N = Q + L), S places in the LLM:

    ViT            T (2 (P-1) 3 p^2 Cv + layers (8 P Cv^2 + 4 P^2 Cv + 4 P Cv F))
    spatial        f (4 C^2 (A + N) + 4 A N C)            A = N, in the last layer Q
    temporal       8 C^2 Q f + 4 Q f^2 C                  f = T, in the first layer 1: see below
    cross          T (4 C^2 Q + 4 P Cv C + 4 Q P C)       or, where cheaper,
                   T (4 C^2 Q + 4 Q C Cv + 4 h Q P Cv)    queries brought to the patches
                   and of r channels of mixing   4 C Cv r + 4 Q T r (C + h P)
    mixing         T (2 P Cv r + 54 (P-1) r)             the other way 2 T P Cv r on top
    feed-forward   4 C F (Q T + L f)                      words not in the last layer
    LLM            S (4 D (A + Akv) + 6 D F) + 4 S^2 A    a layer; masked half included
    LLM head       2 D V                                  for each token that is read off

Up to the first cross-attention all frames are equal, so one stands for all (f = 1), unless absolute
positions tell them apart. Backward: a product with a frozen matrix costs as much again, one of two
things that both depend on what is trained twice as much; the ViT costs nothing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from mtrans.core.settings import LoraSettings, ModelSettings
from mtrans.models.rules import (
    NEIGHBOURS,
    POSITION_HIDDEN,
    ROUTER_HIDDEN,
    SPATIAL_MASKS,
    TIME_SCALES,
    is_cheaper,
    masks_of_layer,
    query_count,
)

COMPONENTS = (
    "vit",
    "spatial",
    "temporal",
    "cross",
    "feed_forward",
    "connector",
    "projection",
    "llm_prompt",
    "llm_answer",
)
"""Parts of the model, in the order of the data; ``connector`` is routers, positions, patch mixing
and the pool, ``llm_answer`` the tokens of the answer with the vocabulary."""


@dataclass
class Flops:
    """Operations of one clip with one question, by component.

    Attributes:
        forward: Component -> operations.
        backward: Component -> operations of training that come on top.
    """

    forward: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    backward: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, component: str, count: float, back: float = 1.0) -> None:
        """Adds products; `back` is how often they are done again backward."""
        self.forward[component] += count
        self.backward[component] += back * count

    @property
    def answering(self) -> float:
        """Operations of one answer."""
        return sum(self.forward.values())

    @property
    def training(self) -> float:
        """Operations of one clip in a training step, without the ViT, whose features are cached."""
        forward = self.answering - self.forward["vit"]
        return forward + sum(self.backward.values())

    @property
    def backward_share(self) -> float:
        """Share of a training step that is backward."""
        return sum(self.backward.values()) / self.training


def flops(
    config: Any,
    model: ModelSettings | None = None,
    lora: LoraSettings | None = None,
    *,
    frames: int,
    words: int,
    prompt: int,
    answer: int = 1,
) -> Flops:
    """Computes what one clip with one question costs under connector `mqt` and its switches.

    Args:
        config: An InstructBLIP or BLIP-2 config; only its numbers are read.
        model: The switches.
        lora: The low-rank pairs; None is the model without an adapter.
        frames: `T`.
        words: `L`, tokens of the Q-Former's text; taken as 0 where it reads none.
        prompt: Tokens of the LLM's text before the answer.
        answer: Tokens of the answer, each read off the vocabulary.

    Returns:
        The operations.
    """
    model = model or ModelSettings()
    made = Flops()
    reads = model.fusion == "early" and config.model_type == "instructblip"
    patches = _vit(made, config.vision_config, frames if model.vision else 0)
    _qformer(made, config, model, lora, frames, words if reads else 0, patches)
    queries, width = query_count(config, model), config.qformer_config.hidden_size
    tokens = frames * queries if model.pool == "concat" else queries
    if model.pool in ("mean", "attention", "spread", "moments") and frames > 1:
        made.add("connector", 2 * frames * queries * width)
    made.add("projection", 2 * tokens * width * config.text_config.hidden_size)
    _llm(made, config.text_config, tokens + prompt, answer)
    return made


def cached_tokens(llm: Any, *, past: int, new: int = 1) -> float:
    """Operations of further tokens when the keys and values of what came before are kept.

    Args:
        llm: Config of a decoder-only LLM.
        past: Places before them.
        new: How many are run together.

    Returns:
        Operations, the vocabulary included.
    """
    linear, attention = _decoder_layer(llm)
    layers = llm.num_hidden_layers
    pairs = new * (past + new)
    return layers * (new * linear + pairs * attention) + new * _head(llm)


def _vit(made: Flops, vit: Any, frames: int) -> int:
    """Adds the ViT; returns `P`."""
    image = (vit.image_size // vit.patch_size) ** 2
    patches, width = image + 1, vit.hidden_size
    layer = 8 * patches * width**2 + 4 * patches**2 * width
    layer += 4 * patches * width * vit.intermediate_size
    embedding = 2 * image * 3 * vit.patch_size**2 * width
    made.add("vit", frames * (embedding + vit.num_hidden_layers * layer), back=0)
    return patches


def _qformer(
    made: Flops,
    config: Any,
    model: ModelSettings,
    lora: LoraSettings | None,
    frames: int,
    words: int,
    patches: int,
) -> None:
    q = config.qformer_config
    width, queries = q.hidden_size, query_count(config, model)
    if model.patch_mixing:
        low = frames * model.patch_mixing
        made.add("connector", 2 * patches * q.encoder_hidden_size * low)
        made.add("connector", 2 * NEIGHBOURS * (patches - 1) * low, 2)
        if not _brought(q, queries, patches):
            made.add("connector", 2 * patches * q.encoder_hidden_size * low, 2)
    same = not (model.mqt and model.temporal_position == "absolute")
    for i in range(q.num_hidden_layers):
        last = i == q.num_hidden_layers - 1
        f = 1 if i == 0 and same else frames
        everything = queries + words
        asking = queries if last else everything
        # in the first layer nothing that is trained stands before the projections
        back = 0.0 if i == 0 and same else 1.0
        form = model.routing_form
        masks = _masks(model, "spatial", i)
        times = masks if form == "average" and masks > 1 else 1
        made.add("spatial", 4 * f * width**2 * everything, back)
        made.add("spatial", 2 * f * width**2 * asking, back)
        made.add("spatial", 2 * f * width**2 * asking)
        made.add("spatial", times * 4 * f * asking * everything * width, 2)
        rows = {"query": asking, "key": everything, "value": everything, "output": asking}
        _pairs(made, "spatial", lora, width, {k: f * n for k, n in rows.items()}, width)
        _router(made, masks, width, f)
        _mixture(made, "spatial", masks, form, f * asking * everything)
        if model.mqt:
            tokens = asking if model.temporal_tokens == "all" else queries
            _temporal(made, model, lora, width, q.num_attention_heads, i, tokens, queries, f)
        if i % q.cross_attention_frequency == 0:
            _cross(made, q, lora, queries, frames, patches, model.patch_mixing)
        hidden = 4 * width * q.intermediate_size
        made.add("feed_forward", hidden * queries * frames)
        made.add("feed_forward", 0 if last else hidden * words * f)


def _temporal(
    made: Flops,
    model: ModelSettings,
    lora: LoraSettings | None,
    width: int,
    heads: int,
    layer: int,
    tokens: int,
    queries: int,
    frames: int,
) -> None:
    masks, form = _masks(model, "temporal", layer), model.routing_form
    times = masks if form == "average" and masks > 1 else 1
    made.add("temporal", 8 * width**2 * tokens * frames)
    made.add("temporal", times * 4 * tokens * frames**2 * width, 2)
    projections = ("query", "key", "value", "output")
    _pairs(made, "temporal", lora, width, dict.fromkeys(projections, tokens * frames), width)
    if model.temporal_position == "relative":
        made.add("connector", 2 * frames**2 * POSITION_HIDDEN * len(TIME_SCALES))
        made.add("connector", 2 * frames**2 * POSITION_HIDDEN * heads, 2)
    if masks > 1 and frames > 1:
        made.add("connector", 2 * frames * width)  # the mean over frames, which the router reads
    _router(made, masks, width, 1)
    _mixture(made, "temporal", masks, form, frames**2)


def _cross(
    made: Flops,
    q: Any,
    lora: LoraSettings | None,
    queries: int,
    frames: int,
    patches: int,
    mixing: int,
) -> None:
    width, image, heads = q.hidden_size, q.encoder_hidden_size, q.num_attention_heads
    asked = queries * frames
    made.add("cross", 4 * width**2 * asked)
    _pairs(made, "cross", lora, width, {"query": asked, "output": asked}, width)
    adapted = {t for t in ("key", "value") if lora is not None and t in lora.targets}
    if _brought(q, queries, patches):
        for name in ("key", "value"):
            made.add("cross", 2 * asked * width * image, 2 if name in adapted else 1)
            made.add("cross", 2 * width * image * mixing, 2 if name in adapted else 1)
        made.add("cross", 4 * heads * asked * patches * image)
        made.add("cross", 4 * asked * mixing * (width + heads * patches), 2)
        if lora is not None:  # pairs are added to the matrix first
            made.add("cross", len(adapted) * 2 * width * lora.rank * image, 2)
        return
    made.add("cross", 4 * patches * frames * image * width, 1 if mixing else 0)
    made.add("cross", 2 * asked * patches * width, 2 if mixing or "key" in adapted else 1)
    made.add("cross", 2 * asked * patches * width, 2 if mixing or "value" in adapted else 1)
    rows = patches * frames
    _pairs(made, "cross", lora, image, {"key": rows, "value": rows}, width)


def _brought(q: Any, queries: int, patches: int) -> bool:
    """Whether the queries are brought to the patches' space."""
    return is_cheaper(
        queries=queries, patches=patches, width=q.hidden_size,
        image_width=q.encoder_hidden_size, heads=q.num_attention_heads,
    )  # fmt: skip


def _pairs(
    made: Flops,
    component: str,
    lora: LoraSettings | None,
    wide_in: int,
    rows: dict[str, int],
    wide_out: int,
) -> None:
    """Adds the low-rank pairs of projections that so many rows go through."""
    if lora is None:
        return
    through = sum(rows.get(target, 0) for target in lora.targets)
    made.add(component, 2 * lora.rank * (wide_in + wide_out) * through, 2)


def _masks(model: ModelSettings, family: str, layer: int) -> int:
    """Masks that are mixed; 1 where nothing is routed."""
    if model.routing not in (family, "both"):
        return 1
    available = SPATIAL_MASKS if family == "spatial" else 1 + len(model.temporal_radii)
    return masks_of_layer(model, layer, available)


def _router(made: Flops, masks: int, width: int, rows: int) -> None:
    """Adds a router that looks at so many rows."""
    if masks > 1:
        made.add("connector", 2 * rows * ROUTER_HIDDEN * (width + masks), 2)


def _mixture(made: Flops, component: str, masks: int, form: str, pairs: int) -> None:
    """Adds the mixture of masks over so many pairs of places."""
    if masks > 1 and form != "average":
        made.add(component, 2 * masks * pairs)


def _llm(made: Flops, llm: Any, places: int, answer: int) -> None:
    if llm.model_type == "t5":
        _t5(made, llm, places, answer)
        return
    linear, attention = _decoder_layer(llm)
    layers = llm.num_hidden_layers
    made.add("llm_prompt", layers * places * linear)
    made.add("llm_prompt", layers * places**2 * attention, 2)
    # the first token is read off the prompt's last place; further ones are run themselves
    more, both = answer - 1, places + answer - 1
    made.add("llm_answer", layers * more * linear)
    made.add("llm_answer", layers * (both**2 - places**2) * attention, 2)
    made.add("llm_answer", answer * _head(llm))


def _decoder_layer(llm: Any) -> tuple[float, float]:
    """Returns a layer's operations for a place, and for a pair of places."""
    width = llm.hidden_size
    heads = llm.num_attention_heads
    each = getattr(llm, "head_dim", None) or width // heads
    kept = getattr(llm, "num_key_value_heads", None) or heads
    gated = llm.model_type != "opt"
    hidden = llm.intermediate_size if gated else llm.ffn_dim
    linear = 4 * width * each * (heads + kept) + (6 if gated else 4) * width * hidden
    return linear, 4 * heads * each


def _head(llm: Any) -> float:
    return float(2 * llm.hidden_size * llm.vocab_size)


def _t5(made: Flops, llm: Any, places: int, answer: int) -> None:
    width, inner = llm.d_model, llm.num_heads * llm.d_kv
    feed = (6 if llm.is_gated_act else 4) * width * llm.d_ff
    made.add("llm_prompt", llm.num_layers * places * (8 * width * inner + feed))
    made.add("llm_prompt", llm.num_layers * 4 * places**2 * inner, 2)
    layers = llm.num_decoder_layers
    made.add("llm_answer", layers * answer * (12 * width * inner + feed))
    made.add("llm_answer", layers * 4 * places * width * inner)
    made.add("llm_answer", layers * 4 * answer * (answer + places) * inner, 2)
    made.add("llm_answer", answer * 2 * width * llm.vocab_size)
