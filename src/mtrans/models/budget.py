"""How many parameters a design trains, and the size at which it trains a given number of them.

Counted on the meta device, so neither weights nor memory are needed. `model.budget` makes designs
comparable that would otherwise train anything from a few thousand to millions of parameters.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import torch

from mtrans.core.settings import LoraSettings, ModelSettings, RunSettings
from mtrans.models.connectors import CONNECTORS
from mtrans.models.loading import FAMILIES, read_config
from mtrans.models.lora import attach_adapter, trainable_parameters


def count_trained(config: Any, model: ModelSettings, lora: LoraSettings) -> int:
    """Counts what a design trains on a backbone.

    Args:
        config: The InstructBLIP or BLIP-2 config.
        model: The switches.
        lora: The low-rank pairs.

    Returns:
        Trained parameters; of a design with a classifier, with two classes.
    """
    made = without_weights(config, model)
    with torch.device("meta"):
        return trainable_parameters(attach_adapter(made, lora))["total"]


def without_weights(config: Any, model: ModelSettings) -> Any:
    """Builds a design on the meta device, to be counted; with one layer of the LLM.

    Args:
        config: The InstructBLIP or BLIP-2 config.
        model: The switches.

    Returns:
        The assembled model; a design with a classifier knows two answers.
    """
    slim = copy.deepcopy(config)
    slim.text_config.num_hidden_layers = 1  # nothing in the LLM is trained
    family: Any = FAMILIES[config.model_type]
    with torch.device("meta"):
        made = family(slim, settings=model)
        if made.answers_itself:
            made.set_answers([[0], [1]])
    return made


def fit_budget(settings: RunSettings) -> RunSettings:
    """Turns the connector's dial until `model.budget` is met as nearly as it can be.

    Settings that were fitted before come back as they are.

    Args:
        settings: Of a run.

    Returns:
        The settings with `lora.rank` or `model.width` chosen; the same without a budget.

    Raises:
        CheckpointError: The backbone's config can't be read.
    """
    return settings if settings.model.budget is None else _fitted(settings)


@functools.lru_cache(maxsize=256)
def _fitted(settings: RunSettings) -> RunSettings:
    connector = CONNECTORS.get(settings.model.connector)
    config, wanted = read_config(settings.backbone), settings.model.budget or 0

    def turned(value: int) -> RunSettings:
        if connector.dial == "lora.rank":
            return dataclasses.replace(
                settings, lora=dataclasses.replace(settings.lora, rank=value)
            )
        return dataclasses.replace(settings, model=dataclasses.replace(settings.model, width=value))

    def count(value: int) -> int:
        made = turned(value)
        return count_trained(config, made.model, made.lora)

    step = connector.width_step if connector.dial == "model.width" else 1
    return turned(step * nearest(lambda n: count(step * n), wanted))


def nearest(count: Callable[[int], int], wanted: int) -> int:
    """Returns the n >= 1 whose count is nearest; of two the smaller.

    Args:
        count: Rises with n.
        wanted: What it shall be.
    """
    count = functools.cache(count)
    low, high = 1, 2
    while count(high) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) < wanted else (low, middle)
    return min((low, high), key=lambda n: abs(count(n) - wanted))
