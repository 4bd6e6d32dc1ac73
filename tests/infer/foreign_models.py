"""Models of other kinds as folders, tiny and random: what transformers' auto classes load."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import transformers
from transformers import (
    CLIPVisionConfig,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
)

from mtrans.core.records import Sample
from mtrans.models.tiny.architecture import make_tokenizer
from mtrans.video.write import write_video

CHAT = (
    "{% for m in messages %}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}"
)
SIDE, SMALL = 16, {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}


def _llm(tokenizer):
    return LlamaConfig(
        vocab_size=len(tokenizer), num_attention_heads=4, initializer_range=0.3,
        pad_token_id=tokenizer.pad_token_id, bos_token_id=1, eos_token_id=2, **SMALL,
    )  # fmt: skip


def make_words(*extra):
    made = make_tokenizer(["question: is it red? options: (a) red (b) blue. short answer:"])
    made.add_special_tokens({"additional_special_tokens": ["<image>", *extra]})
    made.chat_template = CHAT
    return made


def make_llava(folder):
    tokenizer = make_words()
    vision = CLIPVisionConfig(num_attention_heads=2, image_size=SIDE, patch_size=8, **SMALL)
    config = LlavaConfig(
        vision_config=vision,
        text_config=_llm(tokenizer),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    side = {"height": SIDE, "width": SIDE}
    images = transformers.CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=side)
    processor = transformers.LlavaProcessor(
        images, tokenizer, patch_size=8, vision_feature_select_strategy="default",
        num_additional_image_tokens=1, chat_template=CHAT,
    )  # fmt: skip
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)


def make_idefics3(folder):
    """The class of the first SmolVLM checkpoints."""
    tokenizer = make_words(
        "<fake_token_around_image>", "<end_of_utterance>", "<global-img>", "<row_1_col_1>"
    )
    vision = {"num_attention_heads": 2, "image_size": SIDE, "patch_size": 4, **SMALL}
    config = Idefics3Config(
        vision_config=vision,
        text_config=_llm(tokenizer),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
    )
    edge = {"longest_edge": SIDE}
    images = transformers.Idefics3ImageProcessorPil(
        size=edge, max_image_size=edge, do_image_splitting=False
    )
    processor = transformers.Idefics3Processor(
        images, tokenizer, image_seq_len=4, chat_template=CHAT
    )
    Idefics3ForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)


def ask_about_shades(folder: Path, width: int = 32) -> Sample:
    """Writes a clip that grows lighter in eight frames, and returns a question about it."""
    video = folder / "a.mp4"
    shades = np.linspace(0, 255, 8).astype(np.uint8)
    write_video(video, (np.full((32, width, 3), s, np.uint8) for s in shades), fps=8)
    return Sample("1", str(video), "Is it red?", "red", ("red", "blue"), 0)
