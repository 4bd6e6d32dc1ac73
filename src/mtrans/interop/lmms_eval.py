"""The model that lmms-eval runs: ``lmms_eval --model mtrans --model_args pretrained=runs/x``.

Importing this module needs lmms-eval (github.com/EvolvingLMMs-Lab/lmms-eval, 0.7 or later), which
mtrans does not install; it finds the model through the entry point (:mod:`mtrans.interop.plugin`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts
from lmms_eval.api.model import lmms

from mtrans.core.errors import SettingsError
from mtrans.core.records import Prediction
from mtrans.infer.predictor import load_predictor
from mtrans.interop.lmms_requests import cut, open_question, questions_from


class LmmsModel(lmms):  # type: ignore[misc]
    """A run, an adapter or a backbone, asked by lmms-eval.

    Args:
        pretrained: What `mtrans eval` takes: a run folder, an adapter folder, ``tiny`` or the name
            of a checkpoint.
        device: As `RunSettings.device`.
        dtype: Of the frozen weights, as `RunSettings.dtype`.
        batch_size: Questions answered together.
        max_new_tokens: Longest generated answer where the task does not say.
        max_batch_size: Given by lmms-eval, not used.

    Raises:
        SettingsError: Started as several processes.
        CheckpointError: Nothing to load there.
    """

    is_simple = True

    def __init__(
        self,
        pretrained: str,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int | str = 32,
        max_new_tokens: int = 32,
        max_batch_size: int | None = None,
    ):
        super().__init__()
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise SettingsError(
                f"WORLD_SIZE is {os.environ['WORLD_SIZE']}; the model 'mtrans' runs in one process"
            )
        self.batch_size = int(batch_size) if str(batch_size).isdigit() else 32
        self.predictor = load_predictor(
            pretrained, device=device, dtype=dtype, max_new_tokens=int(max_new_tokens)
        )

    def loglikelihood(self, requests: list[Instance]) -> list[GenerationResult]:
        """Scores candidates.

        lmms-eval takes the *smallest* value for the model's choice: its models return a loss. So
        these are negative log-likelihoods, summed over the candidate's tokens.

        Args:
            requests: One a candidate.

        Returns:
            For each request, as `text`, the loss and whether it is the likeliest of its question's
            candidates. lmms-eval documents the bare pair, but 0.7.3 turns a pair into a text and
            then fails on it; a pair inside a `GenerationResult` comes through.

        Raises:
            RequestError: A request that this model can't answer.
            VideoError: A clip can't be read; lmms-eval has no way to count it as wrong.
        """
        questions = questions_from([r.args for r in requests], self._doc)
        results: dict[int, GenerationResult] = {}
        answers = self._answer([q.sample for q in questions])
        for question, answer in zip(questions, answers, strict=True):
            for n, place in enumerate(question.places):
                pair = (-(answer.log_likelihoods or ())[n], n == answer.choice)
                results[place] = GenerationResult(pair)
        return [results[place] for place in range(len(requests))]

    def generate_until(self, requests: list[Instance]) -> list[GenerationResult]:
        """Answers open questions, greedily whatever the task asks for.

        Args:
            requests: One a question.

        Returns:
            The answers with their counts of tokens.

        Raises:
            RequestError: A request that this model can't answer.
            VideoError: A clip can't be read.
        """
        usual = self.predictor.max_new_tokens
        results: dict[int, GenerationResult] = {}
        by_length: dict[int, list[int]] = {}
        for place, request in enumerate(requests):
            length = int(request.args[1].get("max_new_tokens") or usual)
            by_length.setdefault(length, []).append(place)
        try:
            for self.predictor.max_new_tokens, places in by_length.items():
                asked = [open_question(requests[n].args, self._doc, n) for n in places]
                for place, answer in zip(places, self._answer(asked), strict=True):
                    counts = TokenCounts(
                        input_tokens=answer.tokens["visual"] + answer.tokens["prompt"],
                        output_tokens=answer.tokens["answer"],
                    )
                    text = cut(answer.answer, requests[place].args[1])
                    results[place] = GenerationResult(text, counts)
        finally:
            self.predictor.max_new_tokens = usual
        return [results[place] for place in range(len(requests))]

    def generate_until_multi_round(self, requests: list[Instance]) -> list[str]:
        """Refuses: the model answers one question at a time.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError("the model 'mtrans' answers single questions, no dialogues")

    def _answer(self, samples: Sequence[Any]) -> list[Prediction]:
        return list(
            self.predictor.predict(
                samples, batch_size=self.batch_size, progress=True, errors="raise"
            )
        )

    def _doc(self, task: str, split: str, doc_id: Any) -> Any:
        return self.task_dict[task][split][doc_id]
