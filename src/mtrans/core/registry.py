"""A name -> object table that imports late and says "did you mean".

A registry holds either objects or ``"package.module:attribute"`` strings, so that listing what
exists costs no heavy import.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from mtrans.core.errors import SettingsError, did_you_mean

T = TypeVar("T")


def import_object(path: str) -> object:
    """Imports ``"package.module:attribute"`` (or a whole module without the colon).

    Args:
        path: The import path.

    Returns:
        The attribute, or the module.

    Raises:
        SettingsError: The module or the attribute does not exist.
    """
    module_name, _, attribute = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        raise SettingsError(f"no module '{module_name}' (from '{path}')") from error
    if not attribute:
        return module
    if not hasattr(module, attribute):
        known = did_you_mean(attribute, [n for n in dir(module) if not n.startswith("_")])
        raise SettingsError(f"module '{module_name}' has no '{attribute}'{known}")
    return getattr(module, attribute)


class Registry(Generic[T]):
    """Named things of one kind.

    Args:
        kind: What the things are, for error messages ("backbone", "metric").
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._entries: dict[str, T | str] = {}

    def add(self, name: str, entry: T | str) -> None:
        """Adds an object, or the import path of one, under a name not yet taken."""
        if name in self._entries:
            raise ValueError(f"{self.kind} '{name}' is registered twice")
        self._entries[name] = entry

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator form of :meth:`add`."""

        def decorate(entry: T) -> T:
            self.add(name, entry)
            return entry

        return decorate

    def get(self, name: str) -> T:
        """Returns the thing called `name`, imported now if need be.

        Raises:
            SettingsError: No such name.
        """
        if name not in self._entries:
            raise SettingsError(f"unknown {self.kind} '{name}'{did_you_mean(name, self._entries)}")
        entry = self._entries[name]
        if isinstance(entry, str):
            entry = import_object(entry)  # type: ignore[assignment]
            self._entries[name] = entry
        return entry  # type: ignore[return-value]

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)
