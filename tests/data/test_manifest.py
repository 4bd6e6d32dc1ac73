from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtrans.core.errors import ManifestError
from mtrans.core.records import Sample, Turn
from mtrans.data.fields import FIELDS
from mtrans.data.manifest import read_manifest, scan_manifest, write_manifest

GOOD = {"id": "a", "video": "a.mp4", "question": "where?", "choices": ["left", "right"], "label": 0}


def write(path, *records):
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return path


words = st.text(min_size=1).filter(lambda t: t.strip())
optional = st.none() | words
seconds = st.floats(0, 1e6)
facts = st.dictionaries(
    st.text(),
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
)


@st.composite
def samples(draw, number=0):
    choices = draw(st.none() | st.lists(words, min_size=2, max_size=5, unique=True).map(tuple))
    label = draw(st.none() | st.integers(0, len(choices) - 1)) if choices else None
    answer = (
        choices[label] if choices and label is not None else None if choices else draw(optional)
    )
    start, end = sorted([draw(seconds), draw(seconds)])
    names = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="/\\\x00"), min_size=1)
    name = draw(st.none() | names.filter(lambda t: t.strip() and t not in (".", "..")))
    return Sample(
        id=f"{number}-{draw(st.text())}",
        video=None if name is None else f"/clips/{name}",
        question=draw(words),
        answer=answer,
        choices=choices,
        label=label,
        start=start if start < end else None,
        end=end if start < end else None,
        context=tuple(
            Turn(t, s) for t, s in draw(st.lists(st.tuples(words, optional), max_size=3))
        ),
        speaker=draw(optional),
        group=draw(optional),
        split=draw(optional),
        type=draw(optional),
        facts=draw(facts),
    )


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_write_then_read_gives_the_same_samples(tmp_path_factory, data):
    some = [data.draw(samples(number)) for number in range(data.draw(st.integers(1, 3)))]
    path = tmp_path_factory.mktemp("m") / "m.jsonl"
    write_manifest(path, some)
    assert read_manifest(path) == some


def test_videos_are_relative_in_the_file_and_absolute_in_the_samples(tmp_path):
    inside, outside = tmp_path / "set" / "clips" / "a.mp4", tmp_path / "b.mp4"
    some = [Sample("a", str(inside), "q?"), Sample("b", str(outside), "q?")]
    path = tmp_path / "set" / "train.jsonl"
    write_manifest(path, some)
    written = [json.loads(line)["video"] for line in path.read_text().splitlines()]
    assert written == ["clips/a.mp4", str(outside)]
    assert read_manifest(path) == some
    (tmp_path / "set").rename(tmp_path / "moved")
    assert read_manifest(tmp_path / "moved" / "train.jsonl")[0].video == str(
        tmp_path / "moved" / "clips" / "a.mp4"
    )
    assert (
        read_manifest(tmp_path / "moved" / "train.jsonl", video_folder="/v")[1].video == "/v/b.mp4"
    )


