"""Tiny random models for tests: InstructBLIP and BLIP-2 anatomy, built in no time."""

from __future__ import annotations

from typing import Any

import torch
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    LlamaConfig,
    OPTConfig,
    T5Config,
)

from mtrans.core.settings import ModelSettings
from mtrans.models.video_lmm import VideoBlip2, VideoInstructBlip

IMAGE_TOKEN, QUERIES, VOCABULARY, IMAGE = 99, 4, 100, 16


def llm_config(kind: str = "llama") -> Any:
    common = {"vocab_size": VOCABULARY, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    if kind == "llama":
        return LlamaConfig(
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=256,
            initializer_range=0.2,
            **common,
        )
    if kind == "opt":
        return OPTConfig(
            hidden_size=32,
            ffn_dim=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=256,
            word_embed_proj_dim=32,
            dropout=0.0,
            init_std=0.2,
            **common,
        )
    return T5Config(
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=2,
        num_heads=4,
        dropout_rate=0.0,
        decoder_start_token_id=0,
        tie_word_embeddings=False,
        **common,
    )


def tiny_config(family: str = "instructblip", llm: str = "llama", **mtrans: Any) -> Any:
    """Config with dropout off, so that train and eval mode compute the same."""
    vision = {
        "hidden_size": 24,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": IMAGE,
        "patch_size": 8,
        "initializer_range": 0.2,
    }
    qformer = {
        "vocab_size": 60,
        "hidden_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.2,
    }
    cls = InstructBlipConfig if family == "instructblip" else Blip2Config
    config = cls(
        vision_config=vision,
        qformer_config=qformer,
        text_config=llm_config(llm),
        num_query_tokens=QUERIES,
        image_token_index=IMAGE_TOKEN,
        initializer_range=0.2,
    )
    if mtrans:
        config.mtrans = mtrans
    return config


def tiny_image_model(family: str = "instructblip", llm: str = "llama", seed: int = 0) -> Any:
    """transformers' own model, random weights, query tokens and biases not zero."""
    torch.manual_seed(seed)
    cls = (
        InstructBlipForConditionalGeneration
        if family == "instructblip"
        else Blip2ForConditionalGeneration
    )
    model = cls(tiny_config(family, llm)).eval()
    with torch.no_grad():
        model.query_tokens.normal_()
        for name, p in model.named_parameters():
            if name.endswith("bias"):
                p.normal_(std=0.1)
    return model


def tiny_video_model(
    settings: ModelSettings | None = None,
    *,
    family: str = "instructblip",
    llm: str = "llama",
    seed: int = 0,
    image_model: Any = None,
) -> Any:
    """Our model with exactly the frozen weights of `tiny_image_model(family, llm, seed)`."""
    image_model = image_model or tiny_image_model(family, llm, seed)
    torch.manual_seed(seed + 1)
    cls = VideoInstructBlip if family == "instructblip" else VideoBlip2
    model = cls(tiny_config(family, llm), settings=settings).eval()
    missing, unexpected = model.load_state_dict(image_model.state_dict(), strict=False)
    assert not unexpected
    assert all(name.startswith(("st_qformer.", "connector.")) for name in missing)
    return model


def tiny_batch(
    model: Any, batch: int = 2, frames: int = 3, *, prompt: int = 6, answer: int = 0, seed: int = 0
) -> dict[str, torch.Tensor]:
    """A batch as the collator makes it; the last `answer` tokens are labelled."""
    g = torch.Generator().manual_seed(seed)
    places = torch.full((batch, model.visual_tokens(frames)), IMAGE_TOKEN)
    text = torch.randint(3, IMAGE_TOKEN - 1, (batch, prompt + answer), generator=g)
    input_ids = torch.cat([places, text], dim=1)
    made = {
        "pixel_values": torch.randn(batch, frames, 3, IMAGE, IMAGE, generator=g),
        "frame_times": torch.rand(batch, frames, generator=g).cumsum(dim=1),
        "frame_mask": torch.ones(batch, frames, dtype=torch.bool),
        "qformer_input_ids": torch.randint(3, 60, (batch, 5), generator=g),
        "qformer_attention_mask": torch.ones(batch, 5, dtype=torch.long),
        "input_ids": input_ids,
        "attention_mask": torch.ones_like(input_ids),
    }
    if answer:
        labels = torch.full_like(input_ids, -100)
        labels[:, -answer:] = input_ids[:, -answer:]
        made["labels"] = labels
    return made
