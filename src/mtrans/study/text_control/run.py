"""The text-only control from manifests to a table: what can be told from the words alone.

    out/
      predictions.jsonl, scores.json    test answers, measured like any model's
      text_control.json                 the model, what was chosen and from what, times
      table.md                          chance, majority and the probe with intervals

It bounds nothing from above: a tuned language model can do better on the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mtrans.core.errors import SettingsError
from mtrans.core.records import Prediction, Sample
from mtrans.core.runtime import pick_device
from mtrans.core.settings import ModelSettings, PromptSettings
from mtrans.data.folds import Fold, given_folds, hold_out
from mtrans.data.manifest import read_manifest
from mtrans.data.prompts import build_prompt
from mtrans.study.crossval import FIXED
from mtrans.study.text_control.lm import FrozenLM, load_lm
from mtrans.study.text_control.probe import answer, check_samples, choose_probe
from mtrans.study.text_control.record import STYLE, Control, Rounds, Texts, write_control
from mtrans.study.text_control.states import Progress, hidden_states, pick_layers
from mtrans.train.circumstances import now

Say = Callable[[str], None]


def text_control(
    texts: Texts,
    out: Path,
    *,
    lm: str = "smollm2",
    layers: Sequence[int] = (),
    cache: Path | None = None,
    device: str = "auto",
    say: Say = print,
    progress: Progress | None = None,
) -> Control:
    """Probes a frozen language model on the text of each sample.

    Args:
        texts: The manifests.
        out: Folder to write to.
        lm: A language model, as :func:`~mtrans.study.text_control.lm.load_lm` takes it.
        layers: Hidden states to try; none takes five evenly spaced ones.
        cache: Where states are kept; None is the user's cache folder.
        device: Where the model runs.
        say: Prints a remark.
        progress: Called with (texts read, texts in all).

    Raises:
        SettingsError: The data name no test part, or a probe can't answer them.
        ManifestError: A manifest can't be read.
        CheckpointError: The language model can't be read.
        CacheError: The states can't be kept.
    """
    rounds = _rounds(texts)
    samples = list({s.id: s for r in rounds.values() for part in r.values() for s in part}.values())
    check_samples(samples)
    said = {s.id: _text(s) for s in samples}
    for remark in _shared(rounds, said):
        say(f"warning: {remark}")
    model = load_lm(lm, pick_device(device))
    chosen_layers = pick_layers(model.layers, layers)
    states = hidden_states(
        model, list(said.values()), chosen_layers, folder=cache, progress=progress
    )
    by_id = {sample: states[text] for sample, text in said.items()}
    tried = {
        name: choose_probe(part["train"], part["val"], by_id, chosen_layers)
        for name, part in rounds.items()
    }
    opened = now()
    found: list[Prediction] = []
    for name, part in rounds.items():
        answers = answer(part["train"], part["test"], by_id, chosen_layers, tried[name][0])
        found += [replace(p, tokens={"prompt": _length(model, said[p.id])}) for p in answers]
    return write_control(texts, out, model, rounds, tried, found, opened)


def _rounds(texts: Texts) -> Rounds:
    """Returns round -> train, val and test samples; several rounds where the data name folds."""
    if texts.test is None:
        if texts.val is not None:
            raise SettingsError(
                "--val without --test: with folds a part of each fold's training samples is the"
                " validation part; give --test too, or leave --val out"
            )
        samples = read_manifest(texts.data)
        if {s.split for s in samples} & {None, *FIXED}:
            raise SettingsError(
                f"{texts.data}: no --test, and its samples name no folds; give --test, or a"
                " manifest with folds (`mtrans data list NAME` shows split schemes)"
            )
        folds = given_folds(samples)
    else:
        folds = [Fold("test", read_manifest(texts.data), read_manifest(texts.test))]
    rounds: dict[str, dict[str, Sequence[Sample]]] = {}
    for fold in folds:
        train = [s for s in fold.train if s.answer is not None]
        if texts.val is not None:
            val = read_manifest(texts.val)
        else:
            placed = hold_out(train, {"val": texts.share}, unit=texts.by, seed=texts.seed)
            apart = {s.id for s in placed if s.split == "val"}
            val = [s for s in train if s.id in apart]
            train = [s for s in train if s.id not in apart]
        rounds[fold.name] = {"train": train, "val": val, "test": fold.test}
        _check_apart(fold.name, rounds[fold.name])
    return rounds


def _check_apart(name: str, parts: Mapping[str, Sequence[Sample]]) -> None:
    seen: dict[str, str] = {}
    for split, samples in parts.items():
        for s in samples:
            if s.id in seen:
                raise SettingsError(f"{name}: sample '{s.id}' is in {seen[s.id]} and in {split}")
            seen[s.id] = split


def _shared(rounds: Rounds, said: dict[str, str]) -> list[str]:
    """Returns a remark for each round whose test texts are partly those it learns from."""
    remarks = []
    for name, parts in rounds.items():
        known = {said[s.id] for split in ("train", "val") for s in parts[split]}
        same = [s.id for s in parts["test"] if said[s.id] in known]
        if same:
            remarks.append(
                f"{name}: {len(same)} of {len(parts['test'])} test texts are training or validation"
                f" texts too, '{same[0]}' for one"
            )
    return remarks


def _text(sample: Sample) -> str:
    settings = ModelSettings(llm_text="both")
    return build_prompt(sample, settings, PromptSettings(), STYLE).llm_text


def _length(lm: FrozenLM, text: str) -> int:
    return len(lm.tokenizer(text)["input_ids"])
