"""Samples and their frames -> the model's batch.

    input_ids   [v v v v][prompt ...   :][ left EOS]      v: placeholder of a visual token
    labels       - - - -  - - -  ... - -    left EOS      -: -100, no loss

An encoder-decoder LLM (Flan-T5) reads visual tokens and prompt and writes the answer elsewhere:

    input_ids   [v v v v][prompt ...   :][EOS]      labels   [left EOS]

Prompt and answer are tokenised apart and their ids joined, so that the boundary between them is the
same in training, in scoring of candidates and in generation, whatever the tokenizer would have
merged. Training pads on the right, generation of a decoder-only LLM on the left.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from mtrans.core.errors import ManifestError, SettingsError
from mtrans.core.records import Sample
from mtrans.core.settings import RunSettings
from mtrans.data.clips import Clip, clip_of
from mtrans.data.forms import as_tensor
from mtrans.data.prompts import answer_text, build_prompt, drop_oldest, pick_style

IGNORED = -100
"""Label without loss, as torch's and transformers' cross-entropy take it."""

Item: TypeAlias = tuple[Sample, "np.ndarray | Tensor", "np.ndarray | Tensor"]
"""A sample; pixels float[T, 3, H, W] or patch features float[T, P, Cv]; times float[T] in s."""

_Key: TypeAlias = tuple[Any, ...]


class Collator:
    """Builds the model's batch dictionary; called with a list of items it makes a training batch.

    Args:
        tokenizer: The LLM's tokenizer (transformers). What it puts before a text by itself (BOS) is
            kept; an EOS it adds after one is dropped where the answer follows.
        qformer_tokenizer: The Q-Former's; None for backbones whose Q-Former reads no text (BLIP-2):
            the batch then has no ``qformer_*`` entries.
        settings: The run's settings; prompt and model are used.
        image_token_id: Placeholder of a visual token in `input_ids`.
        visual_tokens: Frames (`T`) -> visual tokens (`K`).
        style: The backbone's prompt style.
        encoder_decoder: Whether the LLM has an encoder for the prompt, so that labels hold the
            answer alone.
        share: Whether questions about one clip share its frames in a batch, which then has
            `clip_rows` int[B], the row of the frames of each question, where fewer than B are left.

    Attributes:
        cut: Texts that were shortened to `prompt.max_text_tokens`: Counter of ``context`` (turns
            dropped) and ``question`` (a Q-Former text too long even without context).
        short: Clips that have fewer frames than were taken, so that some came twice.

    Raises:
        SettingsError: The tokenizer has no EOS token, or there is no such prompt style.
    """

    def __init__(
        self,
        tokenizer: Any,
        qformer_tokenizer: Any | None,
        settings: RunSettings,
        image_token_id: int,
        visual_tokens: Callable[[int], int],
        style: str,
        encoder_decoder: bool = False,
        share: bool = False,
    ):
        if tokenizer.eos_token_id is None:
            raise SettingsError(
                "the LLM's tokenizer has no EOS token; set one, answers end with it"
            )
        self.tokenizer = tokenizer
        self.qformer_tokenizer = qformer_tokenizer
        self.settings = settings
        self.image_token_id = image_token_id
        self.visual_tokens = visual_tokens
        self.style = pick_style(settings.prompt, style)
        self.encoder_decoder = encoder_decoder
        self.share = share
        self.cut: Counter[str] = Counter()
        self.short: set[Clip] = set()
        self._space = "" if _adds_space(tokenizer) else " "
        self._texts: dict[_Key, tuple[list[int], list[int]]] = {}
        self._answers: dict[str, list[int]] = {}

    def __call__(self, items: Sequence[Item]) -> dict[str, Tensor]:
        """Builds a training batch: prompts with answers, right-padded, labels on the answers.

        Args:
            items: Samples with frames.

        Returns:
            `pixel_values` float[B, T, 3, H, W] or `patch_features` float[B, T, P, Cv];
            `frame_times` float[B, T]; `frame_mask` bool[B, T]; `qformer_input_ids` and
            `qformer_attention_mask` int[B, L]; `input_ids`, `attention_mask`, `labels` int[B, S],
            with an encoder-decoder LLM `labels` int[B, A].

        Raises:
            ManifestError: A sample has no answer.
        """
        for sample, _, _ in items:
            if sample.answer is None:
                raise ManifestError(
                    f"sample '{sample.id}' has no answer; training needs one in each"
                )
        answers = [self.answer_ids(s.answer or "") for s, _, _ in items]
        return self._batch(items, answers, self.share)

    def prompts(self, items: Sequence[Item], *, share: bool | None = None) -> dict[str, Tensor]:
        """Builds a batch to generate from: prompts alone, without labels.

        Prompts of a decoder-only LLM, which goes on where they end, are left-padded.

        Args:
            items: Samples with frames; answers are not looked at.
            share: As the collator's own, which None takes.

        Returns:
            As :meth:`__call__`, less `labels`.
        """
        return self._batch(items, None, self.share if share is None else share)

    def length(self, sample: Sample) -> int:
        """Returns the tokens of all texts of a training sample: what its row of a batch holds."""
        answer = self.answer_ids(sample.answer or "")
        return sum(map(len, self.text_ids(sample))) + len(answer)

    def answer_ids(self, answer: str) -> list[int]:
        """Returns the tokens of an answer or candidate as they follow a prompt, EOS included."""
        if answer not in self._answers:
            text = self._space + answer_text(answer, self.style)
            ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
            self._answers[answer] = [*ids, self.tokenizer.eos_token_id]
        return self._answers[answer]

    def choice_ids(self, sample: Sample) -> list[list[int]]:
        """Returns the tokens of every candidate of a multiple-choice sample, EOS included."""
        return [self.answer_ids(choice) for choice in sample.choices or ()]

    def text_ids(self, sample: Sample) -> tuple[list[int], list[int]]:
        """Returns (Q-Former ids, prompt ids), each within `prompt.max_text_tokens`.

        Older turns of the context are left out first, whole; then the older half of the last turn,
        and so on. The question is never cut for the LLM; for the Q-Former its end is kept.
        """
        key = (sample.question, sample.context, sample.choices)
        if key not in self._texts:
            self._texts[key] = (
                self._fit(sample, self._qformer_ids),
                self._fit(sample, self._llm_ids),
            )
        return self._texts[key]

    def _fit(self, sample: Sample, encode: Callable[[Sample], list[int]]) -> list[int]:
        limit = self.settings.prompt.max_text_tokens
        ids = encode(sample)
        if len(ids) > limit and sample.context:
            self.cut["context"] += 1
        while len(ids) > limit and sample.context:
            sample = dataclasses.replace(sample, context=drop_oldest(sample.context))
            ids = encode(sample)
        if len(ids) > limit and encode == self._qformer_ids:
            self.cut["question"] += 1
            ids = ids[:1] + ids[len(ids) - limit + 1 :]  # [CLS] leads
        return ids

    def _qformer_ids(self, sample: Sample) -> list[int]:
        if self.qformer_tokenizer is None:
            return []
        prompt = build_prompt(sample, self.settings.model, self.settings.prompt, self.style)
        return list(self.qformer_tokenizer(prompt.qformer_text)["input_ids"])

    def _llm_ids(self, sample: Sample) -> list[int]:
        prompt = build_prompt(sample, self.settings.model, self.settings.prompt, self.style)
        ids = list(self.tokenizer(prompt.llm_text)["input_ids"])
        if self.encoder_decoder:  # its encoder was trained on texts with their EOS
            return ids
        while ids and ids[-1] == self.tokenizer.eos_token_id:
            ids.pop()
        return ids

    def heed_times(self, sample: Sample, times: np.ndarray) -> None:
        """Notes a clip that has fewer frames than were taken of it; `times` float[T] in seconds."""
        if not self.settings.model.vision or sample.video is None:
            return
        if np.unique(times).size < len(times):
            self.short.add(clip_of(sample))

    def heed_short(self) -> str | None:
        """Returns a line on clips that have fewer frames than are asked for, or None."""
        if not self.short:
            return None
        some = sorted(self.short, key=str)[0]
        return (
            f"warning: {len(self.short)} clip{'s' * (len(self.short) > 1)} with fewer frames than"
            f" frames.count={self.settings.frames.count}, so some are seen twice: {some.video}"
        )

    def _batch(
        self, items: Sequence[Item], answers: list[list[int]] | None, share: bool
    ) -> dict[str, Tensor]:
        rows_of = same_frames(items) if share else list(range(len(items)))
        first = [rows_of.index(row) for row in range(max(rows_of) + 1)]
        batch = pad_frames([items[place] for place in first])
        if len(first) < len(items):
            batch["clip_rows"] = torch.tensor(rows_of)
        frames = batch["frame_mask"].sum(dim=1)[rows_of].tolist()
        for sample, _, times in items:
            self.heed_times(sample, np.asarray(times))
        texts = [self.text_ids(sample) for sample, _, _ in items]
        if self.qformer_tokenizer is not None:
            pad = pad_id(self.qformer_tokenizer)
            rows = [qformer for qformer, _ in texts]
            ids, mask = pad_rows(rows, [[1] * len(r) for r in rows], pad, left=False)
            batch["qformer_input_ids"], batch["qformer_attention_mask"] = ids, mask
        most = self.visual_tokens(batch["frame_mask"].shape[1])
        rows, masks = [], []
        for place, (_, prompt) in enumerate(texts):
            answer = answers[place] if answers is not None and not self.encoder_decoder else []
            # under pool = concat a shorter clip has fewer visual tokens: the rest is masked
            own = self.visual_tokens(frames[place])
            rows.append([self.image_token_id] * most + prompt + answer)
            masks.append([1] * own + [0] * (most - own) + [1] * (len(prompt) + len(answer)))
        left = answers is None and not self.encoder_decoder
        ids, mask = pad_rows(rows, masks, pad_id(self.tokenizer), left=left)
        batch["input_ids"], batch["attention_mask"] = ids, mask
        if answers is not None:
            batch["labels"] = self._labels(rows, answers)
        return batch

    def _labels(self, rows: list[list[int]], answers: list[list[int]]) -> Tensor:
        """Returns int64[B, S] with answers at the ends of their rows, or int64[B, A] answers."""
        labels = answers
        if not self.encoder_decoder:
            labels = [
                [IGNORED] * (len(row) - len(answer)) + answer
                for row, answer in zip(rows, answers, strict=True)
            ]
        return pad_rows(labels, [[1] * len(row) for row in labels], IGNORED, left=False)[0]


def same_frames(items: Sequence[Item]) -> list[int]:
    """Finds items whose frames are the same memory, as a source gives them for one clip.

    Args:
        items: Samples with frames.

    Returns:
        For each item the number of its frames among the distinct ones, in order of first use.
    """
    rows: dict[tuple[Any, ...], int] = {}
    return [rows.setdefault(_memory(frames, times), len(rows)) for _, frames, times in items]


def _memory(frames: np.ndarray | Tensor, times: np.ndarray | Tensor) -> tuple[Any, ...]:
    """Returns what tells frames apart: where they lie, and when they were shown."""
    if isinstance(frames, Tensor):
        place: Any = (frames.data_ptr(), frames.stride())
    else:
        place = (frames.__array_interface__["data"][0], frames.strides)
    return place, tuple(frames.shape), frames.dtype, tuple(float(t) for t in times)


def pad_frames(items: Sequence[Item]) -> dict[str, Tensor]:
    """Stacks clips of different length; what is added is marked in `frame_mask`.

    Args:
        items: Samples with pixels float[T, 3, H, W] or features float[T, P, Cv] and times float[T].

    Returns:
        `pixel_values` or `patch_features` (float32, or bf16 where all are; zeros where padded),
        `frame_times` (the last time repeated), `frame_mask` (True for real frames).

    Raises:
        SettingsError: Pixels and features in one batch, or frames of different size.
    """
    clips = [as_tensor(frames) for _, frames, _ in items]
    times = [as_tensor(when) for _, _, when in items]
    shapes = {tuple(clip.shape[1:]) for clip in clips}
    if len(shapes) != 1:
        raise SettingsError(
            f"clips of different frame shapes in one batch: {sorted(shapes, key=str)}"
        )
    longest = max(len(clip) for clip in clips)
    rounded = all(clip.dtype == torch.bfloat16 for clip in clips)
    dtype = torch.bfloat16 if rounded else torch.float32
    stacked = torch.empty((len(clips), longest, *clips[0].shape[1:]), dtype=dtype)
    mask = torch.zeros((len(clips), longest), dtype=torch.bool)
    seconds = torch.zeros((len(clips), longest))
    for row, (clip, when) in enumerate(zip(clips, times, strict=True)):
        stacked[row, : len(clip)] = clip
        stacked[row, len(clip) :] = 0.0
        mask[row, : len(clip)] = True
        seconds[row, : len(clip)] = when
        seconds[row, len(clip) :] = when[-1]
    name = "pixel_values" if clips[0].ndim == 4 else "patch_features"
    return {name: stacked, "frame_times": seconds, "frame_mask": mask}


def pad_rows(
    rows: Sequence[Sequence[int]], masks: Sequence[Sequence[int]], pad: int, *, left: bool
) -> tuple[Tensor, Tensor]:
    """Pads rows of ids, and the mask of each row with zeros, to the longest.

    Args:
        rows: Token ids or labels.
        masks: 0 or 1 for each of them.
        pad: What fills the rows.
        left: Whether it is put before the row.

    Returns:
        int64[B, S] ids and int64[B, S] mask.
    """
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for place, (row, own) in enumerate(zip(rows, masks, strict=True)):
        span = slice(width - len(row), width) if left else slice(0, len(row))
        ids[place, span] = torch.tensor(row, dtype=torch.long)
        mask[place, span] = torch.tensor(own, dtype=torch.long)
    return ids, mask


def pad_id(tokenizer: Any) -> int:
    """Returns what rows are padded with: masked everywhere, so any id does.

    A tokenizer that names none (Llama's) has its EOS taken.
    """
    for token in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    return 0


def _adds_space(tokenizer: Any) -> bool:
    """Whether the tokenizer itself puts a space before a text (Llama's SentencePiece does).

    Adding another would give ids that never occur in running text.
    """
    ids = tokenizer("a", add_special_tokens=False)["input_ids"]
    first = tokenizer.convert_ids_to_tokens(ids)[0] if ids else ""
    return first.startswith(("▁", "Ġ"))
