"""How much memory the weights of a backbone take, for `mtrans doctor`.

It is counted, not measured: the model is built on torch's meta device,
which holds shapes and no numbers. With `n` parameters, `q` of them in the LLM's linear layers
(its output layer left out), the formula is

    fp32 4n    bf16 2n    8 bit 2(n - q) + q    4 bit 2(n - q) + q/2 + 4q/64

as bitsandbytes stores them: what is not quantised stays in bf16, and 4 bit (nf4) keeps an fp32
scale for every 64 weights. Activations and the feature cache come on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FORMS = ("fp32", "bf16", "8 bit", "4 bit")

# What the published checkpoints' config.json files say; https://huggingface.co/Salesforce
_VICUNA_7B = {
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "vocab_size": 32001,
}
_VICUNA_13B = {
    "hidden_size": 5120,
    "intermediate_size": 13824,
    "num_hidden_layers": 40,
    "num_attention_heads": 40,
    "vocab_size": 32001,
}
_FLAN_T5_XL = {
    "d_model": 2048,
    "d_kv": 64,
    "d_ff": 5120,
    "num_layers": 24,
    "num_heads": 32,
    "feed_forward_proj": "gated-gelu",
    "tie_word_embeddings": False,
    "vocab_size": 32128,
}
PUBLISHED: dict[str, tuple[str, dict[str, Any]]] = {
    "Salesforce/instructblip-flan-t5-xl": ("t5", _FLAN_T5_XL),
    "Salesforce/instructblip-vicuna-7b": ("llama", _VICUNA_7B),
    "Salesforce/instructblip-vicuna-13b": ("llama", _VICUNA_13B),
}


@dataclass(frozen=True)
class Fit:
    """What a backbone's weights take.

    Attributes:
        name: The backbone.
        parameters: All of them.
        bytes: Form (of :data:`FORMS`) -> bytes.
    """

    name: str
    parameters: int
    bytes: dict[str, float]


def weights_bytes(parameters: int, quantised: int) -> dict[str, float]:
    """Returns what weights take in each form; the formula stands at the top of this file.

    Args:
        parameters: All parameters.
        quantised: Those in the LLM's linear layers, its output layer left out.

    Returns:
        Form -> bytes.
    """
    rest = 2 * (parameters - quantised)
    return {
        "fp32": 4 * parameters,
        "bf16": 2 * parameters,
        "8 bit": rest + quantised,
        "4 bit": rest + quantised / 2 + 4 * quantised / 64,
    }


def count(config: Any) -> tuple[int, int]:
    """Counts a backbone's parameters on the meta device.

    Args:
        config: An InstructBLIP configuration.

    Returns:
        All parameters, and those in the LLM's linear layers without its output layer.
    """
    import torch
    from transformers import InstructBlipForConditionalGeneration

    with torch.device("meta"):
        model = InstructBlipForConditionalGeneration(config)
    quantised = sum(
        module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and "language_model" in name
        and not name.endswith("lm_head")
    )
    return sum(p.numel() for p in model.parameters()), quantised


def published_config(family: str, llm: dict[str, Any]) -> Any:
    """Returns the configuration of a published InstructBLIP; ViT and Q-Former are the defaults.

    Args:
        family: ``llama`` or ``t5``.
        llm: Sizes of the LLM.

    Returns:
        The configuration.
    """
    from transformers import InstructBlipConfig, LlamaConfig, T5Config

    kind = LlamaConfig if family == "llama" else T5Config
    # BERT's words and [DEC]
    return InstructBlipConfig(text_config=kind(**llm), qformer_config={"vocab_size": 30523})


def fits() -> list[Fit]:
    """Counts what the weights of `tiny` and of each published backbone take."""
    from transformers import AutoConfig

    from mtrans.models.loading import TINY_FOLDER

    configs: dict[str, Any] = {}
    if (TINY_FOLDER / "config.json").is_file():
        configs["tiny"] = AutoConfig.from_pretrained(str(TINY_FOLDER))
    for name, (family, llm) in PUBLISHED.items():
        configs[name] = published_config(family, llm)
    made = []
    for name, config in configs.items():
        parameters, quantised = count(config)
        made.append(Fit(name, parameters, weights_bytes(parameters, quantised)))
    return made
