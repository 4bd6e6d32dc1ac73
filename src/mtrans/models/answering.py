"""The LLM's side of the assembled model: places for visual tokens, loss, generation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from einops import rearrange, repeat
from torch import Tensor
from torch.nn import functional as F

from mtrans.core.errors import SettingsError
from mtrans.models.inputs import ModelInputs
from mtrans.models.routing import LayerRouting

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


def close_gaps(embeds: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Moves what is not attended behind what is, in its order.

    T5's relative positions count every place between two tokens, attended or not, and know no
    position ids: a gap would change the answer.

    Args:
        embeds: float[B, S, D].
        seen: int[B, S], 0 where not attended.

    Returns:
        Both in the new order.
    """
    order = (seen == 0).to(torch.uint8).argsort(dim=1, stable=True)
    return embeds.gather(1, repeat(order, "b s -> b s d", d=embeds.shape[2])), seen.gather(1, order)


@dataclass(frozen=True)
class LossForm:
    """What training makes of the cross-entropy of an answer token; the defaults leave it alone.

    Attributes:
        label_smoothing: Share of the target that is spread over the whole vocabulary (Szegedy et
            al., CVPR 2016).
        focal_gamma: Each token's loss is multiplied by ``(1 - p) ** gamma``, p the probability of
            the right token (Lin et al., ICCV 2017; for calibration Mukhoti et al., NeurIPS 2020).
    """

    label_smoothing: float = 0.0
    focal_gamma: float = 0.0


PLAIN = LossForm()


def answer_loss(
    logits: Tensor, targets: Tensor, num_items: Tensor | int | None, form: LossForm = PLAIN
) -> Tensor:
    """Cross-entropy over answer tokens.

    Args:
        logits: float[n, V].
        targets: int[n].
        num_items: What the sum is divided by; None divides by n.
        form: Label smoothing and focal weights.

    Returns:
        float[].
    """
    logits, smooth = logits.float(), form.label_smoothing
    if form.focal_gamma:
        losses = F.cross_entropy(logits, targets, reduction="none", label_smoothing=smooth)
        right = logits.log_softmax(dim=-1).gather(1, targets[:, None])[:, 0].exp()
        # away from 0, where a power below 1 has no derivative
        total = (losses * (1 - right).clamp(min=1e-6) ** form.focal_gamma).sum()
    else:
        total = F.cross_entropy(logits, targets, reduction="sum", label_smoothing=smooth)
    count = max(targets.numel(), 1) if num_items is None else num_items
    return total / count


class Read(NamedTuple):
    """A batch as the LLM reads it.

    Attributes:
        visual: Visual tokens float[B, K, D].
        routing: Routing probabilities of each layer of the Q-Former.
        embeds: float[B, S, D], visual tokens in their places.
        seen: int[B, S], 0 at padding and at the places of padded frames.
    """

    visual: Tensor
    routing: list[LayerRouting]
    embeds: Tensor
    seen: Tensor


class AnsweringMixin(Base):
    """Adds the LLM's side to the assembled model.

    Attributes:
        loss_form: What training makes of the cross-entropy; in evaluation it is left alone.
    """

    loss_form: LossForm = PLAIN

    def _loss(self, logits: Tensor, targets: Tensor, num_items: Tensor | int | None) -> Tensor:
        return answer_loss(logits, targets, num_items, self.loss_form if self.training else PLAIN)

    def _read(self, inputs: ModelInputs) -> Read:
        """Runs the visual part once and puts its tokens into their places."""
        ids = inputs.prompt
        visual, mask, routing = self.encode_clips(inputs)
        seen = inputs.attention_mask
        seen = torch.ones_like(ids) if seen is None else seen
        place = ids == self.config.image_token_id
        tokens = visual.shape[1]
        if not bool((place.sum(dim=1) == tokens).all()):
            raise SettingsError(
                f"input_ids hold {place.sum(dim=1).tolist()} visual places, a clip gives {tokens};"
                f" start each prompt with {tokens} times token {self.config.image_token_id}"
            )
        embeds = self.get_input_embeddings()(ids)
        embeds = embeds.masked_scatter(
            rearrange(place, "b s -> b s 1"), visual.to(embeds.device, embeds.dtype)
        )
        if mask is not None:
            seen = seen.masked_scatter(place, mask.to(seen.dtype))
        if not self.config.use_decoder_only_language_model:
            embeds, seen = close_gaps(embeds, seen)
        return Read(visual, routing or [], embeds, seen)

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
            loss = self._loss(head(hidden[:, :-1][answer]), targets[answer], num_items)
        if all_logits or (all_logits is None and labels is None):
            logits = head(hidden)
        return loss, logits

    def _encode_decode(
        self,
        embeds: Tensor,
        seen: Tensor,
        labels: Tensor | None,
        num_items: Tensor | int | None,
        all_logits: bool | None,
        **kwargs: Any,
    ) -> tuple[Tensor | None, Tensor | None]:
        """Answers with an encoder-decoder LLM; its logits stand at the answer anyway."""
        out = self.language_model(
            inputs_embeds=embeds, attention_mask=seen, labels=labels, use_cache=False, **kwargs
        )
        if labels is None:
            return None, out.logits
        answer = labels != -100
        return self._loss(out.logits[answer], labels[answer], num_items), out.logits

    @torch.no_grad()
    def generate(self, **inputs: Any) -> Tensor:
        """Writes answers: greedy, beam or sampling, as transformers' `generate` is told.

        Args:
            **inputs: Clips and prompts by the names in :class:`ModelInputs`; anything else is for
                transformers' `generate`: max_new_tokens, num_beams, do_sample, ...

        Returns:
            int[B, S + new]: as InstructBLIP's own `generate`, the prompt's ids come first with a
            decoder-only LLM (new tokens are ``ids[:, S:]``); with an encoder-decoder LLM the
            decoder's ids alone.

        Raises:
            SettingsError: No vision input, no prompt, or the wrong number of visual places.
        """
        asked, how = ModelInputs.split(inputs)
        if self.answers_itself:
            return cast(Tensor, self._own_generate(asked, int(how.get("pad_token_id") or 0)))
        read = self._read(asked)
        given = {"inputs_embeds": read.embeds, "attention_mask": read.seen}
        if self.config.use_decoder_only_language_model:
            given["input_ids"] = asked.prompt
        return cast(Tensor, self.language_model.generate(**given, **how))
