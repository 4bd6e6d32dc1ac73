"""The plain path that people use, to be timed beside ours.

transformers' `InstructBlipVideoForConditionalGeneration`, a PEFT adapter on the Q-Former's
attention, PyAV that decodes the whole file and keeps evenly spread frames (as LLaMA-Factory's
`mm_plugin` and the recipes of transformers do), prompts tokenised for each batch. Weights, targets
and rank are ours. Frozen parts have no gradient; nothing is slower than its authors left it.

The model's own processor can't be used as it is: its video part needs torchvision, and its text
part always writes the places of four frames. So the same image processor is called with the frames
of a clip, and the places are written here.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig, get_peft_model
from torch import Tensor
from torch.utils.data import Dataset
from transformers import (
    AutoTokenizer,
    BlipImageProcessorPil,
    InstructBlipVideoConfig,
    InstructBlipVideoForConditionalGeneration,
    LogitsProcessorList,
)

from mtrans.core.records import Sample
from mtrans.core.settings import LoraSettings, ModelSettings, PromptSettings
from mtrans.data.prompts import build_prompt
from mtrans.models.loading import read_config
from mtrans.models.lora import target_pattern

IGNORED = -100


def decode_all(path: str, frames: int) -> list[NDArray[np.uint8]]:
    """Decodes a whole file and keeps evenly spread frames.

    Args:
        path: The file.
        frames: How many.

    Returns:
        uint8[H, W, 3] each.
    """
    with av.open(path) as container:
        stream = container.streams.video[0]
        total = stream.frames
        if not total:
            total = sum(1 for _ in container.decode(stream))
            container.seek(0)
        wanted = set(np.linspace(0, total - 1, min(frames, total)).astype(np.int32).tolist())
        kept = [
            cast("NDArray[np.uint8]", frame.to_ndarray(format="rgb24"))
            for i, frame in enumerate(container.decode(stream))
            if i in wanted
        ]
    return [*kept, *kept[-1:] * (frames - len(kept))]


def video_config(image: Any) -> InstructBlipVideoConfig:
    """Returns the video model's config to an InstructBLIP config; weights have the same names."""
    return InstructBlipVideoConfig(
        vision_config=image.vision_config.to_dict(),
        qformer_config=image.qformer_config.to_dict(),
        text_config=image.text_config,
        num_query_tokens=image.num_query_tokens,
        video_token_index=image.image_token_index,
    )


def build_peer(image: Any) -> Any:
    """Returns the peer's model with random weights, attention as plain products."""
    config = video_config(image)
    return InstructBlipVideoForConditionalGeneration._from_config(
        config, attn_implementation="eager"
    )


