from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from mtrans.core.errors import ManifestError, SettingsError
from mtrans.core.records import Sample, Turn
from mtrans.core.settings import ModelSettings, PromptSettings, RunSettings
from mtrans.data.collate import IGNORED, Collator, pad_frames

TEXTS = [
    "context: anna: i love this cake. question: is anna sarcastic? answer: yes",
    "question: which way does the red circle move? answer: left",
    "Question: Which way? Short answer: right. up down no one two",
] * 3
IMAGE = 3  # id of <image> below
QUERIES = 2


def byte_level():
    """ByteLevel BPE with bos/eos/pad, as an own small model has it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "<bos>", "<eos>", "<image>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[("<bos>", 1), ("<eos>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>"
    )


def llama_like():
    """A BPE that writes spaces as U+2581 and puts one before every text, as Llama's; no pad."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<unk>", "<s>", "</s>", "<image>"]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    words = [word for text in TEXTS for word in text.split()]
    tokenizer.train_from_iterator(words, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


def bert_like():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
    )


TOKENIZERS = {"byte_level": byte_level(), "llama_like": llama_like()}
QFORMER = bert_like()
CONTEXT = (Turn("i love this cake.", "anna"), Turn("is it yes or no?"), Turn("no.", "anna"))
SHORT = Sample("s", "/v", "which way?", "left", choices=("left", "right"), label=0)
LONG = Sample(
    "l", "/v", "is anna sarcastic?", "yes", choices=("yes", "no"), label=0, context=CONTEXT
)


@pytest.fixture(params=TOKENIZERS)
def tokenizer(request):
    return TOKENIZERS[request.param]


def collator(
    tokenizer, *, tokens=lambda frames: QUERIES, style="tiny", qformer=QFORMER, **settings
):
    return Collator(tokenizer, qformer, RunSettings(**settings), IMAGE, tokens, style)


def features(frames, seed=0):
    return np.random.default_rng(seed).standard_normal((frames, 5, 6)).astype(np.float32)


def items():
    return [(SHORT, features(4), np.arange(4.0)), (LONG, features(2, 1), np.array([0.5, 2.5]))]


def test_training_batch(tokenizer):
    build = collator(tokenizer)
    batch = build(items())
    assert set(batch) == {
        "patch_features", "frame_times", "frame_mask", "qformer_input_ids",
        "qformer_attention_mask", "input_ids", "attention_mask", "labels",
    }  # fmt: skip
    assert batch["input_ids"].shape == batch["labels"].shape == batch["attention_mask"].shape
    assert (batch["input_ids"][:, :QUERIES] == IMAGE).all()
    assert (batch["input_ids"][:, QUERIES] == tokenizer.bos_token_id).all()
    for row, sample in enumerate((SHORT, LONG)):
        real = batch["attention_mask"][row].bool()
        width = int(real.sum())
        assert real[:width].all()  # right padding
        ids, labels = batch["input_ids"][row, :width], batch["labels"][row, :width]
        answer = labels[labels != IGNORED]
        assert answer.tolist() == build.answer_ids(sample.answer)  # no loss on the prompt
        assert answer[-1] == tokenizer.eos_token_id
        assert (ids[-len(answer) :] == answer).all()
        assert (batch["labels"][row, width:] == IGNORED).all()
        text = tokenizer.decode(ids[QUERIES + 1 : -1])
        assert text.endswith(f"answer: {sample.answer}")
        assert (ids[QUERIES:-1] != tokenizer.eos_token_id).all()
    assert batch["attention_mask"][0].sum() < batch["attention_mask"][1].sum()


def test_answer_tokens_are_those_of_running_text(tokenizer):
    """The joined ids are what the tokenizer gives for the whole line; else answers look foreign."""
    batch = collator(tokenizer)([items()[0]])
    whole = tokenizer("question: which way? answer: left")["input_ids"]
    assert batch["input_ids"][0, QUERIES:].tolist()[: len(whole)] == whole


def test_scoring_uses_the_tokens_of_training(tokenizer):
    build = collator(tokenizer)
    for sample in (SHORT, LONG):
        item = (sample, features(4), np.arange(4.0))
        train, prompt = build([item]), build.prompts([item])
        scored = build.choice_ids(sample)
        assert len(scored) == 2
        joined = prompt["input_ids"][0].tolist() + scored[sample.label]
        assert joined == train["input_ids"][0].tolist()


