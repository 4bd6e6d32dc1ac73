"""Errors a user can act on.

Everything that is the input's fault derives from :class:`MTransError`. Its message is one line that
says what came, what was wanted and what to do; the command line prints that line alone and exits
with status 2 (a traceback comes with ``--debug``). Anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MTransError(Exception):
    """Base of all errors that a user can put right."""


class SettingsError(MTransError):
    """A setting is unknown, has the wrong type, or contradicts another one."""


class VideoError(MTransError):
    """A video file can't give the frames that were asked of it."""


class ManifestError(MTransError):
    """A manifest line is not a valid sample."""


class DatasetError(MTransError):
    """A named data set's files are not where they should be, or not what they should be."""


class CacheError(MTransError):
    """A feature cache is damaged, or belongs to other settings."""


class CheckpointError(MTransError):
    """A checkpoint, adapter or run folder is missing, damaged or of another model."""


class OutputError(MTransError, OSError):
    """A file or folder can't be written."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Names the nearest known name, for the end of an error message.

    Args:
        name: What the user wrote.
        known: What would have been accepted.

    Returns:
        ``"; did you mean 'x'?"``, or the full list where nothing is near.
    """
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known: {', '.join(known)}" if known else ""