@contextlib.contextmanager
def quiet_peft() -> Iterator[None]:
    """Keeps away a warning: peft asks for a name that transformers is about to drop."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing")
        yield


class Peer:
    """Model, tokenizers and image processor, as people put them together.

    Args:
        folder: A checkpoint in InstructBLIP's form.
        device: Where to.
        dtype: Of the weights.
        attention: Attention of all parts, as transformers names it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        attention: str = "sdpa",
    ):
        made = read_config(str(folder))
        self.model: Any = InstructBlipVideoForConditionalGeneration.from_pretrained(
            folder, config=video_config(made), dtype=dtype, attn_implementation=attention
        )
        self.model.requires_grad_(False).eval().to(device)
        self.device = torch.device(device)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.qformer_tokenizer = AutoTokenizer.from_pretrained(folder / "qformer_tokenizer")
        self.images = BlipImageProcessorPil.from_pretrained(folder)
        self.queries, self.place = made.num_query_tokens, made.image_token_index

    def adapt(self, lora: LoraSettings) -> None:
        """Puts pairs of low rank on the Q-Former's attention, as ours are but for time.

        Args:
            lora: Rank, scale, targets.
        """
        config = LoraConfig(
            r=lora.rank,
            lora_alpha=int(lora.alpha),
            lora_dropout=lora.dropout,
            target_modules=target_pattern(lora),
        )
        with quiet_peft():
            self.model = get_peft_model(self.model, config)
        for parameter in self.model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()

    def pixels(self, frames: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Prepares frames: float[T, 3, H, W]."""
        prepared: Tensor = self.images(list(frames), return_tensors="pt")["pixel_values"]
        return prepared

    def collate(self, items: Sequence[tuple[Sample, Tensor]]) -> dict[str, Tensor]:
        """Makes a training batch.

        Args:
            items: Samples with pixels float[T, 3, H, W].

        Returns:
            Keywords of `forward`, labels included.
        """
        return self._batch(items, [f" {sample.answer}" for sample, _ in items])

    def prompts(self, items: Sequence[tuple[Sample, Tensor]]) -> dict[str, Tensor]:
        """Makes a batch to generate from, padded on the left."""
        return self._batch(items, None)

    @torch.no_grad()
    def generate(self, batch: dict[str, Tensor], *, tokens: int, watch: Any = None) -> Tensor:
        """Writes greedily: int[B, S + new].

        Args:
            batch: From :meth:`prompts`.
            tokens: Tokens to write, whether or not the answer ends before.
            watch: A logits processor that is called at each token.
        """
        given = {name: value.to(self.device) for name, value in batch.items()}
        ids = self.model.generate(
            **given,
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            do_sample=False,
            logits_processor=LogitsProcessorList([watch] if watch else []),
            pad_token_id=self.tokenizer.pad_token_id,
        )
        return cast(Tensor, ids)

    @torch.no_grad()
    def score_each(self, item: tuple[Sample, Tensor]) -> list[float]:
        """Scores candidates as harnesses do: a pass over clip, prompt and answer for each.

        Returns:
            The summed log-likelihood of each candidate.
        """
        sample = item[0]
        scores = []
        for choice in sample.choices or ():
            batch = self._batch([item], [f" {choice}"])
            given = {name: value.to(self.device) for name, value in batch.items()}
            labels = given.pop("labels")
            scores += _likelihoods(self.model(**given).logits, labels)
        return scores

    @torch.no_grad()
    def score_once(self, items: Sequence[tuple[Sample, Tensor]]) -> list[list[float]]:
        """Scores candidates as a careful user would: the visual part once, candidates in a batch.

        Args:
            items: Samples with the same number of candidates each.

        Returns:
            For each sample the summed log-likelihood of each candidate.
        """
        counts = [len(sample.choices or ()) for sample, _ in items]
        rows = [item for item, n in zip(items, counts, strict=True) for _ in range(n)]
        answers = [f" {c}" for sample, _ in items for c in sample.choices or ()]
        wide = self._batch(rows, answers, with_pixels=False)
        labels = wide.pop("labels").to(self.device)
        asked = {name: value.to(self.device) for name, value in self._batch(items, None).items()}
        seen = self.model.get_video_features(
            asked["pixel_values"],
            qformer_input_ids=asked["qformer_input_ids"],
            qformer_attention_mask=asked["qformer_attention_mask"],
        )
        index = torch.arange(len(items)).repeat_interleave(torch.tensor(counts))
        seen.pooler_output = seen.pooler_output[index.to(self.device)]
        given = {name: value.to(self.device) for name, value in wide.items()}
        out = self.model(**given, pixel_values=None, mm_encoder_outputs={"video": seen})
        scores = _likelihoods(out.logits, labels)
        ends = np.cumsum(counts)
        return [scores[end - n : end] for end, n in zip(ends, counts, strict=True)]

    def _batch(
        self,
        items: Sequence[tuple[Sample, Tensor]],
        answers: Sequence[str] | None,
        *,
        with_pixels: bool = True,
    ) -> dict[str, Tensor]:
        texts = [
            build_prompt(sample, ModelSettings(), PromptSettings(), "tiny") for sample, _ in items
        ]
        read = self.qformer_tokenizer(
            [text.qformer_text for text in texts], padding=True, return_tensors="pt"
        )
        prompts = self.tokenizer([text.llm_text for text in texts])["input_ids"]
        ends: list[list[int]] = [[] for _ in items]
        if answers is not None:
            written = self.tokenizer(list(answers), add_special_tokens=False)["input_ids"]
            ends = [[*ids, self.tokenizer.eos_token_id] for ids in written]
        places = [self.place] * (self.queries * items[0][1].shape[0])
        rows = [[*places, *p, *e] for p, e in zip(prompts, ends, strict=True)]
        longest = max(map(len, rows))
        ids = torch.full((len(rows), longest), self.tokenizer.pad_token_id)
        seen, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED)
        for i, (row, end) in enumerate(zip(rows, ends, strict=True)):
            first = longest - len(row) if answers is None else 0
            ids[i, first : first + len(row)] = torch.tensor(row)
            seen[i, first : first + len(row)] = 1
            if end:
                labels[i, len(row) - len(end) : len(row)] = torch.tensor(end)
        batch = {
            "qformer_input_ids": read["input_ids"],
            "qformer_attention_mask": read["attention_mask"],
            "input_ids": ids,
            "attention_mask": seen,
        }
        if with_pixels:
            batch["pixel_values"] = torch.stack([pixels for _, pixels in items])
        return batch if answers is None else {**batch, "labels": labels}


def _likelihoods(logits: Tensor, labels: Tensor) -> list[float]:
    """Returns each row's summed log-likelihood of its labelled tokens."""
    wanted = labels[:, 1:]
    there = wanted != IGNORED
    each = logits[:, :-1].float().log_softmax(dim=-1)
    picked = each.gather(2, wanted.clamp(min=0)[..., None])[..., 0] * there
    return [float(total) for total in picked.sum(dim=1)]


class PeerClips(Dataset):
    """Samples decoded as they are asked for.

    Args:
        peer: Prepares the frames.
        samples: What to draw from.
        frames: Frames of a clip.
    """

    def __init__(self, peer: Peer, samples: Sequence[Sample], frames: int):
        self.peer = peer
        self.samples = list(samples)
        self.frames = frames

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Sample, Tensor]:
        """Returns a sample and its pixels float[T, 3, H, W]."""
        sample = self.samples[index]
        return sample, self.peer.pixels(decode_all(str(sample.video), self.frames))
