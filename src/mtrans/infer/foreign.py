"""Zero-shot answers of models that transformers loads by itself, under our sampling and parser.

    clip -load_clip-> frames -processor-> [chat template: video, or an image a frame; the question
    with its choices] -generate, greedy-> text -parse_answer-> Prediction

LLaVA, LLaVA-OneVision, LLaVA-NeXT-Video, InternVL, Qwen-VL, SmolVLM, VideoLLaMA3 and others: see
:mod:`mtrans.infer.foreign_checkpoint`. Nothing is trained and nothing of their own sampling is
used, so that all contenders see the same frames.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from mtrans.core import screen
from mtrans.core.calibration import recalibrated
from mtrans.core.errors import CheckpointError, SettingsError, VideoError
from mtrans.core.records import Prediction, Sample
from mtrans.core.runtime import pick_device
from mtrans.core.settings import RunSettings
from mtrans.data.prompts import build_prompt, parse_answer
from mtrans.infer.answers import blank, failure
from mtrans.infer.conditions import Condition
from mtrans.infer.foreign_checkpoint import Foreign, open_checkpoint
from mtrans.infer.predictor import Errors, Predictor
from mtrans.models.flops import count_forward
from mtrans.video.clip import load_clip
from mtrans.video.container import Frames

PREFIX = "hf:"
"""What a model's name starts with on the command line when it is to be loaded here."""

STYLE = "instructblip"
"""Prompt style unless `prompt.template` says otherwise: dialogue, question, lettered options."""

SPLITS = ("crop_to_patches", "do_image_splitting")
"""What makes several pictures of one; the models' video processors leave a frame whole."""


class NothingCut:
    """Stands for the collator: the processor takes texts whole."""

    def heed_short(self) -> str | None:
        """Returns what to say of texts that were cut: nothing."""
        return None


class ForeignPredictor(Predictor):
    """Answers questions with a model of another kind, one question at a time.

    Args:
        foreign: The model.
        settings: Frames and prompt are used.
        device: Where the model is.
        max_new_tokens: Longest generated answer, in tokens.
        likelihood: Choose the likeliest candidate instead of reading the generated text.
    """

    def __init__(
        self,
        foreign: Foreign,
        settings: RunSettings,
        *,
        device: torch.device,
        max_new_tokens: int = 32,
        likelihood: bool = False,
    ):
        self.backbone: Any = foreign
        prompt = dataclasses.replace(settings.prompt, list_choices=True)
        self.settings = dataclasses.replace(settings, prompt=prompt, backbone=foreign.name)
        self.device = device
        self.max_new_tokens = max_new_tokens
        self.likelihood = likelihood
        self.calibration = None
        self.run = None
        self.collate: Any = NothingCut()

    def predict(
        self,
        samples: Iterable[Sample],
        *,
        batch_size: int = 1,
        progress: bool = False,
        errors: Errors = "record",
        use_cache: bool | None = None,
        condition: Condition | None = None,
    ) -> Iterator[Prediction]:
        """As :meth:`Predictor.predict`; one by one, whatever `batch_size`, and without a cache.

        Yields:
            One prediction a sample.

        Raises:
            SettingsError: A condition: tests of robustness are for our own models.
            VideoError: A clip can't be read, with ``errors="raise"``.
            CheckpointError: The processor can't be used as it is.
        """
        if condition is not None:
            raise SettingsError(f"'{self.backbone.name}' can't be tested under a condition")
        samples = list(samples)
        with screen.progress("answering", progress) as step:
            for done, sample in enumerate(samples, 1):
                yield self.predict_one(sample, errors)
                if step is not None:
                    step(done, len(samples))

    def predict_one(self, sample: Sample, errors: Errors) -> Prediction:
        """Answers one question.

        Raises:
            VideoError: Its clip can't be read, with ``errors="raise"``.
            CheckpointError: The processor can't be used as it is.
        """
        try:
            frames = self._clip(sample)
        except VideoError as error:
            if errors == "raise":
                raise
            return failure(sample, str(error))
        inputs = self._inputs(sample, frames)
        began = time.monotonic()
        with torch.inference_mode():
            made = (
                self._likeliest(sample, inputs)
                if self.likelihood and sample.choices
                else self._say(sample, inputs)
            )
        return dataclasses.replace(made, ms=round(1000 * (time.monotonic() - began), 3))

    def count_flops(self, sample: Sample, answer: str) -> float:
        """Counts the operations of reading clip, prompt and answer once.

        Raises:
            VideoError: The clip can't be read.
            SettingsError: The model can't be run on a prompt with an answer.
        """
        inputs = self._inputs(sample, self._clip(sample))
        ids = self.backbone.processor.tokenizer(answer, add_special_tokens=False)["input_ids"]
        return count_forward(self.backbone.model, lambda: self._log_likelihood(inputs, ids))

    def _clip(self, sample: Sample) -> Frames | None:
        if sample.video is None:
            return None
        return load_clip(sample.video, self.settings.frames, sample.start, sample.end)

    def _inputs(self, sample: Sample, frames: Frames | None) -> dict[str, Tensor]:
        """Returns what the model is given: the chat of one question, as tensors."""
        processor, model = self.backbone.processor, self.settings.model
        text = build_prompt(sample, model, self.settings.prompt, STYLE).llm_text
        seen, given = _vision(processor, frames)
        content = [*seen, {"type": "text", "text": text}]
        chat = [{"role": "user", "content": content}]
        try:
            prompt = processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
        except ValueError as error:
            raise CheckpointError(
                f"'{self.backbone.name}' can't be asked, it has no chat template; use a checkpoint"
                " that was tuned to follow instructions"
            ) from error
        made = processor(text=[prompt], return_tensors="pt", **given)
        dtype = self.backbone.model.dtype
        return {
            name: value.to(self.device, dtype if value.is_floating_point() else None)
            for name, value in made.items()
            if isinstance(value, Tensor)
        }

    def _say(self, sample: Sample, inputs: dict[str, Tensor]) -> Prediction:
        tokenizer = self.backbone.processor.tokenizer
        ids = self.backbone.model.generate(
            **inputs,
            max_new_tokens=self.max_new_tokens,
            do_sample=False,
            num_beams=1,
            pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id,
        )[0, inputs["input_ids"].shape[1] :]
        text = tokenizer.decode(ids, skip_special_tokens=True).strip()
        said = dataclasses.replace(
            blank(sample), answer=text, parse="open", tokens=self._counts(inputs, len(ids))
        )
        if not sample.choices:
            return said
        choice = parse_answer(text, sample.choices)
        return dataclasses.replace(
            said, choice=choice, parse="failed" if choice is None else "parsed"
        )

    def _likeliest(self, sample: Sample, inputs: dict[str, Tensor]) -> Prediction:
        tokenizer = self.backbone.processor.tokenizer
        choices = sample.choices or ()
        ids = [tokenizer(c, add_special_tokens=False)["input_ids"] for c in choices]
        scores = tuple(self._log_likelihood(inputs, answer) for answer in ids)
        scored = dataclasses.replace(blank(sample), log_likelihoods=scores, parse="scored")
        made = recalibrated(scored, None)
        tokens = self._counts(inputs, len(ids[made.choice or 0]))
        return dataclasses.replace(made, tokens=tokens)

    def _log_likelihood(self, inputs: dict[str, Tensor], answer: list[int]) -> float:
        """Returns the summed log-likelihood of an answer's tokens after the prompt."""
        prompt = inputs["input_ids"]
        more = torch.tensor([answer], device=prompt.device)
        longer = {**inputs, "input_ids": torch.cat([prompt, more], dim=1)}
        for name, value in inputs.items():  # masks and types of tokens grow along
            if name != "input_ids" and value.shape == prompt.shape:
                tail = torch.full_like(more, 1 if name == "attention_mask" else 0)
                longer[name] = torch.cat([value, tail.to(value.dtype)], dim=1)
        logits = self.backbone.model(**longer).logits
        if logits.shape[1] != longer["input_ids"].shape[1]:
            raise SettingsError(
                f"'{self.backbone.name}' does not score candidates; leave --likelihood away"
            )
        logp = logits[0, prompt.shape[1] - 1 : -1].float().log_softmax(dim=-1)
        return float(logp.gather(1, more[0][:, None]).sum())

    def _counts(self, inputs: dict[str, Tensor], answer: int) -> dict[str, int]:
        config = self.backbone.model.config
        places = 0
        for name in ("image_token_id", "image_token_index", "video_token_id", "video_token_index"):
            token = config.__dict__.get(name)
            places += int((inputs["input_ids"] == token).sum()) if token is not None else 0
        prompt = inputs["input_ids"].shape[1] - places
        return {"visual": places, "prompt": prompt, "answer": answer}


