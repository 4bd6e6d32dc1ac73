"""Models that transformers can show videos to, tiny and random, in folders as published ones are.

Their video processors need torchvision even to be made, so what a folder says of them is written
by hand. With torchvision it is read, and the same tests show the models videos.
"""

from __future__ import annotations

import json
from pathlib import Path

import transformers as tf

from .foreign_models import SMALL, make_words

SIDE, PATCH, TILE = 32, 8, 4
"""Pixels of a frame, of a patch; patches along a frame's side."""

SQUARE = {"height": SIDE, "width": SIDE}
AREA = {"shortest_edge": SIDE**2, "longest_edge": SIDE**2}
ROPE = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}


def _chat(image: str, video: str) -> str:
    return (
        "{% for m in messages %}{% for c in m['content'] %}"
        f"{{% if c['type'] == 'image' %}}{image}{{% elif c['type'] == 'video' %}}{video}"
        "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endfor %}"
    )


def _tokenizer(*extra: str, image: str = "<image>", video: str = "<video>"):
    made = make_words("<image>", "<video>", *extra)
    made.chat_template = _chat(image, video)
    return made


def _qwen2(tokenizer, **more):
    return {
        "vocab_size": len(tokenizer), "num_attention_heads": 4, "num_key_value_heads": 2,
        "initializer_range": 0.3, "bos_token_id": 1, "eos_token_id": 2,
        "pad_token_id": tokenizer.pad_token_id, **SMALL, **more,
    }  # fmt: skip


def _save(folder: Path, model, images, tokenizer, kind: str, videos: dict, **options) -> None:
    model.save_pretrained(folder)
    images.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    described = {"processor_class": kind, **options}
    (folder / "processor_config.json").write_text(json.dumps(described))
    (folder / "video_preprocessor_config.json").write_text(json.dumps(videos))


