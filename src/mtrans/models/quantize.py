"""The frozen LLM in 8 or 4 bit (bitsandbytes), on a GPU or a CPU.

Only the LLM's linear layers are kept so: ViT, Q-Former, connector and the projection between them
stay in their dtype, since what is trained hangs on them. 4 bit is nf4 (QLoRA, arXiv:2305.14314),
8 bit is LLM.int8() (arXiv:2208.07339).
"""

from __future__ import annotations

import importlib.util
import logging
from typing import Any

import torch

from mtrans.core.errors import SettingsError

KEPT = ("vision_model", "qformer", "language_projection", "st_qformer", "connector", "lm_head")
"""Modules that are not quantised."""


BLOCK = 64
"""Weights that share a scale in 4 bit; a row of a layer must be whole blocks on a CPU."""


def quantization(
    kind: str, *, dtype: torch.dtype, device: torch.device | str, llm: Any = None
) -> dict[str, Any]:
    """Returns what transformers' `from_pretrained` takes to load the LLM in fewer bits.

    Args:
        kind: ``none``, ``8bit`` or ``4bit``, as `RunSettings.quantize`.
        dtype: Of the products, and of what is not quantised.
        device: Where the weights go.
        llm: The LLM's config, whose widths are checked where it is given.

    Returns:
        ``quantization_config`` and ``device_map``; nothing for ``none``.

    Raises:
        SettingsError: bitsandbytes is missing, or the device can't.
    """
    if kind == "none":
        return {}
    place = torch.device(device)
    if place.type not in ("cpu", "cuda", "xpu"):
        raise SettingsError(
            f"quantize={kind} works on cuda, xpu and cpu, not on '{place.type}'; set quantize=none"
        )
    odd = [w for w in _widths(llm) if w % BLOCK]
    if kind == "4bit" and place.type == "cpu" and odd:
        raise SettingsError(
            f"quantize=4bit on a CPU needs widths that are multiples of {BLOCK}, and this LLM has"
            f" {odd[0]}; set quantize=8bit"
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise SettingsError(
            f"quantize={kind} needs bitsandbytes, which is not installed:"
            " pip install 'mtrans[quant]', or set quantize=none"
        )
    from transformers import BitsAndBytesConfig

    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # a line for every product

    config: Any = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_8bit=kind == "8bit",
        load_in_4bit=kind == "4bit",
        llm_int8_skip_modules=list(KEPT),
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=dtype,
    )
    return {"quantization_config": config, "device_map": {"": place}}


def _widths(llm: Any) -> list[int]:
    """Returns what an LLM's layers read, whatever its family calls it."""
    names = ("hidden_size", "intermediate_size", "d_model", "d_ff", "ffn_dim")
    return [value for name in names if isinstance(value := getattr(llm, name, None), int)]
