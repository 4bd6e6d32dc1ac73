"""Every setting and every command is described, and the written reference is the program's."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtrans.app.cli import app
from mtrans.app.prose import describe_settings
from mtrans.app.reference import commands, parameters, reference
from mtrans.core.settings import load_settings, setting_fields

from .conftest import Command, one_line_error

DOCS = Path(__file__).resolve().parents[2] / "docs" / "commands.md"


def test_the_written_reference_is_the_programs() -> None:
    assert DOCS.read_text(encoding="utf-8") == reference(), (
        "run `python -m mtrans.app.reference > docs/commands.md`"
    )


def test_every_command_and_parameter_says_what_it_is() -> None:
    found = dict(commands(app))
    assert {"adapt", "eval", "ask", "report", "compare", "doctor", "demo"} <= set(found)
    assert {"worlds make", "worlds list", "data check", "data convert", "settings"} <= set(found)
    for path, command in found.items():
        assert command.__doc__, path
        for parameter in parameters(command):
            assert parameter.about, f"{path} {parameter.name}"


def test_help_shows_every_parameter(mtrans: Command) -> None:
    for path, command in commands(app):
        shown = mtrans(*path.split(), "--help").out
        for parameter in parameters(command):
            if not parameter.argument:
                assert parameter.name.split()[0] in shown, path


def test_every_setting_is_described() -> None:
    described = describe_settings()
    assert [s.name for s in described] == list(setting_fields())
    assert all(s.about for s in described), [s.name for s in described if not s.about]


def test_shown_values_can_be_given_to_set() -> None:
    before = load_settings(preset="paper")
    words = [f"{s.name}={s.value}" for s in describe_settings(before) if s.name != "preset"]
    assert load_settings(preset="paper", overrides=words) == before


def test_settings_command(mtrans: Command) -> None:
    done = mtrans("settings", "temporal_gate", "--preset", "paper")
    assert done.status == 0
    assert "model.temporal_gate   none " in done.out
    one_line_error(mtrans("settings", "temporel"), "temporel")


@pytest.mark.parametrize("baseline", ["text", "single", "mean", "concat"])
def test_settings_of_baselines(mtrans: Command, baseline: str) -> None:
    assert mtrans("settings", "frames", "--baseline", baseline).status == 0


def test_commands_in_the_docs_have_the_options_they_are_shown_with() -> None:
    """A line of a code block that begins with `mtrans` must be one that the program takes."""
    known = {
        path: {part for p in parameters(command) for part in p.name.replace(" / ", " ").split()}
        for path, command in commands(app)
    }
    seen = 0
    for page in [DOCS.parent.parent / "README.md", *DOCS.parent.glob("*.md")]:
        blocks = page.read_text(encoding="utf-8").split("```")[1::2]
        for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
            if not line.startswith("mtrans ") or page.name == "LOG.md":
                continue
            words = line.partition(" #")[0].split()[1:]
            path = " ".join(words[:2]) if " ".join(words[:2]) in known else words[0]
            given = {word for word in words if word.startswith("--")} - {"--version", "--help"}
            if path in known:
                assert given <= known[path], f"{page.name}: {line}"
                seen += 1
    assert seen > 20
