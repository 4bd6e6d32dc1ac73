"""What every data set must do, on its own three invented records; found by their files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cases import FIXTURES, Case, cases, outcome

from mtrans.core.errors import DatasetError, MTransError, SettingsError
from mtrans.data.adapters import ADAPTERS
from mtrans.data.adapters.shared.base import Adapter
from mtrans.data.manifest import read_manifest, write_manifest
from mtrans.measure.apply import METRICS

NAMES = sorted(ADAPTERS)
CASES = [case for name in NAMES if (FIXTURES / name / "case.json").exists() for case in cases(name)]
every_set = pytest.mark.parametrize("name", NAMES)
every_case = pytest.mark.parametrize("case", CASES, ids=str)
WORDS = ("title", "about", "source", "citation", "licence", "get", "size", "videos")


def one_line(error: pytest.ExceptionInfo[MTransError]) -> str:
    text = str(error.value)
    assert text.strip()
    assert "\n" not in text
    return text


def attempt(case: Case, annotations: Path) -> tuple[int, str | None]:
    """Returns the number of samples, or the user's error; any other error passes through."""
    try:
        return len(case.read(annotations, None).samples), None
    except MTransError as error:
        return 0, str(error)


def test_some_are_found() -> None:
    assert {"mustard", "jsonl"} <= set(NAMES)


@every_set
def test_has_a_fixture(name: str) -> None:
    assert (FIXTURES / name / "case.json").is_file(), "write its fixture, see cases.py"
    assert (FIXTURES / name / "expected.json").is_file(), f"run cases.py {name}, read what it wrote"


@every_set
def test_says_what_it_is(name: str) -> None:
    adapter = ADAPTERS.get(name)
    assert isinstance(adapter, Adapter)
    assert adapter.name == name
    for word in WORDS:
        text = getattr(adapter, word)
        assert text.strip() == text != ""
        assert "\n" not in text, word
    assert adapter.version >= 1
    assert adapter.kinds
    assert set(adapter.kinds) <= {"choice", "open", "caption"}
    assert adapter.metrics
    assert all(m in METRICS for m in adapter.metrics), adapter.metrics
    assert adapter.schemes
    assert all(scheme.about for scheme in adapter.schemes.values())
    assert all(0 < c < 1 for c in adapter.chance.values())
    names = [q.name for q in adapter.questions]
    assert len(set(names)) == len(names)
    for option in adapter.options.values():
        assert option.about
        assert not option.values or option.default is None or option.default in option.values


@every_set
def test_every_scheme_and_option_value_has_a_case(name: str) -> None:
    adapter = ADAPTERS.get(name)
    done = cases(name)
    assert {case.scheme for case in done} == set(adapter.schemes)
    for option, what in adapter.options.items():
        used = {case.options.get(option, what.default) for case in done}
        assert used >= set(what.values), f"no case with {option} = {set(what.values) - used}"


@every_set
def test_gives_what_was_read_and_approved(name: str, tmp_path: Path) -> None:
    expected = json.loads((FIXTURES / name / "expected.json").read_text(encoding="utf-8"))
    made = outcome(name, tmp_path)
    for wording, words in expected["questions"].items():
        now = made["questions"].get(wording)
        if now is not None and now != words:
            assert now["version"] > words["version"], f"{wording}: changed; raise its version"
    assert made == expected, f"raise {name}'s version, run cases.py {name} and read the difference"


@every_case
def test_samples_are_valid(case: Case, tmp_path: Path) -> None:
    annotations, videos = case.lay_out(tmp_path)
    prepared = case.read(annotations, videos)
    samples = list(prepared.samples)
    assert samples
    assert all(path.is_file() for path in prepared.files)
    assert prepared.files or not case.adapter.files
    path = tmp_path / "m.jsonl"
    write_manifest(path, samples)
    assert read_manifest(path) == samples, "does not survive being written and read"
    adapter = case.adapter
    known = adapter.schemes[case.scheme].sizes
    for sample in samples:
        assert sample.split
        assert not known or sample.split in known
        kind = "choice" if sample.choices else "open"
        assert kind in adapter.kinds or "caption" in adapter.kinds
    for kind, chance in adapter.chance.items():
        some = [1 / len(s.choices) for s in samples if s.choices and kind in (s.type, "*")]
        assert not some or sum(some) / len(some) == pytest.approx(chance)


@every_case
def test_finds_the_videos(case: Case, tmp_path: Path) -> None:
    annotations, videos = case.lay_out(tmp_path)
    asked = {s.video for s in case.read(annotations, videos).samples if s.video}
    there = {str(videos / v) for v in (*case.videos, *case.folders)}
    assert {v for v in asked if Path(v).exists()} >= there, "case.json names videos it did not find"
    # gone: the same samples, the clips where they are expected
    shutil.rmtree(videos)
    videos.mkdir()
    gone = case.read(annotations, videos).samples
    assert len(gone) == len(case.read(annotations, None).samples)
    if case.videos or case.folders:
        assert not any(Path(s.video).exists() for s in gone if s.video)


@every_case
def test_wrong_folder_is_one_clear_error(case: Case, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for place in (empty, tmp_path / "nowhere"):
        with pytest.raises(DatasetError) as error:
            case.read(place, None)
        text = one_line(error)
        assert str(place) in text
        assert case.adapter.looked_for() in text
        assert case.adapter.get in text


@every_case
@pytest.mark.parametrize(
    "content",
    [b"", b"<!DOCTYPE html><html>sign in</html>", b"version https://git-lfs.github.com/spec/v1\n",
     b"{}", b"[]", b"\x80\x02cos\nsystem\n", b"[[1, 2], {\"a\": null}]", "half"],
    ids=["empty", "html", "lfs", "object", "list", "evil-pickle", "odd", "half"],
)  # fmt: skip
def test_wrong_file_is_one_clear_error(case: Case, content: bytes | str, tmp_path: Path) -> None:
    annotations, _ = case.lay_out(tmp_path)
    whole = case.read(annotations, None)
    for file in whole.files:
        before = file.read_bytes()
        file.write_bytes(before[: len(before) // 2] if isinstance(content, str) else content)
        left, error = attempt(case, annotations)
        if error is not None:
            assert "\n" not in error
            # few rows may be left that can't be split as asked
            assert any(w in error for w in (file.name, "published", "too few", "folds of"))
        else:  # a table that lost its last rows can't be told from a smaller one
            assert isinstance(content, str) or content in (b"{}", b"[]")
            assert left < len(whole.samples)
        file.write_bytes(before)


@every_case
def test_half_a_data_set_is_refused(case: Case, tmp_path: Path) -> None:
    if not case.adapter.schemes[case.scheme].sizes or case.options:
        pytest.skip("no published sizes to compare with")
    annotations, _ = case.lay_out(tmp_path)
    with pytest.raises(DatasetError) as error:
        case.read(annotations, None, allow_partial=False)
    assert "are published" in one_line(error)
    assert "--allow-partial" in one_line(error)


@every_set
def test_unknown_scheme_and_option(name: str) -> None:
    adapter = ADAPTERS.get(name)
    with pytest.raises(SettingsError, match="no split scheme 'nonsense'"):
        adapter.request("nonsense")
    with pytest.raises(SettingsError, match="no option 'nonsense'"):
        adapter.request(options={"nonsense": "1"})
