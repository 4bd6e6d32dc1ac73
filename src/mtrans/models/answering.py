"""The LLM's side of the assembled model: places for visual tokens, loss, generation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from einops import rearrange, repeat
from torch import Tensor
from torch.nn import functional as F

from mtrans.core.errors import SettingsError

if TYPE_CHECKING:  # the mixin stands in front of a transformers class, which has the rest
    Base = Any
else:
    Base = object


def positions(attention_mask: Tensor) -> Tensor:
    """Position ids that count attended tokens only, so that padding anywhere changes nothing.

    Args:
        attention_mask: int[B, S].

    Returns:
        int[B, S].
    """
    return (attention_mask.long().cumsum(dim=1) - 1).clamp(min=0)


def answer_loss(logits: Tensor, targets: Tensor, num_items: Tensor | int | None) -> Tensor:
    """Cross-entropy over answer tokens.

    Args:
        logits: float[n, V].
        targets: int[n].
        num_items: What the sum is divided by; None divides by n.

    Returns:
        float[].
    """
    total = F.cross_entropy(logits.float(), targets, reduction="sum")
    count = max(targets.numel(), 1) if num_items is None else num_items
    return total / count


class AnsweringMixin(Base):
    """Adds the LLM's side to the assembled model."""

    def _llm_inputs(
        self,
        visual: Tensor,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        frame_mask: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Puts visual tokens into their places.

        Returns:
            Embeddings float[B, S, D] and attention mask int[B, S], in which the places of padded
            frames (`concat`) are closed.
        """
        embeds = self.get_input_embeddings()(input_ids)
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        place = input_ids == self.config.image_token_id
        tokens = visual.shape[1]
        if not bool((place.sum(dim=1) == tokens).all()):
            raise SettingsError(
                f"input_ids hold {place.sum(dim=1).tolist()} visual places, a clip gives {tokens};"
                f" start each prompt with {tokens} times token {self.config.image_token_id}"
            )
        embeds = embeds.masked_scatter(
            rearrange(place, "b s -> b s 1"), visual.to(embeds.device, embeds.dtype)
        )
        if frame_mask is not None and self.settings.pool == "concat":
            queries = int(self.config.num_query_tokens)
            there = repeat(frame_mask.to(attention_mask.dtype), "b t -> b (t q)", q=queries)
            attention_mask = attention_mask.masked_scatter(place, there)
        return embeds, attention_mask

    def _decode(
        self,
        embeds: Tensor,
        seen: Tensor,
        labels: Tensor | None,
        num_items: Tensor | int | None,
        all_logits: bool | None,
        **kwargs: Any,
    ) -> tuple[Tensor | None, Tensor | None]:
        hidden = self.language_model.base_model(
            inputs_embeds=embeds,
            attention_mask=seen,
            position_ids=positions(seen),
            use_cache=False,
            **kwargs,
        )[0]
        head = self.get_output_embeddings()
        loss = logits = None
        if labels is not None:
            # the vocabulary is projected at answer positions only: most of S is prompt
            targets = labels[:, 1:]
            answer = targets != -100
            loss = answer_loss(head(hidden[:, :-1][answer]), targets[answer], num_items)
        if all_logits or (all_logits is None and labels is None):
            logits = head(hidden)
        return loss, logits

    @torch.no_grad()
    def generate(
        self,
        pixel_values: Tensor | None = None,
        patch_features: Tensor | None = None,
        frame_times: Tensor | None = None,
        frame_mask: Tensor | None = None,
        qformer_input_ids: Tensor | None = None,
        qformer_attention_mask: Tensor | None = None,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **generate_kwargs: Any,
    ) -> Tensor:
        """Writes answers: greedy, beam or sampling, as transformers' `generate` is told.

        Args:
            pixel_values: float[B, T, 3, H, W]; or
            patch_features: float[B, T, P, Cv].
            frame_times: float[B, T] in seconds.
            frame_mask: bool[B, T].
            qformer_input_ids: int[B, L].
            qformer_attention_mask: [B, L].
            input_ids: int[B, S]: K image tokens and prompt; pad decoder-only prompts on the left.
            attention_mask: [B, S].
            **generate_kwargs: max_new_tokens, num_beams, do_sample, ...

        Returns:
            int[B, S + new]: as InstructBLIP's own `generate`, the prompt's ids come first with a
            decoder-only LLM (new tokens are ``ids[:, S:]``); with an encoder-decoder LLM the
            decoder's ids alone.
        """
        if input_ids is None:
            raise SettingsError("input_ids not given; pass visual places and prompt as token ids")
        visual, _ = self._visual(
            pixel_values,
            patch_features,
            frame_times=frame_times,
            frame_mask=frame_mask,
            qformer_input_ids=qformer_input_ids,
            qformer_attention_mask=qformer_attention_mask,
        )
        embeds, seen = self._llm_inputs(visual, input_ids, attention_mask, frame_mask)
        inputs = {"inputs_embeds": embeds, "attention_mask": seen}
        if self.config.use_decoder_only_language_model:
            inputs["input_ids"] = input_ids
        return cast(Tensor, self.language_model.generate(**inputs, **generate_kwargs))
