"""Texts -> pooled hidden states of a frozen language model, computed once and kept on disk.

    text --LM--> hidden states [layers, tokens, D] --mean | last token--> [layers, 2, D]

    <folder>/<key>/*.bin *.json    the states (see :mod:`mtrans.data.shards`)

The key covers the weights, the layers and the longest text; inside, a text is known by its hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mtrans.core.errors import SettingsError
from mtrans.data.cache import default_folder
from mtrans.data.shards import ShardStore, ShardWriter
from mtrans.study.text_control.lm import FrozenLM

Progress = Callable[[int, int], None]
"""Called with (texts done, texts in all)."""

POOLINGS = ("mean", "last")
"""Over all tokens of a text; its last token, where a language model would begin to answer."""

LAYERS = 5
"""Layers looked at where none are named."""

LONGEST = 1024
"""Tokens of a text at most; of a longer one the beginning is left out."""

BATCH_TOKENS = 2048


def pick_layers(count: int, wanted: Sequence[int] = ()) -> tuple[int, ...]:
    """Returns the layers to look at: those wanted, or five evenly spaced ones up to the last.

    Args:
        count: Blocks of the model.
        wanted: Layers; 0 is the embedding.

    Raises:
        SettingsError: One is not there.
    """
    for layer in wanted:
        if not 0 <= layer <= count:
            raise SettingsError(f"layer {layer}: the model has 0 (its embedding) to {count}")
    spaced = (round(count * part / LAYERS) for part in range(1, LAYERS + 1))
    return tuple(sorted({*wanted} or {max(1, layer) for layer in spaced}))


def hidden_states(
    lm: FrozenLM,
    texts: Sequence[str],
    layers: Sequence[int],
    *,
    folder: Path | None = None,
    batch_tokens: int = BATCH_TOKENS,
    progress: Progress | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Returns each text's pooled states; what a stopped call has computed is not done again.

    Args:
        lm: The model.
        texts: Any, in any order.
        layers: Which hidden states.
        folder: The cache; None is ``text-states`` in the user's cache folder.
        batch_tokens: Tokens read together, padding included.
        progress: Called with (texts done, texts in all) after each batch.

    Returns:
        Text -> float32[layers, 2, D], poolings in the order of :data:`POOLINGS`.

    Raises:
        CacheError: The cache can't be written, or is damaged.
    """
    longest = min(LONGEST, lm.longest)
    spec = f"{lm.hash} layers={','.join(map(str, layers))} longest={longest}"
    place = (folder or default_folder() / "text-states") / _hash(spec)[:20]
    store = ShardStore(place)
    store.remove_damaged()
    keys = {text: _hash(text) for text in texts}
    todo = [text for text, key in keys.items() if key not in store.entries]
    done = len(keys) - len(todo)
    with ShardWriter(place) as writer:
        for batch in _batches(lm, todo, longest, batch_tokens):
            some = [text for text, _ in batch]
            for text, states in zip(
                some, _read(lm, [ids for _, ids in batch], layers), strict=True
            ):
                writer.put(keys[text], states, np.zeros(0))
            done += len(batch)
            if progress is not None:
                progress(done, len(keys))
    store.refresh()
    return {text: np.asarray(store.get(key)[0]) for text, key in keys.items()}


def _batches(
    lm: FrozenLM, texts: Sequence[str], longest: int, batch_tokens: int
) -> Iterator[list[tuple[str, list[int]]]]:
    """Groups texts of like length, the longest first: what needs most memory fails at once."""
    if not texts:
        return
    ids = lm.tokenizer(list(texts), truncation=True, max_length=longest)["input_ids"]
    pairs = sorted(zip(texts, ids, strict=True), key=lambda pair: -len(pair[1]))
    while pairs:
        size = max(1, batch_tokens // max(1, len(pairs[0][1])))
        yield pairs[:size]
        pairs = pairs[size:]


@torch.inference_mode()
def _read(lm: FrozenLM, ids: Sequence[list[int]], layers: Sequence[int]) -> NDArray[np.float32]:
    """Returns float32[B, layers, 2, D]."""
    device = lm.model.device
    batch: Any = lm.tokenizer.pad({"input_ids": list(ids)}, return_tensors="pt").to(device)
    mask = batch["attention_mask"]
    found = lm.model(**batch, output_hidden_states=True, use_cache=False).hidden_states
    states = torch.stack([found[layer] for layer in layers], dim=1).float()  # [B, layers, L, D]
    lengths = mask.sum(1)
    weights = (mask / lengths[:, None]).to(states.dtype)
    mean = torch.einsum("b n l d, b l -> b n d", states, weights)
    last = states[torch.arange(len(ids), device=device), :, lengths - 1]
    pooled: NDArray[np.float32] = torch.stack([mean, last], dim=2).cpu().numpy()
    return pooled


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
