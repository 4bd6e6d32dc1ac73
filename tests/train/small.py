"""A random backbone as a folder, and a handful of real clips: what adaptation tests run on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from models.tiny_random import IMAGE, tiny_image_model
from mtrans.core.records import Sample, Turn
from mtrans.core.settings import RunSettings, load_settings
from mtrans.data.manifest import write_manifest
from mtrans.video.write import write_video

TEXT = "question : answer context which way does the square move ? left right up down what is it a"
WORDS = TEXT.split()


def _tokenizer(first: list[str], *, adds_eos: bool = False) -> PreTrainedTokenizerFast:
    vocabulary = {word: i for i, word in enumerate([*first, *dict.fromkeys(WORDS)])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    if adds_eos:
        tokenizer.post_processor = TemplateProcessing(
            single="$A </s>", special_tokens=[("</s>", vocabulary["</s>"])]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
    )


def make_backbone(folder: Path, family: str = "instructblip", llm: str = "llama") -> Path:
    """Writes a random InstructBLIP or BLIP-2 of a few thousand parameters, with tokenizers."""
    model = tiny_image_model(family, llm)
    model.config.image_token_id = model.config.image_token_index
    model.save_pretrained(folder)
    special = ["<pad>", "<s>", "</s>", "<unk>"]
    _tokenizer(special, adds_eos=llm == "t5").save_pretrained(folder)
    _tokenizer(special).save_pretrained(folder / "qformer_tokenizer")
    return folder


def make_clips(folder: Path, n: int = 8) -> list[Sample]:
    """Writes clips of a square that moves left or right, with two questions each."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    for i in range(n):
        way = "right" if i % 2 else "left"
        frames = np.full((8, 32, 32, 3), 30 + 10 * i, np.uint8)
        for t in range(8):
            x = 2 + 3 * t if way == "right" else 23 - 3 * t
            frames[t, 8 + i : 16 + i, x : x + 8] = 255
        path = folder / f"{i}.mp4"
        write_video(path, frames, fps=8)
        common: dict[str, Any] = {"video": str(path), "group": f"g{i}", "facts": {"speed": 3}}
        samples.append(
            Sample(
                id=f"{i}-way",
                question="which way does the square move ?",
                answer=way,
                choices=("left", "right", "up it"),
                label=("left", "right").index(way),
                type="way",
                **common,
            )
        )
        samples.append(
            Sample(
                id=f"{i}-open",
                question="what is it ?",
                answer="a square",
                context=(Turn("what is it", "a"),),
                type="open",
                **common,
            )
        )
    return samples


def small_settings(backbone: Path, cache: Path, **values: Any) -> RunSettings:
    return load_settings(
        values={
            "backbone": str(backbone),
            "device": "cpu",
            "cache_dir": str(cache),
            "frames.count": 3,
            "prompt.template": "tiny",
            "lora.rank": 2,
            "train.batch_size": 4,
            "train.precision": "fp32",
            "train.max_steps": 6,
            "train.learning_rate": 1e-2,
            **values,
        }
    )


def make_all(folder: Path) -> None:
    """Backbone, clips and manifest below one folder."""
    make_backbone(folder / "backbone")
    samples = make_clips(folder / "clips")
    write_manifest(folder / "train.jsonl", samples)
    assert IMAGE == 16
