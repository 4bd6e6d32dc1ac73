"""Answering against the plain path that people use: seconds until a person has the answer.

Both sides have the same weights and an adapter on the Q-Former. Each computes as it does for users:
on a processor ours from matrices in bf16 where that is fast, the peer in the checkpoint's fp32, as
`from_pretrained` leaves it; beside it the peer that was loaded in bf16, the faster arithmetic. They
start from the file, and turn by turn they are timed over

    first       the first word of an answer, from the file: read, encode, prompt
    whole       all words of it
    choices     the likelihood of four candidates, from the file
    follow-up   the same (first, whole, choices) of another question on the clip

The peer reads the file once as well: for a follow-up its pixels are in memory, as a careful user
keeps them. Its candidates are scored twice: with the visual part once and all candidates in a
batch, as transformers allows, and with a pass for each, as harnesses do.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from transformers import LogitsProcessorList

from mtrans.bench.peer import Peer, decode_all
from mtrans.core.records import Sample
from mtrans.core.runtime import pick_device, pick_dtype
from mtrans.core.settings import load_settings
from mtrans.data.collate import Item
from mtrans.infer.predictor import Predictor
from mtrans.train.adapter import fresh_backbone
from mtrans.train.validation import scoring, to_device

Times = dict[str, float]
"""What was timed -> seconds."""


@dataclass(frozen=True)
class AnswerSetup:
    """What both sides share.

    Attributes:
        checkpoint: Folder of the model.
        samples: Questions with candidates, on as many clips as the largest batch has.
        words: Tokens that are written.
        device: As `RunSettings.device`.
    """

    checkpoint: str
    samples: tuple[Sample, ...]
    words: int
    device: str = "auto"


class FirstWord:
    """Notes when the first token's scores are there; a logits processor that changes nothing."""

    def __init__(self, device: torch.device):
        self.device = device
        self.at: float | None = None

    def __call__(self, ids: Tensor, scores: Tensor) -> Tensor:
        """Returns the scores."""
        if self.at is None:
            wait(self.device)
            self.at = time.monotonic()
        return scores


class Ours:
    """Our side: a predictor.

    Args:
        setup: What is compared.
        frames: Frames of a clip.
    """

    def __init__(self, setup: AnswerSetup, frames: int):
        self.device = pick_device(setup.device)
        self.words = setup.words
        settings = load_settings(
            values={
                "backbone": setup.checkpoint,
                "device": setup.device,
                "frames.count": frames,
                "prompt.template": "tiny",
            }
        )
        backbone = fresh_backbone(settings, None, self.device)
        self.predictor = Predictor(backbone, settings, device=self.device)

    def with_frames(self, frames: int) -> Ours:
        """Returns the same model, asked with another number of frames."""
        made = object.__new__(Ours)
        made.device, made.words = self.device, self.words
        count = dataclasses.replace(self.predictor.settings.frames, count=frames)
        settings = dataclasses.replace(self.predictor.settings, frames=count)
        made.predictor = Predictor(self.predictor.backbone, settings, device=self.device)
        return made

    def write(self, samples: Sequence[Sample]) -> Times:
        """Answers in words, then another question on the same clips."""
        self._forget()
        began = time.monotonic()
        items = self._items(samples)
        read = time.monotonic() - began
        first, whole = self._write(items)
        other = self._items([another(s) for s in samples])
        again, again_whole = self._write(other)
        return {
            "first": read + first,
            "whole": read + whole,
            "follow-up, first": again,
            "follow-up, whole": again_whole,
        }

    def choose(self, samples: Sequence[Sample]) -> Times:
        """Scores candidates, then those of another question on the same clips."""
        self._forget()
        began = time.monotonic()
        self._choose(samples)
        once = time.monotonic() - began
        self._choose([another(s) for s in samples])
        return {"choices": once, "follow-up, choices": time.monotonic() - began - once}

    def _forget(self) -> None:
        assert self.predictor.kept is not None
        self.predictor.kept.clear()

    def _items(self, samples: Sequence[Sample]) -> list[Item]:
        return self.predictor._items(samples, self.predictor._frames())

    def _choose(self, samples: Sequence[Sample]) -> None:
        self.predictor._answer(self._items(samples))

    def _write(self, items: list[Item]) -> tuple[float, float]:
        model, collate = self.predictor.backbone.base, self.predictor.collate
        began, first = time.monotonic(), FirstWord(self.device)
        with scoring(self.predictor.backbone.model, device=self.device, bf16=self.predictor.bf16):
            model.generate(
                **to_device(collate.prompts(items), self.device),
                max_new_tokens=self.words,
                min_new_tokens=self.words,
                do_sample=False,
                pad_token_id=collate.tokenizer.pad_token_id,
                logits_processor=LogitsProcessorList([first]),
            )
        wait(self.device)
        return cast(float, first.at) - began, time.monotonic() - began


