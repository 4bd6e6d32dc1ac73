"""Stage 3: Q-Former and projection of `tiny` learn to tell the frozen LLM what a still shows.

The ViT is finished by now, so its features are computed once. A step mixes captions that name
everything in a picture (dense) with typed questions; the loss counts every sample alike, however
long its answer. Types of question are drawn in proportion to their recent loss: what is learned
makes room for what is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mtrans.models.tiny.architecture import GRID, IMAGE_SIZE
from mtrans.models.tiny.steps import optimise
from mtrans.models.tiny.text import Pieces
from mtrans.models.tiny.vision import to_pixels

CAPTION_SHARE = 0.25

EARLY_SHARE = 0.25
"""Share of the bridge's steps that read the answer from the Q-Former's lower half. What a question
asks for is then found there already, and the upper layers have something to compare when the same
layers are run over time."""


@dataclass(frozen=True)
class Described:
    """Stills as the ViT sees them, with what is said about them.

    Attributes:
        features: bf16[n, P, Cv].
        captions: One a still.
        questions: Several a still.
        kinds: One of the corpus' kinds a still.
    """

    features: Tensor
    captions: list[str]
    questions: list[tuple[Any, ...]]
    kinds: list[str]


@dataclass(frozen=True)
class _Caption:
    text: str
    answer: str
    type: str = "describe"
    context: str = ""


class _Drawer:
    """Draws questions, types with a high recent loss more often.

    Args:
        questions: The questions of each still.
        rng: Source of the draws.
        floor: Added to every type's loss, so that no type is forgotten.
    """

    def __init__(self, questions: list[tuple[Any, ...]], rng: np.random.Generator, floor: float):
        self._rng, self._floor = rng, floor
        self._places: dict[str, list[tuple[int, Any]]] = {}
        for row, asked in enumerate(questions):
            for question in asked:
                self._places.setdefault(question.type, []).append((row, question))
        self._loss = dict.fromkeys(self._places, 1.0)

    def state(self) -> dict[str, Any]:
        """Returns the recent losses and the state of the source; see `steps.Memory`."""
        return {"loss": dict(self._loss), "rng": self._rng.bit_generator.state}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes a state back."""
        self._loss, self._rng.bit_generator.state = state["loss"], state["rng"]

    def draw(self, n: int) -> tuple[np.ndarray, list[Any]]:
        """Returns the stills' rows, int64[n], and the n questions."""
        rng, types = self._rng, list(self._places)
        weights = np.array([self._loss[t] + self._floor for t in types])
        drawn = [self._places[t] for t in rng.choice(types, size=n, p=weights / weights.sum())]
        picked = [places[int(rng.integers(len(places)))] for places in drawn]
        return np.array([row for row, _ in picked]), [question for _, question in picked]

    def learn(self, types: list[str], losses: list[float]) -> None:
        """Takes note of the losses of a step."""
        for kind in set(types):
            mine = float(np.mean([v for t, v in zip(types, losses, strict=True) if t == kind]))
            self._loss[kind] += 0.05 * (mine - self._loss[kind])


@torch.no_grad()
def describe(vit: Any, corpus: Any, rng: np.random.Generator, n: int) -> Described:
    """Draws n stills and computes their features.

    Args:
        vit: The trained ViT.
        corpus: Module with ``make_still`` and ``KINDS``.
        rng: Source of the stills.
        n: How many.
    """
    features, captions, questions, kinds = [], [], [], []
    for first in range(0, n, 250):
        drawn = rng.choice(corpus.KINDS, size=min(250, n - first), p=[0.6, 0.25, 0.15])
        stills = [corpus.make_still(rng, kind, size=IMAGE_SIZE, grid=GRID) for kind in drawn]
        pixels = to_pixels(np.stack([s.pixels for s in stills]))
        with torch.autocast("cpu", torch.bfloat16):
            features.append(vit(pixel_values=pixels).last_hidden_state.bfloat16())
        captions += [s.caption for s in stills]
        questions += [s.questions for s in stills]
        kinds += [s.kind for s in stills]
    return Described(torch.cat(features), captions, questions, kinds)


