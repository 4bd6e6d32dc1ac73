"""The models that are timed, as folders that both sides load.

    tiny   the weights inside this package
    mid    random: ViT-S/16 at 224, Q-Former 6 x 384 with 32 queries, Llama 12 x 512
    7b     random: the shapes of InstructBLIP-Vicuna-7B

Time and memory don't depend on what the weights are. The tokenizers of `mid` and `7b` are those of
`tiny`, of whose words the larger vocabularies use the first; the vocabulary's size is Llama's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoTokenizer,
    BlipImageProcessorPil,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    LlamaConfig,
)

from mtrans.core.errors import SettingsError, did_you_mean
from mtrans.models.loading import TINY_FOLDER, read_config

SIZES = ("tiny", "mid", "7b")

LLAMA_VOCABULARY = 32_000


def config_of(size: str) -> InstructBlipConfig:
    """Returns the config of a size.

    Args:
        size: One of :data:`SIZES`.

    Raises:
        SettingsError: There is no such size.
    """
    if size == "tiny":
        config: InstructBlipConfig = read_config("tiny")
        return config
    vision: dict[str, Any]
    qformer: dict[str, Any]
    llm: dict[str, Any]
    if size == "mid":
        vision = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 12}
        vision |= {"num_attention_heads": 6, "patch_size": 16, "image_size": 224}
        qformer = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 6}
        qformer |= {"num_attention_heads": 6, "encoder_hidden_size": 384}
        llm = {"hidden_size": 512, "intermediate_size": 1376, "num_hidden_layers": 12}
        llm |= {"num_attention_heads": 8}
    elif size == "7b":
        # transformers' defaults are InstructBLIP's ViT-g and Q-Former, and Llama's 7B
        vision, qformer, llm = {}, {}, {}
    else:
        raise SettingsError(f"unknown size '{size}'{did_you_mean(size, SIZES)}")
    ids = read_config("tiny").text_config
    made = InstructBlipConfig(
        vision_config=vision,
        qformer_config={**qformer, "pad_token_id": ids.pad_token_id},
        text_config=LlamaConfig(
            vocab_size=LLAMA_VOCABULARY,
            max_position_embeddings=4096,
            pad_token_id=ids.pad_token_id,
            bos_token_id=ids.bos_token_id,
            eos_token_id=ids.eos_token_id,
            **llm,
        ),
        num_query_tokens=32,
        image_token_index=read_config("tiny").image_token_index,
    )
    made.prompt_style = "tiny"
    return made


def on_meta(size: str) -> InstructBlipForConditionalGeneration:
    """Returns the model without weights, to count its parameters and operations.

    Args:
        size: One of :data:`SIZES`.
    """
    with torch.device("meta"):
        return InstructBlipForConditionalGeneration(config_of(size))


def checkpoint(
    size: str, folder: Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> Path:
    """Returns the folder of a size, made where it is not there yet.

    Args:
        size: One of :data:`SIZES`.
        folder: Folder below which it is made; that of `tiny` is inside this package.
        device: Where random weights are drawn: on a GPU 7B take seconds.
        dtype: Of the weights.

    Returns:
        A folder as InstructBLIP's checkpoints are.
    """
    if size == "tiny":
        return TINY_FOLDER
    place = folder / size
    if (place / "preprocessor_config.json").is_file():  # written last
        return place
    config: Any = config_of(size)
    before = torch.get_default_dtype()
    torch.manual_seed(0)
    try:
        torch.set_default_dtype(dtype)
        with torch.device(device):
            model: Any = InstructBlipForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(before)
    with torch.no_grad():
        model.query_tokens.normal_(std=0.5)
    model.save_pretrained(place)
    for kind in ("", "qformer_tokenizer"):
        AutoTokenizer.from_pretrained(TINY_FOLDER / kind).save_pretrained(place / kind)
    side = config.vision_config.image_size
    BlipImageProcessorPil(size={"height": side, "width": side}).save_pretrained(place)
    return place
