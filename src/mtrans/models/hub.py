"""Published checkpoints, with and without a network.

The Hugging Face library tries an unreachable Hub again and again, for each file. Here it is tried
once, for a few seconds; then only what was downloaded before is looked at.
"""

from __future__ import annotations

import functools
import os
import socket
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from huggingface_hub import constants

PATIENCE = 3.0
"""Seconds for a connection to the Hub."""


def where_to_look(source: str) -> dict[str, Any]:
    """Returns what to give to `from_pretrained` so that it does not wait for a Hub out of reach.

    Args:
        source: A folder, or the name of a published checkpoint.

    Returns:
        ``local_files_only`` for a name where the Hub is out of reach or HF_HUB_OFFLINE is set.
    """
    if Path(source).exists() or reachable(constants.ENDPOINT):
        return {}
    return {"local_files_only": True}


def reachable(address: str) -> bool:
    """Whether a connection to an address can be made; with a proxy it is taken to be so."""
    if constants.HF_HUB_OFFLINE or os.environ.get("TRANSFORMERS_OFFLINE", "") in ("1", "true"):
        return False
    url = urllib.parse.urlsplit(address)
    if url.scheme in urllib.request.getproxies():
        return True
    return _answers(url.hostname or "", url.port or (443 if url.scheme == "https" else 80))


@functools.cache
def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=PATIENCE):
            return True
    except OSError:
        return False
