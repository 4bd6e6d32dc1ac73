from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtrans.core.errors import ManifestError
from mtrans.core.records import Sample, Turn
from mtrans.data.fields import FIELDS, FieldError, sample_from_json
from mtrans.data.manifest import read_manifest, scan_manifest
from mtrans.data.messages import is_messages, messages_from_sample, samples_from_messages


def write(path: Path, *records) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return path


def exchange(*texts, **more):
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[i % 2], "content": t} for i, t in enumerate(texts)], **more}


def test_ms_swift_messages(tmp_path):
    path = write(
        tmp_path / "train.jsonl",
        exchange("<video>What is thrown?", "a ball", videos=["clips/a.mp4"], source="x"),
        exchange("<video>\nand now?", videos=["/b.mp4"]),
    )
    assert read_manifest(path) == [
        Sample("train-00001", str(tmp_path / "clips/a.mp4"), "What is thrown?", "a ball"),
        Sample("train-00002", "/b.mp4", "and now?"),
    ]


def test_llama_factory_array_with_several_turns(tmp_path):
    turns = [
        {"from": "human", "value": "<video>Who is it?"},
        {"from": "gpt", "value": "Anna"},
        {"from": "human", "value": "What does she do?"},
        {"from": "gpt", "value": "she runs"},
    ]
    path = tmp_path / "demo.json"
    path.write_text(json.dumps([{"conversations": turns, "videos": ["a.mp4"]}], indent=1))
    video = str(tmp_path / "a.mp4")
    context = (Turn("Who is it?", "user"), Turn("Anna", "assistant"))
    assert read_manifest(path) == [
        Sample("demo-00001", video, "Who is it?", "Anna"),
        Sample("demo-00001.1", video, "What does she do?", "she runs", context=context),
    ]


def test_parts_system_history_and_query(tmp_path):
    parts = [{"type": "video", "video": "a.mp4"}, {"type": "text", "text": "where?"}]
    path = write(
        tmp_path / "t.jsonl",
        {
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": parts},
            ]
        },
        {
            "query": "<video>then?",
            "response": "left",
            "history": [["hi", "ho"]],
            "videos": ["b.mp4"],
        },
    )
    one, first, second = read_manifest(path)
    assert (one.video, one.question) == (str(tmp_path / "a.mp4"), "where?")
    assert one.context == (Turn("be brief", "system"),)
    assert (first.question, first.answer) == ("hi", "ho")
    assert (second.question, second.answer) == ("then?", "left")
    assert second.context == (Turn("hi", "user"), Turn("ho", "assistant"))


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (exchange("<video>q", "a", videos=["a", "b"]), "videos: 2 given; wanted one"),
        (
            exchange("<video><video>q", "a", videos=["a"]),
            "videos: 2 <video> in the text, but 1 videos",
        ),
        (exchange("<video>q", "a"), "videos: 1 <video> in the text, but 0 videos"),
        (exchange("q", "a", videos=["a"], images=["i"]), 'images: list ["i"]; only videos'),
        (exchange("<video>", "a", videos=["a"]), "messages: a user turn holds no text"),
        (exchange("q", "a", videos=[3]), "videos: int; wanted the path"),
        ({"videos": ["a"]}, "messages: missing"),
        ({"messages": [], "videos": ["a"]}, "messages: wanted a non-empty list"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages: turn 0: role 'tool'"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages: no user turn"),
    ],
)
def test_what_a_sample_cannot_hold_is_named(tmp_path, record, expected):
    path = write(tmp_path / "t.jsonl", exchange("<video>q", "a", videos=["a"]), record)
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert str(caught.value).startswith(f"{path}:2: {expected}")


words = st.text(min_size=1).map(str.strip).filter(lambda t: t and "<video>" not in t)


@given(
    words,
    words,
    st.lists(st.tuples(words, st.none() | words), max_size=3),
    st.none() | st.just("/v.mp4"),
)
def test_written_messages_read_back(question, answer, turns, video):
    sample = Sample(
        "a",
        video,
        question,
        answer,
        start=1.0,
        context=tuple(Turn(*t) for t in turns),
        facts={"n": 1},
    )
    record = json.loads(json.dumps(messages_from_sample(sample)))
    assert samples_from_messages(record, "x") == [sample]


def test_an_edited_text_is_not_hidden_by_the_context_column():
    sample = Sample("a", "/v.mp4", "why?", "so", context=(Turn("hello"),))
    record = messages_from_sample(sample)
    record["messages"][0]["content"] = "<video>goodbye\nwhy?"
    assert samples_from_messages(record, "x")[0].question == "goodbye\nwhy?"


@pytest.mark.parametrize(
    ("file", "count", "labels"),
    [
        ("mmla_mustard/train.jsonl", 414, ("sincere", "sarcastic")),
        ("mmla_mustard/test.jsonl", 138, ("sincere", "sarcastic")),
        ("mmla_urfunny/test.jsonl", 994, ("humorous", "serious")),
    ],
)
def test_real_mmla_files(shared_data, file, count, labels):
    scan = scan_manifest(shared_data / "annotations" / file)
    assert (scan.form, scan.problems, len(scan.samples)) == ("messages", [], count)
    for sample in scan.samples:
        assert sample.choices == labels
        assert sample.answer == labels[sample.label]
        assert sample.question == "what is the speaking_style of this speaker?"
        assert len(sample.context) == 1
        assert "candidate labels" not in sample.context[0].text
        assert sample.video.endswith(".mp4")
    assert {s.label for s in scan.samples} == {0, 1}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "from", "value", "type", "text", "video", "speaker"]
            ),
            inner | st.sampled_from(["user", "assistant", "text", "video", "<video>"]),
            max_size=4,
        )
    ),
    max_leaves=8,
)
KEYS = [*FIELDS, "messages", "conversations", "query", "response", "history", "videos", "system"]


@given(st.dictionaries(st.sampled_from([*KEYS, "images", "audios"]), anything, max_size=6))
@settings(max_examples=400, deadline=None)
def test_whatever_a_line_holds_it_is_read_or_refused_in_one_line(record):
    refused = None
    found = []
    try:
        if is_messages(record):
            found = samples_from_messages(record, "x")
        else:
            found = [sample_from_json(record)]
    except FieldError as error:
        refused = error
    assert bool(found) != bool(refused)
    assert refused is None or (refused.reason and len(str(refused).splitlines()) == 1)
    for sample in found:
        assert sample_from_json(sample.to_json()) == sample
