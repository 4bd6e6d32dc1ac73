from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtrans.core.errors import ManifestError
from mtrans.core.records import Sample, Turn
from mtrans.data.manifest import read_manifest, write_manifest
from mtrans.data.messages import samples_from_messages
from mtrans.data.messages_file import records_from_samples, write_messages

FORMS = ("messages", "sharegpt")
words = st.text("ab:?!\n\u2028<>.é", min_size=1, max_size=8).map(str.strip).filter(bool)
turns = st.builds(
    Turn, words, st.none() | words | st.sampled_from(["user", "assistant", "system", "anna"])
)


@st.composite
def samples(draw):
    choices = draw(st.none() | st.lists(words, min_size=2, max_size=3, unique=True).map(tuple))
    label = draw(st.none() | st.integers(0, len(choices) - 1)) if choices else None
    answer = choices[label] if label is not None else None if choices else draw(st.none() | words)
    return Sample(
        draw(words),
        draw(st.none() | st.just("/v/a.mp4")),
        draw(words),
        answer,
        choices,
        label,
        context=tuple(draw(st.lists(turns, max_size=3))),
        start=draw(st.none() | st.just(0.5)),
        speaker=draw(st.none() | words),
        group=draw(st.none() | words),
        split=draw(st.none() | st.just("val")),
        type=draw(st.none() | words),
        facts=draw(st.dictionaries(words, st.none() | st.booleans() | st.integers(), max_size=2)),
    )


def read_back(records):
    return [
        s
        for n, r in enumerate(json.loads(json.dumps(records)))
        for s in samples_from_messages(r, f"x{n}")
    ]


@pytest.mark.parametrize("form", FORMS)
@given(st.lists(samples(), min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_samples_come_back(form, some):
    assert read_back(records_from_samples(some, form)) == some


@pytest.mark.parametrize("form", FORMS)
@given(
    st.none() | words,
    st.lists(st.tuples(words, words), min_size=1, max_size=4),
    st.none() | words,
    st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_a_dialogue_of_another_tool_comes_back_as_it_was(form, system, pairs, last, has_video):
    """Read, written and read again: the very record, where `<video>` stands first."""
    said = [t for q, a in pairs for t in (("user", q), ("assistant", a))]
    said += [("user", last)] if last else []
    mark = "<video>" if has_video else ""
    said[0] = ("user", mark + said[0][1])
    videos = {"videos": ["/v/a.mp4"]} if has_video else {}
    if form == "messages":
        said = [("system", system), *said] if system else said
        record = {"messages": [{"role": r, "content": t} for r, t in said], **videos, "id": "a"}
    else:
        role = {"user": "human", "assistant": "gpt"}
        record = {"conversations": [{"from": role[r], "value": t} for r, t in said]}
        record |= {**({"system": system} if system else {}), **videos, "id": "a"}
    found = samples_from_messages(record, "x")
    assert len(found) == len(pairs) + bool(last)
    assert records_from_samples(found, form) == [record]


def test_dialogues_are_not_mixed_up():
    """Ids that look like a dialogue's do not make one."""
    some = [
        Sample("a", "/v/a.mp4", "q", "x"),
        Sample("a.1", "/v/b.mp4", "q", "y"),
        Sample("a.2", "/v/b.mp4", "r", "y", context=(Turn("q", "user"), Turn("y", "assistant"))),
    ]
    records = records_from_samples(some)
    assert len(records) == 3
    assert read_back(records) == some


def test_what_can_not_be_held_is_refused():
    with pytest.raises(ManifestError, match="sample 'a' can't be written as messages"):
        records_from_samples([Sample("a", None, "is <video> a tag ?", "yes")])


@pytest.mark.parametrize("form", FORMS)
def test_files(tmp_path, form):
    some = [Sample("a", str(tmp_path / "a.mp4"), "q", "x", ("x", "y"), 0, split="test")]
    write_manifest(tmp_path / "m.jsonl", some)
    assert write_messages(tmp_path / "out" / "f.jsonl", read_manifest(tmp_path / "m.jsonl"), form)
    assert read_manifest(tmp_path / "out" / "f.jsonl") == some