def test_prompts_are_left_padded_and_need_no_answer(tokenizer):
    unknown = [(dataclasses.replace(s, answer=None, label=None), f, t) for s, f, t in items()]
    build = collator(tokenizer)
    batch = build.prompts(unknown)
    assert "labels" not in batch
    assert (batch["attention_mask"][:, -1] == 1).all()
    short = batch["attention_mask"][0].bool()
    assert (
        batch["input_ids"][0][short].tolist() == build.prompts(unknown[:1])["input_ids"][0].tolist()
    )
    with pytest.raises(ManifestError, match="'s' has no answer"):
        build(unknown)


def test_frames_are_padded_to_the_longest_clip():
    clips = items()
    batch = pad_frames(clips)
    assert batch["patch_features"].shape == (2, 4, 5, 6)
    assert batch["frame_mask"].tolist() == [[True] * 4, [True, True, False, False]]
    assert batch["frame_times"].tolist() == [[0, 1, 2, 3], [0.5, 2.5, 2.5, 2.5]]
    assert torch.equal(batch["patch_features"][1, :2], torch.from_numpy(clips[1][1]))
    assert not batch["patch_features"][1, 2:].any()
    pixels = [(SHORT, np.zeros((2, 3, 8, 8), np.float16), np.zeros(2))]
    assert pad_frames(pixels)["pixel_values"].dtype == torch.float32
    with pytest.raises(SettingsError, match="different frame shapes"):
        pad_frames([*clips, *pixels])


def test_a_batch_is_its_rows(tokenizer):
    build = collator(tokenizer)
    both = build(items())
    for row, item in enumerate(items()):
        one = build([item])
        for name in ("input_ids", "labels", "attention_mask", "qformer_input_ids"):
            width = one[name].shape[1]
            assert torch.equal(both[name][row, :width], one[name][0])
        frames = one["patch_features"].shape[1]
        assert torch.equal(both["patch_features"][row, :frames], one["patch_features"][0])


def test_concatenated_visual_tokens_of_padding_are_masked():
    batch = collator(TOKENIZERS["byte_level"], tokens=lambda frames: QUERIES * frames)(items())
    assert (batch["input_ids"][:, : 4 * QUERIES] == IMAGE).all()
    assert batch["attention_mask"][0, : 4 * QUERIES].all()
    assert batch["attention_mask"][1, : 4 * QUERIES].tolist() == [1] * 4 + [0] * 4


def test_qformer_text_and_routes():
    routed = RunSettings(model=ModelSettings(qformer_text="context", llm_text="question"))
    build = Collator(TOKENIZERS["byte_level"], QFORMER, routed, IMAGE, lambda t: QUERIES, "tiny")
    qformer, prompt = build.text_ids(LONG)
    assert "sarcastic" not in QFORMER.decode(qformer)
    assert "cake" in QFORMER.decode(qformer)
    assert "cake" not in build.tokenizer.decode(prompt)
    no_qformer = collator(TOKENIZERS["byte_level"], qformer=None)(items())
    assert not any(name.startswith("qformer") for name in no_qformer)


def test_long_context_loses_whole_turns_from_the_oldest(tokenizer):
    full = collator(tokenizer).text_ids(LONG)
    for limit in range(max(map(len, full)), 0, -1):
        build = collator(tokenizer, prompt=PromptSettings(max_text_tokens=limit))
        qformer, prompt = build.text_ids(LONG)
        assert len(qformer) <= limit
        said = tokenizer.decode(prompt)
        assert said.endswith("question: is anna sarcastic? answer:")
        assert len(prompt) <= limit or "context" not in said
        kept = [turn.text in said for turn in CONTEXT]
        assert kept == sorted(kept)  # the newest stay
    assert build.cut["context"] == 2
    assert build.cut["question"] == 1
    assert qformer == [2]


