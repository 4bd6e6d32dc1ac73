"""A model loaded once, asked many times: the command line, the API and the web page share it.

    name -> load_predictor -> Predictor -- ask(video, question) --> Answer
                                        -- predict(samples) -----> Prediction, one a sample

Multiple choice is scored by the likelihood of every candidate, normalised over the candidates; open
questions are answered by greedy generation.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from mtrans.core import screen
from mtrans.core.calibration import Calibration, read_calibration, recalibrated, softmax
from mtrans.core.errors import VideoError
from mtrans.core.memory import keep_freed_memory
from mtrans.core.records import Prediction, Sample
from mtrans.core.runtime import pick_device, pick_kept
from mtrans.core.settings import RunSettings, load_settings
from mtrans.data.clips import Source
from mtrans.data.collate import Item, pad_id
from mtrans.data.dataset import ClipDataset, VideoSource
from mtrans.infer.answers import Answer, Said, asked, blank, check_abstention, failure
from mtrans.infer.conditions import Condition
from mtrans.infer.finding import as_image_model, find_adapter
from mtrans.infer.kept import KeptFeatures
from mtrans.models.loading import Backbone, load_backbone
from mtrans.models.lora import read_adapter
from mtrans.train.run_folder import RunFolder, read_settings
from mtrans.train.sources import (
    Encoder,
    feature_cache,
    make_collator,
    preprocess_settings,
    video_source,
)
from mtrans.train.validation import choice_log_likelihoods, chunks, scoring, to_device

Errors = Literal["record", "raise"]


class Predictor:
    """Answers questions with one model.

    Args:
        backbone: The model, with its adapter where it has one.
        settings: The run's settings: frames, prompt and switches.
        device: Where the model is.
        max_new_tokens: Longest generated answer, in tokens.
        run: The run folder it comes from, where it does.
        calibration: What makes probabilities of likelihoods; None is the plain softmax.
    """

    def __init__(
        self,
        backbone: Backbone,
        settings: RunSettings,
        *,
        device: torch.device | None = None,
        max_new_tokens: int = 32,
        run: RunFolder | None = None,
        calibration: Calibration | None = None,
    ):
        self.calibration = calibration
        self.backbone = backbone
        self.settings = settings
        self.device = device or next(backbone.model.parameters()).device
        self.max_new_tokens = max_new_tokens
        self.run = run
        self.collate = make_collator(backbone, settings)
        self.kept = _kept_features(backbone, settings, self.device)
        precision = settings.train.precision
        self.bf16 = precision == "bf16" or (precision == "auto" and self.device.type == "cuda")

    def ask(
        self,
        video: str | Path | None,
        question: str,
        choices: Sequence[str] | None = None,
        context: Said | None = None,
        start: float | None = None,
        end: float | None = None,
        abstain_below: float | None = None,
    ) -> Answer:
        """Answers one question.

        Args:
            video: The file; None asks without a video.
            question: The question.
            choices: Candidates; None generates an answer.
            context: Dialogue before the question, oldest turn first: `Turn` records, texts, or
                objects with ``text`` and ``speaker``.
            start: Start of the clip in seconds; None is the beginning.
            end: End of the clip in seconds; None is the end.
            abstain_below: Give no answer where the likeliest candidate is less likely than this.

        Returns:
            The answer.

        Raises:
            VideoError: The clip can't be read.
            ManifestError: The question is empty, or candidates or dialogue are not usable.
            SettingsError: `abstain_below` is no probability, or there are no candidates.
        """
        check_abstention(abstain_below, choices)
        sample = asked(video, question, choices, context, start, end)
        began, encoding = time.monotonic(), self._encoding()
        try:
            item = self._items([sample], self._frames())[0]
        except VideoError as error:  # nobody gave this question an id, so none is named
            raise VideoError(str(error).removeprefix("sample 'ask': ")) from None
        encoding = self._encoding() - encoding
        read_ms = 1000 * (time.monotonic() - began - encoding)
        (prediction,) = self._answer([item], encoding)
        shares, scores = prediction.probabilities, prediction.log_likelihoods
        abstained = bool(abstain_below is not None and shares and max(shares) < abstain_below)
        return Answer(
            text="" if abstained else prediction.answer,
            choice=None if abstained else prediction.choice,
            choices=sample.choices,
            probabilities=shares,
            raw_probabilities=softmax(scores) if scores else None,
            abstained=abstained,
            times=() if video is None else tuple(float(t) for t in item[2]),
            tokens=dict(prediction.tokens),
            ms=prediction.ms or 0.0,
            read_ms=read_ms,
        )

    def predict(
        self,
        samples: Iterable[Sample],
        *,
        batch_size: int = 32,
        progress: bool = False,
        errors: Errors = "record",
        use_cache: bool | None = None,
        condition: Condition | None = None,
    ) -> Iterator[Prediction]:
        """Answers many questions, in their order.

        Args:
            samples: The questions.
            batch_size: Questions answered together.
            progress: Show a progress bar.
            errors: What happens to a clip that can't be read: ``record`` gives a prediction with
                its `error` and parse ``failed``, which counts as wrong; ``raise`` stops.
            use_cache: Take features from the feature cache and put them there; None does as the
                run's training did.
            condition: What is done to clips and questions first, for a test of robustness.

        Yields:
            One prediction a sample.

        Raises:
            VideoError: A clip can't be read, with ``errors="raise"``.
        """
        condition = condition or Condition()
        samples = [condition.sample(s) for s in samples]
        source = condition.pixels(self, samples)
        bad: dict[str, str] = {}
        if source is None:
            source, bad = self._source(samples, errors, progress, use_cache)
        source = condition.source(source)
        with screen.progress("answering", progress) as step:
            done = 0
            for part in chunks(samples, batch_size):
                yield from self._predict_part(part, source, bad, errors, condition)
                done += len(part)
                if step is not None:
                    step(done, len(samples))

    def _source(
        self, samples: Sequence[Sample], errors: Errors, progress: bool, use_cache: bool | None
    ) -> tuple[Source, dict[str, str]]:
        """Opens the source of frames; returns it with the bad samples' reasons by id."""
        cached = self.settings.train.use_cache if use_cache is None else use_cache
        if not cached or not self.settings.model.vision or self.backbone.base.needs_pixels:
            return self._frames(), {}
        cache = feature_cache(self.backbone, self.settings)
        with screen.progress("reading clips", progress) as step:
            report = cache.fill(
                samples, Encoder(self.backbone, self.device), step, skip_bad=errors == "record"
            )
        return cache, {id_: clip.reason for clip in report.bad for id_ in clip.ids}

    def _predict_part(
        self,
        part: Sequence[Sample],
        source: Source,
        bad: dict[str, str],
        errors: Errors,
        condition: Condition,
    ) -> Iterator[Prediction]:
        reasons: dict[int, str] = {i: bad[s.id] for i, s in enumerate(part) if s.id in bad}
        items: list[Item] = []
        encoding = self._encoding()
        for i, sample in enumerate(part):
            if i in reasons:
                continue
            try:
                items += self._items([sample], source)
            except VideoError as error:
                if errors == "raise":
                    raise
                reasons[i] = str(error)
        made = condition.items(self, items)
        answers = iter(self._answer(made, self._encoding() - encoding))
        for i, sample in enumerate(part):
            yield failure(sample, reasons[i]) if i in reasons else next(answers)

    def _frames(self) -> Source:
        """Returns the source of frames without a cache on disk: files, each encoded once."""
        if self.kept is not None:
            return self.kept
        return video_source(self.backbone, self.settings)

    def _encoding(self) -> float:
        """Returns the seconds spent in the ViT so far, where it runs before the model."""
        return 0.0 if self.kept is None else self.kept.seconds

    def _items(self, samples: Sequence[Sample], source: Source) -> list[Item]:
        dataset = ClipDataset(samples, self.settings, source)
        return [dataset[i] for i in range(len(samples))]

    def _answer(self, items: Sequence[Item], encoding: float = 0.0) -> list[Prediction]:
        """Answers questions whose frames are there, multiple choice and open ones apart.

        Args:
            items: Samples with pixels or features.
            encoding: Seconds that features took, which are part of what the answers took.
        """
        answers: list[Prediction | None] = [None] * len(items)
        with scoring(self.backbone.model, device=self.device, bf16=self.bf16):
            for ask, has_choices in ((self._choose, True), (self._generate, False)):
                places = [i for i, item in enumerate(items) if bool(item[0].choices) == has_choices]
                if not places:
                    continue
                began = time.monotonic()
                made = ask([items[i] for i in places])
                ms = 1000 * ((time.monotonic() - began) / len(places) + encoding / len(items))
                for place, prediction in zip(places, made, strict=True):
                    answers[place] = dataclasses.replace(prediction, ms=round(ms, 3))
        return [answer for answer in answers if answer is not None]

    def _choose(self, items: Sequence[Item]) -> list[Prediction]:
        scores = choice_log_likelihoods(self.backbone.base, self.collate, items, self.device)
        return [self._chosen(item, score) for item, score in zip(items, scores, strict=True)]

    def _chosen(self, item: Item, score: Tensor) -> Prediction:
        sample = item[0]
        scored = dataclasses.replace(
            blank(sample), log_likelihoods=tuple(score.tolist()), parse="scored"
        )
        chosen = recalibrated(scored, self.calibration)
        answer_ids = self.collate.choice_ids(sample)[chosen.choice or 0]
        return dataclasses.replace(chosen, tokens=self._tokens(item, len(answer_ids)))

    def _generate(self, items: Sequence[Item]) -> list[Prediction]:
        batch = to_device(self.collate.prompts(items), self.device)
        tokenizer = self.backbone.tokenizer
        ids = self.backbone.base.generate(
            **batch,
            max_new_tokens=self.max_new_tokens,
            do_sample=False,
            num_beams=1,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=pad_id(tokenizer),
        )
        decoder_only = self.backbone.base.config.use_decoder_only_language_model
        # before the answer stands the prompt, or the decoder's start token
        ids = ids[:, batch["input_ids"].shape[1] if decoder_only else 1 :]
        texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
        ends = (ids == tokenizer.eos_token_id).int()
        lengths = torch.where(ends.any(dim=1), ends.argmax(dim=1) + 1, ids.shape[1]).tolist()
        return [
            dataclasses.replace(
                blank(item[0]),
                answer=text.strip(),
                parse="open",
                tokens=self._tokens(item, length),
            )
            for item, text, length in zip(items, texts, lengths, strict=True)
        ]

    def _tokens(self, item: Item, answer: int) -> dict[str, int]:
        prompt = self.collate.text_ids(item[0])[1]
        visual = self.backbone.base.visual_tokens(len(item[2]))
        return {"visual": visual, "prompt": len(prompt), "answer": answer}


