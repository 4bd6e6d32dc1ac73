"""The model card of `tiny`, written from what the recipe recorded."""

from __future__ import annotations

from typing import Any

_CARD = """---
license: apache-2.0
library_name: transformers
tags: [instructblip, synthetic]
---

# tiny

An image model with InstructBLIP's anatomy (transformers' `InstructBlipForConditionalGeneration`)
and {parameters:.1f} M parameters, small enough to travel inside this package. It exists so that
everything in mtrans can be tried, tested and studied offline on two cores.

**Trained on synthetic still images and synthetic text only**: rendered pictures of coloured
shapes, a drawn face, a drawn kitchen board, and generated text in the same small language. It has
never seen a clip, a second frame, or a photograph, and it knows a few hundred words. It is a test
bench with known truth, not a model of the world; do not use it to judge real pictures or real
people.

## Anatomy

ViT {vision} on 8 x 8 patches of 64 x 64 pixels; Q-Former {qformer} with {queries} queries and text,
cross-attention in every layer; Llama {llm}; byte-level BPE of {vocabulary} tokens.

## Recipe

`python -m mtrans.models.tiny.pretrain` runs it again (seed {seed}; `training.json` holds every
setting, `training_log.jsonl` the log).

| stage | what | steps x batch | learning rate | seconds (threads) |
|---|---|---|---|---|
{stages}

## Held-out stills

Exact match of greedy answers on {stills} fresh stills (never drawn in training), with standard
errors:

| question | accuracy % | questions |
|---|---|---|
{scores}
"""

_WHAT = {
    "language": "the LLM on text alone",
    "vision": "the ViT on stills, attributes of every patch",
    "bridge": "Q-Former and projection on stills, captions and questions; ViT and LLM frozen",
    "polish": "the same once more, on fresh stills",
}


def write_card(record: dict[str, Any], model: Any) -> str:
    """Returns the card as Markdown.

    Args:
        record: What ``training.json`` holds.
        model: The finished model.
    """
    recipe, held = record["recipe"], record["held_out"]
    config = model.config

    def size(part: Any) -> str:
        return f"{part.num_hidden_layers} x {part.hidden_size}"

    stages = "\n".join(
        f"| {name} | {what} | {recipe[f'{name}_steps']:,} x {_batch(recipe, name)}"
        f" | {recipe[f'{name}_rate']:g} | {_cost(record['stages'].get(name))} |"
        for name, what in _WHAT.items()
    )
    kinds = [name for name in held if f"{name}_n" in held]
    scores = "\n".join(
        f"| {name} | {100 * held[name]:.1f} ± {100 * held[f'{name}_standard_error']:.1f}"
        f" | {held[f'{name}_n']} |"
        for name in kinds
    )
    return _CARD.format(
        parameters=sum(p.numel() for p in model.parameters()) / 1e6,
        vision=size(config.vision_config),
        qformer=size(config.qformer_config),
        llm=size(config.text_config),
        queries=config.num_query_tokens,
        vocabulary=record["vocabulary"],
        seed=recipe["seed"],
        stages=stages,
        stills=f"{recipe['held_out']:,}",
        scores=scores,
    )


def _batch(recipe: dict[str, Any], stage: str) -> int:
    return int(recipe["bridge_batch" if stage == "polish" else f"{stage}_batch"])


def _cost(stage: dict[str, Any] | None) -> str:
    return f"{stage['seconds']:,} ({stage['threads']})" if stage else "-"