def train_bridge(
    model: Any, corpus: Any, pieces: Pieces, recipe: Any, *, log: Path, stage: str = "bridge"
) -> dict[str, float]:
    """Trains Q-Former, query tokens and projection in place; ViT and LLM stay as they are.

    Stage ``polish`` is the same once more, on fresh stills, from the whole depth, and with more of
    the questions that are still answered badly.

    Args:
        model: ``InstructBlipForConditionalGeneration``.
        corpus: The corpus module.
        pieces: The tokenizer.
        recipe: The recipe's settings.
        log: JSONL file.
        stage: ``bridge`` or ``polish``.

    Returns:
        Accuracy on held-out stills by question type.
    """
    model.requires_grad_(False)
    for part in (model.qformer, model.language_projection):
        part.requires_grad_(True)
    model.query_tokens.requires_grad_(True)
    rng = np.random.default_rng([recipe.seed, {"bridge": 5, "polish": 8}[stage]])
    steps, rate = getattr(recipe, f"{stage}_steps"), getattr(recipe, f"{stage}_rate")
    seen = describe(model.vision_model, corpus, rng, getattr(recipe, f"{stage}_stills"))
    held = describe(
        model.vision_model, corpus, np.random.default_rng([recipe.seed, 6]), recipe.watched
    )
    ask = corpus.DESCRIBE
    drawer = _Drawer(seen.questions, rng, getattr(recipe, f"{stage}_floor"))
    n_captions = int(recipe.bridge_batch * CAPTION_SHARE)

    def loss_of_step(step: int) -> tuple[Tensor, dict[str, float]]:
        rows = rng.integers(len(seen.captions), size=n_captions)
        captions = [_Caption(ask, seen.captions[i]) for i in rows]
        early = stage == "bridge" and bool(rng.random() < EARLY_SHARE)
        caption = _loss(model, pieces, seen.features[rows], captions, early).mean()
        rows, asked = drawer.draw(recipe.bridge_batch - n_captions)
        each = _loss(model, pieces, seen.features[rows], asked, early)
        drawer.learn([q.type for q in asked], each.detach().tolist())
        question = each.mean()
        figures = {"caption": float(caption.detach()), "question": float(question.detach())}
        return caption + question, figures

    optimise(
        model.parameters(), loss_of_step, steps=steps, learning_rate=rate, log=log, stage=stage,
        check=lambda: accuracy(model, pieces, held), check_every=500,
        checkpoint=log.with_name(f"{stage}.ckpt"), memory=drawer,
    )  # fmt: skip
    return accuracy(model, pieces, held)


def evaluate_bridge(
    model: Any, corpus: Any, pieces: Pieces, *, seed: int, stills: int
) -> dict[str, float]:
    """Measures the finished model on stills that no stage has seen.

    Returns:
        Exact match of greedy answers by question type, their standard errors, and the number of
        questions of each type.
    """
    rng = np.random.default_rng([seed, 7])
    held = describe(model.vision_model, corpus, rng, stills)
    return accuracy(model, pieces, held, errors=True)


@torch.no_grad()
def accuracy(
    model: Any, pieces: Pieces, held: Described, *, errors: bool = False
) -> dict[str, float]:
    """Share of questions whose greedy answer is exactly right, by type and over shapes' types."""
    hits: dict[str, list[bool]] = {}
    flat = [(i, q) for i, asked in enumerate(held.questions) for q in asked]
    for first in range(0, len(flat), 250):
        part = flat[first : first + 250]
        rows = torch.tensor([i for i, _ in part])
        logits, labels = _forward(model, pieces, held.features[rows], [q for _, q in part])
        # an answer is what greedy decoding gives if and only if each of its tokens is the likeliest
        right = (logits.argmax(-1) == labels) | (labels == -100)
        for (_, question), ok in zip(part, right.all(1).tolist(), strict=True):
            hits.setdefault(question.type, []).append(ok)
    scores = {kind: float(np.mean(h)) for kind, h in sorted(hits.items())}
    if errors:
        for kind, h in sorted(hits.items()):
            scores[f"{kind}_standard_error"] = float(np.std(h) / len(h) ** 0.5)
            scores[f"{kind}_n"] = len(h)
    return scores


def _loss(
    model: Any, pieces: Pieces, features: Tensor, questions: list[Any], early: bool
) -> Tensor:
    """Returns the mean loss of each answer, float[n]."""
    logits, labels = _forward(model, pieces, features, questions, early)
    kept = labels != -100
    token = F.cross_entropy(
        logits.flatten(0, 1).float(), labels.flatten(), reduction="none", ignore_index=-100
    ).view(labels.shape)
    return token.sum(1) / kept.sum(1)


def _forward(
    model: Any, pieces: Pieces, features: Tensor, questions: list[Any], early: bool = False
) -> tuple[Tensor, Tensor]:
    """Returns next-token logits and labels over the answers' places, -100 elsewhere.

    `early` reads the queries after half of the Q-Former's layers.
    """
    texts = [pieces.qformer(q) for q in questions]
    ids = pieces.pad_rows(texts)
    mask = pieces.pad_rows([[1] * len(t) for t in texts], 0)
    batch, queries = len(questions), model.query_tokens.shape[1]
    layers = model.qformer(
        input_ids=ids,
        attention_mask=torch.cat([torch.ones(batch, queries, dtype=mask.dtype), mask], 1),
        query_embeds=model.query_tokens.expand(batch, -1, -1),
        encoder_hidden_states=features.float(),
        output_hidden_states=True,
    ).hidden_states
    seen = layers[(len(layers) - 1) // 2 if early else -1]
    visual = model.language_projection(seen[:, :queries])
    prompts = [pieces.prompt(q) for q in questions]
    answers = [pieces.answer(q.answer) for q in questions]
    rows = [p + a for p, a in zip(prompts, answers, strict=True)]
    text = model.get_input_embeddings()(pieces.pad_rows(rows))
    embeds = torch.cat([visual.to(text.dtype), text], 1)
    hidden = model.language_model.model(inputs_embeds=embeds).last_hidden_state
    # position k predicts token k + 1; only the answers' places go through the head
    labels = pieces.pad_rows(
        [[-100] * len(p) + a for p, a in zip(prompts, answers, strict=True)], -100
    )
    first = min(map(len, prompts))
    hidden = hidden[:, queries + first - 1 : -1]
    return model.language_model.lm_head(hidden), labels[:, first:]