def test_one_turn_that_is_too_long_keeps_its_end():
    build = collator(TOKENIZERS["byte_level"], prompt=PromptSettings(max_text_tokens=40))
    sample = dataclasses.replace(LONG, context=(Turn("yes " * 200 + "but no", "anna"),))
    said = build.tokenizer.decode(build.text_ids(sample)[1])
    assert "but no question:" in said
    assert said.count("yes") > 3


def test_a_tokenizer_without_eos_is_refused():
    with pytest.raises(SettingsError, match="no EOS"):
        collator(QFORMER)


def test_an_encoder_decoder_reads_the_prompt_and_writes_the_answer(tokenizer):
    """Labels hold the answer alone; nothing of it is in the prompt; all padding on the right."""
    apart = Collator(tokenizer, QFORMER, RunSettings(), IMAGE, lambda t: QUERIES * t, "tiny", True)
    joined = collator(tokenizer, tokens=lambda t: QUERIES * t)
    batch, prompts = apart(items()), apart.prompts(items())
    for name in ("input_ids", "attention_mask"):
        assert torch.equal(batch[name], prompts[name])
    assert "labels" not in prompts
    for row, (sample, frames, _) in enumerate(items()):
        labels = batch["labels"][row]
        assert labels[labels != IGNORED].tolist() == apart.choice_ids(sample)[sample.label]
        own, most = QUERIES * len(frames), QUERIES * 4
        width = int(batch["attention_mask"][row, most:].sum())
        assert batch["attention_mask"][row, :most].tolist() == [1] * own + [0] * (most - own)
        assert batch["attention_mask"][row, most : most + width].all()
        text = batch["input_ids"][row, most : most + width].tolist()
        tail = [tokenizer.eos_token_id] if tokenizer is TOKENIZERS["byte_level"] else []
        assert text == joined.text_ids(sample)[1] + tail  # EOS as the tokenizer itself adds it
    lengths = [len(apart.answer_ids(s.answer)) for s in (SHORT, LONG)]
    assert batch["labels"].shape == (2, max(lengths))


def test_clips_with_fewer_frames_than_asked_for_are_counted_once(tokenizer):
    build = collator(tokenizer)
    build(items())
    assert build.heed_short() is None
    twice = (SHORT, features(4), np.array([0.0, 0.0, 1.0, 1.0]))
    for _ in range(2):
        build.prompts([twice, (LONG, features(2, 1), torch.tensor([0.5, 2.5]))])
    line = build.heed_short()
    assert line.startswith("warning: 1 clip with fewer frames than frames.count=4")
    blind = collator(tokenizer, model=ModelSettings(vision=False))
    blind.prompts([twice])
    assert blind.heed_short() is None


def test_questions_about_one_clip_share_its_frames(tokenizer):
    frames, other = features(4), features(2, 1)
    about = [
        (SHORT, frames, np.arange(4.0)),
        (LONG, other, np.array([0.5, 2.5])),
        (LONG, frames.view(), np.arange(4.0)),  # the same memory, as a cache gives it
        (SHORT, frames, np.arange(4.0) + 1),  # shown at other times
        (SHORT, frames.copy(), np.arange(4.0)),
    ]
    per_frame = lambda count: QUERIES * count  # noqa: E731 - pool = concat
    whole = collator(tokenizer, tokens=per_frame)
    shared = Collator(tokenizer, QFORMER, RunSettings(), IMAGE, per_frame, "tiny", share=True)
    for expected, batch in (
        (whole(about), shared(about)),
        (whole.prompts(about), whole.prompts(about, share=True)),
    ):
        rows = batch.pop("clip_rows")
        assert rows.tolist() == [0, 1, 0, 2, 3]
        assert len(batch["patch_features"]) == 4
        for name in ("patch_features", "frame_times", "frame_mask"):
            batch[name] = batch[name][rows]
        assert batch.keys() == expected.keys()
        assert all(torch.equal(batch[name], expected[name]) for name in expected)
    assert "clip_rows" not in shared(about[:2])


def test_a_samples_length_is_that_of_its_texts(tokenizer):
    build = collator(tokenizer)
    batch = build([(LONG, features(2), np.arange(2.0))])
    row = int(batch["attention_mask"].sum()) + int(batch["qformer_attention_mask"].sum())
    assert build.length(LONG) == row - QUERIES
