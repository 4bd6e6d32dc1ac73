"""Likelihood of given answers: the visual part once per clip, the prompt once, then the choices.

::

    [visual][prompt] --LLM, cached--> log p(first token of each choice)
    cache, one copy a choice + choice tokens --LLM--> log p(the other tokens)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mtrans.core.errors import SettingsError
from mtrans.models.answering import Base, positions
from mtrans.models.inputs import ModelInputs


class ScoringMixin(Base):
    """Adds `score_choices` to the assembled model."""

    @torch.no_grad()
    def score_choices(
        self, choices: Sequence[Sequence[Sequence[int] | Tensor]], **inputs: Any
    ) -> list[Tensor]:
        """Scores the candidate answers of each prompt.

        Args:
            choices: For each clip its candidates as token ids, end-of-sequence included where it
                shall count.
            **inputs: Clips and prompts by the names in :class:`ModelInputs`; prompts without
                answer, padded on either side.

        Returns:
            For each clip float[n choices]: the summed log-likelihood of each candidate's tokens.

        Raises:
            SettingsError: A prompt without candidates, or an empty candidate.
        """
        asked = ModelInputs(**inputs)
        input_ids = asked.prompt
        if len(choices) != len(input_ids) or not all(choices):
            raise SettingsError(
                f"{len(input_ids)} prompts and candidates for {[len(c) for c in choices]};"
                " give each prompt at least one candidate"
            )
        device = input_ids.device
        flat = [
            torch.as_tensor(c, dtype=torch.long, device=device) for group in choices for c in group
        ]
        if any(len(c) == 0 for c in flat):
            raise SettingsError("a candidate has no tokens; give each at least one")
        counts = [len(group) for group in choices]
        row = torch.arange(len(counts), device=device).repeat_interleave(
            torch.tensor(counts, device=device)
        )
        if self.answers_itself:
            return self._own_choices(choices, asked)
        answers = pad_sequence(flat, batch_first=True, padding_value=-100)
        read = self._read(asked)
        decoder_only = self.config.use_decoder_only_language_model
        score = self._score_decoder_only if decoder_only else self._score_encoder_decoder
        return list(score(read.embeds, read.seen, answers, row).split(counts))

    def _score_decoder_only(
        self, embeds: Tensor, seen: Tensor, answers: Tensor, row: Tensor
    ) -> Tensor:
        """Scores int[R, A] answers (padded with -100) of prompts `row` int[R]; float[R]."""
        llm, head = self.language_model.base_model, self.get_output_embeddings()
        place = positions(seen)
        longer = answers.shape[1] > 1
        out = llm(inputs_embeds=embeds, attention_mask=seen, position_ids=place, use_cache=longer)
        steps = torch.arange(seen.shape[1], device=seen.device)
        last = (seen.bool() * steps).argmax(dim=1)
        first = head(out[0][torch.arange(len(last), device=last.device), last])
        total = first.float().log_softmax(dim=-1)[row, answers[:, 0]]
        if not longer:
            return total
        cache = out.past_key_values
        cache.batch_select_indices(row)
        given, wanted = answers[:, :-1], answers[:, 1:]
        start = place.gather(1, last[:, None])[row] + 1
        ahead = torch.arange(given.shape[1], device=given.device)
        hidden = llm(
            inputs_embeds=self.get_input_embeddings()(given.clamp(min=0)),
            attention_mask=torch.cat([seen[row], (given >= 0).to(seen.dtype)], dim=1),
            position_ids=start + ahead,
            past_key_values=cache,
            use_cache=True,
        )[0]
        return total + self._gathered(head, hidden, wanted)

    def _score_encoder_decoder(
        self, embeds: Tensor, seen: Tensor, answers: Tensor, row: Tensor
    ) -> Tensor:
        encoded = self.language_model.get_encoder()(inputs_embeds=embeds, attention_mask=seen)
        encoded.last_hidden_state = encoded.last_hidden_state[row]
        logits = self.language_model(
            encoder_outputs=encoded, attention_mask=seen[row], labels=answers
        ).logits
        there = answers >= 0
        picked = (
            logits.float().log_softmax(dim=-1).gather(2, answers.clamp(min=0)[..., None])[..., 0]
        )
        return (picked * there).sum(dim=1)

    @staticmethod
    def _gathered(head: Any, hidden: Tensor, wanted: Tensor) -> Tensor:
        """Sums log p(wanted) over real tokens; hidden float[R, A, D], wanted int[R, A]."""
        there = wanted >= 0
        logp = head(hidden[there]).float().log_softmax(dim=-1)
        total = torch.zeros(wanted.shape, dtype=logp.dtype, device=logp.device)
        total[there] = logp.gather(1, wanted[there][:, None])[:, 0]
        return total.sum(dim=1)