def load_foreign(
    name: str,
    settings: RunSettings,
    *,
    device: str = "auto",
    max_new_tokens: int = 32,
    likelihood: bool = False,
) -> ForeignPredictor:
    """Loads a model that transformers knows.

    Args:
        name: A folder, or the name of a published checkpoint; with or without ``hf:``.
        settings: Frames, prompt and dtype are used.
        device: Where to, as `RunSettings.device`.
        max_new_tokens: Longest generated answer, in tokens.
        likelihood: Choose the likeliest candidate instead of reading the generated text.

    Returns:
        The predictor.

    Raises:
        CheckpointError: Nothing there, not such a model, or a package that it needs is missing.
    """
    where = pick_device(device)
    foreign = open_checkpoint(name.removeprefix(PREFIX), settings.dtype, where)
    return ForeignPredictor(
        foreign, settings, device=where, max_new_tokens=max_new_tokens, likelihood=likelihood
    )


def _vision(processor: Any, frames: Frames | None) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Returns a chat's vision entries and the processor's arguments for them."""
    if frames is None:
        return [], {}
    if getattr(processor, "video_processor", None) is None:
        images = [frame.copy() for frame in frames.pixels]
        known = processor.image_processor.valid_kwargs.__annotations__
        instead = "video_processor" in vars(processor)  # there would be one, with torchvision
        whole = {name: False for name in SPLITS if instead and name in known}
        return [{"type": "image"}] * len(images), {"images": [images], **whole}
    times = frames.times
    apart = float(times[-1] - times[0]) / max(len(times) - 1, 1)
    rate = 1 / apart if apart > 0 else 1.0
    about = {  # so that models that are told the time are told the right one
        "fps": rate,
        "total_num_frames": len(times),
        # not whole: rounded, centres of equal parts (0.5, 1.5, 2.5) would be 0, 2, 2
        "frames_indices": [float(t) * rate for t in times],
        "duration": float(times[-1]),
    }
    return [{"type": "video"}], {
        "videos": [frames.pixels.copy()],
        "video_metadata": [about],
        "do_sample_frames": False,
    }