def test_answer_and_label_complete_each_other(tmp_path):
    by_answer = {**GOOD, "id": "b", "answer": "right"}
    del by_answer["label"]
    one, two = read_manifest(write(tmp_path / "m.jsonl", GOOD, by_answer))
    assert (one.answer, one.label) == ("left", 0)
    assert (two.answer, two.label) == ("right", 1)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"questoin": "x"}, "questoin: unknown field; did you mean 'question'?"),
        ({"question": None}, "question: missing"),
        ({"question": "  "}, "question: empty"),
        ({"id": 3}, "id: number 3; wanted text"),
        ({"video": "http://x/a.mp4"}, "video: 'http://x/a.mp4' is an address"),
        ({"answer": "right"}, "answer: 'right', but label 0 is 'left'"),
        ({"label": 2}, "label: 2 is outside 0..1"),
        ({"label": -1}, "label: -1 is outside 0..1"),
        ({"label": True}, "label: yes/no true; wanted the index"),
        ({"choices": None}, "label: 0 given without choices"),
        ({"choices": ["left"]}, "choices: 1 given; wanted at least two"),
        ({"choices": ["left", "left"]}, "choices: 'left' is given twice"),
        ({"choices": "left"}, 'choices: text "left"; wanted a list'),
        (
            {"label": None, "answer": "rihgt"},
            "answer: 'rihgt' is not among choices; did you mean 'right'?",
        ),
        ({"start": 2.0, "end": 1.0}, "end: 1.0 is not after start 2.0"),
        ({"start": 2.0, "end": 2.0}, "end: 2.0 is not after start 2.0"),
        ({"end": 0}, "end: 0.0 is not after start 0.0"),
        ({"start": "1"}, 'start: text "1"; wanted seconds'),
        ({"start": -1}, "start: -1; wanted seconds from the file's beginning"),
        ({"end": math.inf}, "end: inf; wanted seconds"),
        ({"context": 5}, "context: number 5"),
        ({"context": [{"text": "x", "who": "y"}]}, "context: turn 0: unknown field 'who'"),
        ({"context": [{"text": "x"}, {"speaker": "y"}]}, "context: turn 1: text: missing"),
        ({"facts": {"n": [1]}}, "facts: 'n' is list [1]"),
        ({"facts": {"n": math.nan}}, "facts: 'n' is number NaN"),
    ],
)
def test_each_problem_names_file_line_field_and_reason(tmp_path, change, expected):
    path = write(tmp_path / "m.jsonl", GOOD, {**GOOD, "id": "b", **change})
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:2: {expected}")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"{oops", "not JSON"),
        (b"[1]x", "not JSON"),
        (b"3", "number 3; wanted a JSON object"),
        (b'{"id": "\xff"}', "not UTF-8 at byte 8"),
        (b'{"id": "a", "id": "b"}', "id: given twice in one object"),
    ],
)
def test_broken_lines(tmp_path, line, expected):
    path = tmp_path / "m.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b"\n\n" + line + b"\n")
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert f"{path}:3: {expected}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_problems_are_listed_and_good_lines_are_kept(tmp_path):
    path = write(
        tmp_path / "m.jsonl", {**GOOD, "label": 9}, GOOD, GOOD, {**GOOD, "id": "c"}, {"id": "d"}
    )
    scan = scan_manifest(path)
    assert [(p.line, p.field) for p in scan.problems] == [(1, "label"), (3, "id"), (5, "question")]
    assert scan.problems[1].reason == "'a' is already used in line 2"
    assert [(s.id, line) for s, line in zip(scan.samples, scan.lines, strict=True)] == [
        ("a", 2),
        ("c", 4),
    ]
    with pytest.raises(ManifestError, match=r"\(2 more: `mtrans data check"):
        read_manifest(path)


def test_empty_and_missing_files(tmp_path):
    (tmp_path / "empty.jsonl").write_bytes(b"\n")
    with pytest.raises(ManifestError, match="no samples"):
        read_manifest(tmp_path / "empty.jsonl")
    with pytest.raises(ManifestError, match="No such file"):
        read_manifest(tmp_path / "none.jsonl")


def test_byte_order_mark_windows_lines_and_separators_within_text(tmp_path):
    path = tmp_path / "m.jsonl"
    lines = [
        json.dumps({**GOOD, "question": "a\u2028b"}, ensure_ascii=False),
        json.dumps({**GOOD, "id": "b"}),
    ]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert [s.question for s in read_manifest(path)] == ["a\u2028b", "where?"]


def test_writing_refuses_what_reading_would(tmp_path):
    path = tmp_path / "m.jsonl"
    with pytest.raises(ManifestError, match=r":2: id: 'a' is used twice"):
        write_manifest(path, [Sample("a", None, "q?"), Sample("a", None, "q?")])
    with pytest.raises(ManifestError, match=r":1: question: empty"):
        write_manifest(path, [Sample("a", None, "")])
    assert list(tmp_path.iterdir()) == []


def test_importing_needs_no_torch():
    code = (
        "import sys, mtrans.data.manifest, mtrans.data.messages, mtrans.data.prompts;"
        "import mtrans.data.check;"
        "assert not {'torch', 'transformers', 'av', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_docs_list_every_field_and_their_examples_are_valid(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "data-format.md").read_text(encoding="utf-8")
    table = text.split("| field |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(FIELDS)
    needed = re.findall(r"^\| `(\w+)` \| \w+ \| yes \|", table, re.MULTILINE)
    assert needed == ["id", "question"]
    manifest, messages = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    for name, example in (("manifest", manifest), ("messages", messages)):
        path = tmp_path / f"{name}.jsonl"
        path.write_text(example, encoding="utf-8")
        scan = scan_manifest(path)
        assert (scan.form, scan.problems) == (name, [])
