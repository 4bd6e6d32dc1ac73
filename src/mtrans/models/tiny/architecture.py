"""What `tiny` is: InstructBLIP's anatomy, a few million parameters.

still 64 x 64 -> ViT 4 x 128 on 8 x 8 patches (+ CLS)
              -> Q-Former 4 x 128, 8 queries, cross-attention in every layer, with text
              -> projection 128 -> 128
              -> Llama 4 x 128
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    BlipImageProcessorPil,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    LlamaConfig,
    PreTrainedTokenizerFast,
)

IMAGE_SIZE, PATCH, WIDTH, QUERIES, VOCABULARY = 64, 8, 128, 8, 768
GRID = IMAGE_SIZE // PATCH
MEAN, STD = (0.3, 0.3, 0.3), (0.25, 0.25, 0.25)
PAD, BOS, EOS, IMAGE = "<pad>", "<s>", "</s>", "<image>"


def make_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Trains the tokenizer: lower case, byte-level BPE, so any text has tokens.

    Args:
        texts: Texts with the words that shall be whole tokens.
    """
    core = Tokenizer(models.BPE())
    core.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(r"\s+"), " ")]
    )
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, BOS, EOS, IMAGE],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        additional_special_tokens=[IMAGE],
        model_max_length=512,
        clean_up_tokenization_spaces=False,
    )


def make_config(tokenizer: Any) -> InstructBlipConfig:
    """Returns the configuration.

    Args:
        tokenizer: Of both the Q-Former and the LLM.
    """
    llm = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=352,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=512,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=True,
        initializer_range=0.06,
    )
    config = InstructBlipConfig(
        vision_config={
            "hidden_size": WIDTH,
            "intermediate_size": 4 * WIDTH,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "image_size": IMAGE_SIZE,
            "patch_size": PATCH,
            "initializer_range": 0.02,
        },
        qformer_config={
            "vocab_size": VOCABULARY,
            "hidden_size": WIDTH,
            "intermediate_size": 4 * WIDTH,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "cross_attention_frequency": 1,
            "encoder_hidden_size": WIDTH,
            "initializer_range": 0.06,
            "max_position_embeddings": 128,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "pad_token_id": tokenizer.pad_token_id,
        },
        text_config=llm,
        num_query_tokens=QUERIES,
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
    )
    config.prompt_style = "tiny"
    return config


def make_model(tokenizer: Any) -> InstructBlipForConditionalGeneration:
    """Returns the model with random weights."""
    model = InstructBlipForConditionalGeneration(make_config(tokenizer))
    model.query_tokens.data.normal_(std=0.5)
    # on a CPU the fused attention's backward pass is slower than plain products at this size
    model.set_attn_implementation("eager")
    return model


def image_processor() -> BlipImageProcessorPil:
    """Returns the image processor whose file is saved beside the weights."""
    return BlipImageProcessorPil(
        size={"height": IMAGE_SIZE, "width": IMAGE_SIZE}, image_mean=list(MEAN), image_std=list(STD)
    )