def make_onevision(folder):
    tokenizer = _tokenizer()
    vision = tf.SiglipVisionConfig(
        num_attention_heads=2, image_size=SIDE, patch_size=PATCH, vision_use_head=False, **SMALL
    )
    config = tf.LlavaOnevisionConfig(
        vision_config=vision, text_config=tf.Qwen2Config(**_qwen2(tokenizer)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=[[SIDE, SIDE]],
    )  # fmt: skip
    images = tf.LlavaOnevisionImageProcessorPil(size=SQUARE, image_grid_pinpoints=[[SIDE, SIDE]])
    _save(
        folder, tf.LlavaOnevisionForConditionalGeneration(config), images, tokenizer,
        "LlavaOnevisionProcessor",
        {"video_processor_type": "LlavaOnevisionVideoProcessor", "size": SQUARE},
        num_image_tokens=TILE**2, vision_feature_select_strategy="full",
    )  # fmt: skip


def make_next_video(folder):
    tokenizer = _tokenizer()
    vision = tf.CLIPVisionConfig(num_attention_heads=2, image_size=SIDE, patch_size=PATCH, **SMALL)
    config = tf.LlavaNextVideoConfig(
        vision_config=vision, text_config=tf.LlamaConfig(**_qwen2(tokenizer)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=[[SIDE, SIDE]],
    )  # fmt: skip
    edge = {"shortest_edge": SIDE}
    images = tf.LlavaNextImageProcessorPil(
        size=edge, crop_size=SQUARE, image_grid_pinpoints=[[SIDE, SIDE]]
    )
    _save(
        folder, tf.LlavaNextVideoForConditionalGeneration(config), images, tokenizer,
        "LlavaNextVideoProcessor",
        {"video_processor_type": "LlavaNextVideoVideoProcessor", "size": edge, "crop_size": SQUARE},
        patch_size=PATCH, vision_feature_select_strategy="default", num_additional_image_tokens=1,
    )  # fmt: skip


def make_internvl(folder):
    marks = {
        "start_image_token": "<img>", "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>", "video_token": "<video>",
    }  # fmt: skip
    tokenizer = _tokenizer(*marks.values(), image=marks["context_image_token"])
    vision = tf.InternVLVisionConfig(
        num_attention_heads=2, image_size=SIDE, patch_size=PATCH, **SMALL
    )
    config = tf.InternVLConfig(
        vision_config=vision, text_config=tf.Qwen2Config(**_qwen2(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=TILE**2 // 4,
    )  # fmt: skip
    images = tf.GotOcr2ImageProcessorPil(
        size=SQUARE, crop_to_patches=True, min_patches=2, max_patches=4
    )
    _save(
        folder, tf.InternVLForConditionalGeneration(config), images, tokenizer,
        "InternVLProcessor", {"video_processor_type": "InternVLVideoProcessor", "size": SQUARE},
        image_seq_length=TILE**2 // 4,
    )  # fmt: skip
    file = folder / "tokenizer_config.json"  # where published ones name these tokens
    described = json.loads(file.read_text())
    file.write_text(json.dumps({**described, "extra_special_tokens": marks}))


QWEN = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
QWEN_PLACES = {kind: f"<|vision_start|><|{kind}_pad|><|vision_end|>" for kind in ("image", "video")}


def _qwen_tokens(tokenizer):
    image, video, start, end = map(tokenizer.convert_tokens_to_ids, QWEN)
    return {
        "image_token_id": image, "video_token_id": video,
        "vision_start_token_id": start, "vision_end_token_id": end,
    }  # fmt: skip


def make_qwen2(folder):
    tokenizer = _tokenizer(*QWEN, **QWEN_PLACES)
    config = tf.Qwen2VLConfig(
        vision_config={
            "depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "patch_size": PATCH,
        },
        text_config=_qwen2(tokenizer, rope_parameters=ROPE),
        **_qwen_tokens(tokenizer),
    )  # fmt: skip
    _save_qwen(folder, tf.Qwen2VLForConditionalGeneration(config), tokenizer, "Qwen2VLProcessor")


def make_qwen2_5(folder):
    tokenizer = _tokenizer(*QWEN, **QWEN_PLACES)
    config = tf.Qwen2_5_VLConfig(
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 48, "out_hidden_size": 32,
            "num_heads": 2, "patch_size": PATCH, "window_size": 32, "fullatt_block_indexes": [1],
        },
        text_config=_qwen2(tokenizer, rope_parameters=ROPE),
        **_qwen_tokens(tokenizer),
    )  # fmt: skip
    model = tf.Qwen2_5_VLForConditionalGeneration(config)
    _save_qwen(folder, model, tokenizer, "Qwen2_5_VLProcessor")


def _save_qwen(folder, model, tokenizer, kind):
    images = tf.Qwen2VLImageProcessorPil(size=AREA, patch_size=PATCH)
    videos = {"video_processor_type": "Qwen2VLVideoProcessor", "size": AREA, "patch_size": PATCH}
    _save(folder, model, images, tokenizer, kind, videos)


def make_smolvlm(folder):
    tokenizer = _tokenizer(
        "<fake_token_around_image>", "<end_of_utterance>", "<global-img>", "<row_1_col_1>"
    )
    config = tf.SmolVLMConfig(
        vision_config={
            "num_attention_heads": 2, "image_size": SIDE, "patch_size": PATCH, **SMALL
        },
        text_config=tf.LlamaConfig(**_qwen2(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    edge = {"longest_edge": SIDE}
    images = tf.SmolVLMImageProcessorPil(size={"longest_edge": 2 * SIDE}, max_image_size=edge)
    _save(
        folder, tf.SmolVLMForConditionalGeneration(config), images, tokenizer,
        "SmolVLMProcessor",
        {"video_processor_type": "SmolVLMVideoProcessor", "size": edge, "max_image_size": edge,
         "fps": 1, "num_frames": 8},
        image_seq_len=TILE**2 // 4,
    )  # fmt: skip


def make_videollama3(folder):
    tokenizer = _tokenizer(*QWEN, image=QWEN[0], video=QWEN[1])
    config = tf.VideoLlama3Config(
        vision_config={"num_attention_heads": 2, "patch_size": PATCH, **SMALL},
        text_config=tf.Qwen2Config(**_qwen2(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids(QWEN[0]),
        video_token_id=tokenizer.convert_tokens_to_ids(QWEN[1]),
    )
    sizes = {"size": AREA, "patch_size": PATCH}
    images = tf.VideoLlama3ImageProcessorPil(**sizes)
    _save(
        folder, tf.VideoLlama3ForConditionalGeneration(config), images, tokenizer,
        "VideoLlama3Processor", {"video_processor_type": "VideoLlama3VideoProcessor", **sizes},
    )  # fmt: skip