class Theirs:
    """The peer's side.

    Args:
        setup: What is compared.
        frames: Frames of a clip.
        dtype: Of its weights; None is bf16 on a GPU, fp32 on a processor.
    """

    def __init__(self, setup: AnswerSetup, frames: int, dtype: torch.dtype | None = None):
        self.device = pick_device(setup.device)
        self.frames, self.words = frames, setup.words
        dtype = dtype or pick_dtype("auto", self.device)
        self.peer = Peer(Path(setup.checkpoint), device=self.device, dtype=dtype)
        self.peer.adapt(load_settings().lora)
        self.peer.model.eval()

    def with_frames(self, frames: int) -> Theirs:
        """Returns the same model, asked with another number of frames."""
        made = object.__new__(Theirs)
        made.__dict__.update(self.__dict__, frames=frames)
        return made

    def write(self, samples: Sequence[Sample]) -> Times:
        """As :meth:`Ours.write`."""
        began = time.monotonic()
        items = self._items(samples)
        read = time.monotonic() - began
        first, whole = self._write(items)
        again, again_whole = self._write([(another(s), pixels) for s, pixels in items])
        return {
            "first": read + first,
            "whole": read + whole,
            "follow-up, first": again,
            "follow-up, whole": again_whole,
        }

    def choose(self, samples: Sequence[Sample]) -> Times:
        """As :meth:`Ours.choose`, the visual part once and all candidates in a batch."""
        return self._score(samples, lambda item: self.peer.score_once([item]))

    def choose_each(self, samples: Sequence[Sample]) -> Times:
        """As :meth:`choose`, with a pass for each candidate; a follow-up takes it as long."""
        return self._score(samples, self.peer.score_each, follow_up=False)

    def _score(
        self,
        samples: Sequence[Sample],
        score: Callable[[tuple[Sample, Tensor]], Any],
        *,
        follow_up: bool = True,
    ) -> Times:
        began = time.monotonic()
        items = self._items(samples)
        for item in items:
            score(item)
        wait(self.device)
        once = time.monotonic() - began
        if not follow_up:
            return {"choices": once}
        for sample, pixels in items:
            score((another(sample), pixels))
        wait(self.device)
        return {"choices": once, "follow-up, choices": time.monotonic() - began - once}

    def _items(self, samples: Sequence[Sample]) -> list[tuple[Sample, Tensor]]:
        return [(s, self.peer.pixels(decode_all(str(s.video), self.frames))) for s in samples]

    def _write(self, items: list[tuple[Sample, Tensor]]) -> tuple[float, float]:
        began, first = time.monotonic(), FirstWord(self.device)
        self.peer.generate(self.peer.prompts(items), tokens=self.words, watch=first)
        wait(self.device)
        return cast(float, first.at) - began, time.monotonic() - began


def another(sample: Sample) -> Sample:
    """Returns another question of the same length on the same clip."""
    return dataclasses.replace(sample, question=sample.question.replace("the", "that"))


def wait(device: torch.device) -> None:
    """Waits until a GPU is done; a CPU is."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
