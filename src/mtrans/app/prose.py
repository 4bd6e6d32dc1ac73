"""The prose under each setting, read from the source, where it stands once."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import textwrap
import typing
from dataclasses import dataclass
from typing import Any

from mtrans.core.settings import RunSettings, load_settings


@dataclass(frozen=True)
class Described:
    """A setting as a person wants to see it.

    Attributes:
        name: Dotted name, as for ``--set``.
        value: Its value, as for ``--set``.
        kind: Its type, or the words it may be.
        about: What it means.
    """

    name: str
    value: str
    kind: str
    about: str


def describe_settings(settings: RunSettings | None = None) -> list[Described]:
    """Describes every setting of a run, in the order of the source.

    Args:
        settings: Whose values to show; None shows the default preset's.

    Returns:
        One entry a setting.
    """
    return _describe(settings or load_settings(), "")


def _describe(part: Any, prefix: str) -> list[Described]:
    prose = _prose(type(part))
    hints = typing.get_type_hints(type(part))
    found = []
    for f in dataclasses.fields(part):
        value = getattr(part, f.name)
        if dataclasses.is_dataclass(value):
            found += _describe(value, f"{prefix}{f.name}.")
        else:
            about = prose.get(f.name, "")
            found.append(Described(prefix + f.name, _value(value), _kind(hints[f.name]), about))
    return found


def _prose(cls: type) -> dict[str, str]:
    """Returns field -> the text below it."""
    body = typing.cast(
        ast.ClassDef, ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    ).body
    prose = {}
    for field, below in itertools.pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            prose[field.target.id] = " ".join(str(below.value.value).split())
    return prose


def _value(value: Any) -> str:
    """Returns a value as ``--set`` takes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(_value(v) for v in value) or "[]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _kind(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return " | ".join(str(a) for a in arguments)
    if origin is tuple:
        return f"{_kind(arguments[0])}, ..."
    if arguments:  # a union with None
        return " | ".join("null" if a is type(None) else _kind(a) for a in arguments)
    return {str: "text", int: "integer", float: "number", bool: "true | false"}.get(hint, str(hint))