def _kept_features(
    backbone: Backbone, settings: RunSettings, device: torch.device
) -> KeptFeatures | None:
    """Returns what keeps the features of the last clips; None where features are of no use."""
    if backbone.base.needs_pixels or not settings.model.vision:
        return None
    pixels = VideoSource(settings.frames, preprocess_settings(backbone), keep=0)
    grid = backbone.base.vision_model.embeddings
    shape = (int(grid.num_positions), int(grid.embed_dim))
    return KeptFeatures(pixels, Encoder(backbone, device), shape)


def load_predictor(
    name: str | Path,
    *,
    preset: str = "mtrans",
    settings: RunSettings | None = None,
    device: str = "auto",
    dtype: str = "auto",
    max_new_tokens: int = 32,
    calibrated: bool = True,
) -> Predictor:
    """Loads whatever can answer.

    Args:
        name: A run folder, an adapter folder, ``tiny``, a folder with a backbone, or the name of a
            published checkpoint. A run is loaded with the settings it was trained with. A backbone
            without an adapter is used as the image model it is: every frame on its own, then the
            mean.
        preset: Preset of the settings of a backbone without adapter.
        settings: Settings of a backbone without adapter, in place of a preset.
        device: Where to, as `RunSettings.device`.
        dtype: Of the frozen weights, as `RunSettings.dtype`; ``auto`` does as the run did.
        max_new_tokens: Longest generated answer, in tokens.
        calibrated: Calibrate probabilities where the run has a ``calibration.json``.

    Returns:
        The predictor.

    Raises:
        CheckpointError: Nothing there, not what it should be, or a run that is not finished.
        SettingsError: The device is not there.
    """
    keep_freed_memory()
    where = pick_device(device)
    folder, run = find_adapter(Path(name))
    if folder is None:
        settings = as_image_model(settings or load_settings(preset=preset))
        settings = dataclasses.replace(settings, backbone=str(name))
    else:
        settings = read_settings(folder)
    kept = pick_kept(
        settings.dtype if dtype == "auto" else dtype, where, precision=settings.train.precision
    )
    # the adapter's own record of its backbone and switches is what its weights fit
    fits = settings if folder is None else read_adapter(folder)
    backbone = load_backbone(
        fits.backbone,
        fits.model,
        adapter=folder,
        device=where,
        dtype=kept.dtype,
        mixed=kept.mixed,
        quantize=settings.quantize,
        offload=settings.offload,
    )
    if folder is not None:
        backbone.model.to(where)
    backbone.model.eval()
    calibration = read_calibration(run.path) if run is not None and calibrated else None
    return Predictor(
        backbone,
        settings,
        device=where,
        max_new_tokens=max_new_tokens,
        run=run,
        calibration=calibration,
    )


def as_predictor(model: Predictor | str | Path, **options: Any) -> Predictor:
    """Returns a predictor itself, or loads the one that a name means."""
    return model if isinstance(model, Predictor) else load_predictor(model, **options)
