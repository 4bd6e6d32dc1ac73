"""The command reference, written from the signatures and docstrings of the commands themselves.

python -m mtrans.app.reference > docs/commands.md
"""

from __future__ import annotations

import enum
import inspect
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from mtrans.app.cli import app, root
from mtrans.app.prose import describe_settings
from mtrans.core.markdown import table

HEAD = """\
# Commands

Written by `python -m mtrans.app.reference > docs/commands.md`; a test holds it equal to the
program. `mtrans COMMAND --help` shows the same.

Results go to standard output, remarks and progress to standard error. Status 0: done; 1: `data
check` found problems, or a bug with its traceback; 2: an error in one line (`--debug` adds the
traceback); 130: stopped with Ctrl-C, where the same command goes on.
"""

WORDS = {str: "TEXT", int: "INTEGER", float: "NUMBER", Path: "PATH"}


@dataclass(frozen=True)
class Parameter:
    """An argument or option of a command.

    Attributes:
        name: As it is typed, with what follows it: ``--out PATH``.
        about: Its help.
        default: What it is when left out; ``required`` where it can't be.
        argument: Whether it stands without a name.
        repeats: Whether it may be given several times.
    """

    name: str
    about: str
    default: str
    argument: bool
    repeats: bool

    @property
    def required(self) -> bool:
        """Whether it can't be left out."""
        return self.default == "required"


def reference() -> str:
    """Returns the reference as Markdown."""
    parts = [HEAD, _section("mtrans", root, "COMMAND")]
    parts += [_section(f"mtrans {path}", command) for path, command in commands(app)]
    return "\n".join([*parts, _settings()])


def commands(group: typer.Typer, prefix: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yields (words, function) of every command below a group."""
    for command in group.registered_commands:
        assert command.callback is not None
        yield f"{prefix}{command.name}", command.callback
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        yield from commands(inner.typer_instance, f"{prefix}{inner.name} ")


def parameters(command: Callable[..., Any]) -> list[Parameter]:
    """Returns what a command takes, in the order of its signature."""
    hints = typing.get_type_hints(command, include_extras=True)
    found = []
    for name, parameter in inspect.signature(command).parameters.items():
        info = next(iter(getattr(hints[name], "__metadata__", ())), None)
        if info is None:
            continue  # the context, which nobody types
        kind, repeats = _kind(typing.get_args(hints[name])[0])
        if isinstance(info, typer.models.ArgumentInfo):
            shown = name.upper()
        else:
            # as typer does: --name and --no-name for a yes or no without a name of its own
            own = "--" + name.replace("_", "-")
            if kind is bool:
                names = list(_declared(info) or (own, f"--no-{own[2:]}"))
                shown = " / ".join(part for n in names for part in n.split("/"))
            else:
                shown = f"{(_declared(info) or (own,))[0]} {_word(kind)}"
        found.append(
            Parameter(
                name=shown,
                about=" ".join((info.help or "").split()),
                default=_default(parameter.default, info.show_default, shown),
                argument=isinstance(info, typer.models.ArgumentInfo),
                repeats=repeats,
            )
        )
    return found


def _declared(info: Any) -> tuple[str, ...]:
    """Returns the names given to an option; inside `Annotated` the first one is kept as default."""
    first = (info.default,) if isinstance(info.default, str) else ()
    return (*first, *(info.param_decls or ()))


def _kind(hint: Any) -> tuple[Any, bool]:
    """Returns the plain type behind an annotation, and whether it is a list."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(a for a in typing.get_args(hint) if a is not type(None))
    if typing.get_origin(hint) is list:
        return typing.get_args(hint)[0], True
    return hint, False


def _word(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return "{" + ",".join(str(member.value) for member in kind) + "}"
    return WORDS[kind]


def _default(value: Any, shown: Any, name: str) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    if isinstance(shown, str):
        return shown
    if value is None or (value is False and "/" not in name):
        return ""
    if isinstance(value, bool):
        return f"`{name.split(' / ')[0 if value else 1]}`"
    return f"`{value.value if isinstance(value, enum.Enum) else value}`"


def _section(path: str, command: Callable[..., Any], tail: str = "") -> str:
    taken = parameters(command)
    words = [path, "[OPTIONS]" if tail else ""]
    for p in taken:
        if p.argument or p.required:
            text = f"{p.name}..." if p.repeats else p.name
            words.append(text if p.required else f"[{text}]")
    words += [tail] if tail else ["[OPTIONS]"] if any(not p.required for p in taken) else []
    usage = " ".join(w for w in words if w)
    about = inspect.cleandoc(command.__doc__ or "")
    lines = [f"## {path}", "", about, "", "```", usage, "```", ""]
    if taken:
        lines += [*table(["", "", "default"], map(_row, taken)), ""]
    return "\n".join(lines)


def _row(p: Parameter) -> tuple[str, ...]:
    about = p.about + (" Repeatable." if p.repeats and "repeatable" not in p.about else "")
    return f"`{p.name}`", about, p.default


def _settings() -> str:
    rows = [(f"`{s.name}`", f"`{s.value}`", s.kind, s.about) for s in describe_settings()]
    head = (
        "What `--set name=value` and a `--config` file may hold, with the defaults; `mtrans"
        " settings --preset paper` shows a preset's values."
    )
    made = table(["setting", "default", "kind", "meaning"], rows)
    return "\n".join(["## Settings", "", head, "", *made, ""])


if __name__ == "__main__":
    print(reference(), end="")
