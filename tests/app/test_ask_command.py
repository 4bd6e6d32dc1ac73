"""`mtrans ask` on a tiny random model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtrans.app.commands_ask import as_turn
from mtrans.core.records import Turn

from .conftest import Command, one_line_error


def test_ask_with_choices(mtrans: Command, run: Path, small: Path) -> None:
    clip, question = small / "clips" / "1.mp4", "which way does the square move ?"
    words = ["ask", run, clip, question, "--choice", "left", "--choice", "right"]
    done = mtrans(*words)
    assert done.status == 0, done.err
    said = done.out.splitlines()[0]
    assert said in ("left", "right")
    answer = json.loads(mtrans(*words, "--json", "--end", "0.5").out)
    assert sum(answer["probabilities"]) == pytest.approx(1)
    assert max(answer["times"]) < 0.5
    other = json.loads(mtrans(*words, "--json", "--context", "a: what is it ?").out)
    assert other["probabilities"] != json.loads(mtrans(*words, "--json").out)["probabilities"]


def test_ask_a_backbone_says_that_it_is_not_adapted(mtrans: Command, small: Path) -> None:
    done = mtrans("ask", small / "backbone", small / "clips" / "1.mp4", "what is it ?")
    assert done.status == 0
    assert "is not adapted to video" in done.err
    blind = json.loads(mtrans("ask", small / "backbone", "-", "what is it ?", "--json").out)
    assert blind["times"] == []


def test_settings_of_a_backbone_and_of_a_run(mtrans: Command, run: Path, small: Path) -> None:
    words = [small / "clips" / "1.mp4", "what is it ?", "--json", "--set", "frames.count=2"]
    answer = json.loads(mtrans("ask", small / "backbone", *words).out)
    assert len(answer["times"]) == 2
    one_line_error(mtrans("ask", run, *words), "frames.count=2", "trained with")


def test_ask_wrong(mtrans: Command, run: Path, small: Path) -> None:
    one_line_error(mtrans("ask", run, small / "no.mp4", "what ?"), "no.mp4", "no such file")
    one_line_error(mtrans("ask", small / "rum", "-", "what ?"), "no folder", "did you mean", "run'")
    one_line_error(mtrans("ask", "nobody/nothing", "-", "what ?"), "'nobody/nothing'")
    one_line_error(mtrans("ask", run, "-", "what ?", "--choice", "a"), "at least two")


@pytest.mark.parametrize(
    ("text", "turn"),
    [
        ("bob: i love it", Turn("i love it", "bob")),
        ("i love it", Turn("i love it")),
        ("bob:", Turn("bob:")),
        ("12:30 will do", Turn("12:30 will do")),
    ],
)
def test_context_turns(text: str, turn: Turn) -> None:
    assert as_turn(text) == turn


def test_ask_wrongly_or_with_too_few_frames(mtrans: Command, run: Path, small: Path) -> None:
    clip = next((small / "clips").glob("*.mp4"))
    ask = ["ask", run, clip]
    one_line_error(mtrans(*ask, "what ?", "--choice", "one"), "at least two")
    one_line_error(mtrans(*ask, "what ?", "--choice", "one", "--choice", "one"), "given twice")
    one_line_error(mtrans(*ask, " "), "question: empty")
    assert "fewer frames" not in mtrans(*ask, "what is it ?").err
    many = mtrans("ask", small / "backbone", clip, "what is it ?", "--set", "frames.count=20")
    warned = [x for x in many.err.splitlines() if "fewer frames" in x]
    assert len(warned) == 1
    assert warned[0].startswith("warning: 1 clip with fewer frames than frames.count=20")


def test_a_model_that_is_none_is_named_at_once(
    mtrans: Command, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise OSError("no network here")

    clip = next((small / "clips").glob("*.mp4"))
    monkeypatch.setattr("socket.socket.connect", no_network)
    one_line_error(mtrans("ask", "nope", clip, "x"), "there is no model 'nope'", "tiny")
    one_line_error(mtrans("ask", "tinny", clip, "x"), "did you mean 'tiny'?")
    monkeypatch.setattr("mtrans.models.hub.reachable", lambda _: False)
    done = mtrans("ask", "nobody/has-this-one", clip, "x")
    one_line_error(done, "'nobody/has-this-one' is not on this machine", "can't be reached")
