"""What a result was made with and on: data, versions, commit, time. Needs no torch."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mtrans.core.records import Sample

_PACKAGES = ("mtrans", "torch", "transformers", "peft", "accelerate", "safetensors", "numpy", "av")


def describe_data(samples: Sequence[Sample]) -> dict[str, Any]:
    """Counts a list of samples and hashes what they say, wherever the files lie.

    Args:
        samples: The samples, videos with absolute paths.

    Returns:
        ``samples``, ``videos`` (distinct files) and ``hash`` (SHA-256 over the samples in order,
        with the videos' names and sizes in place of their paths).
    """
    digest = hashlib.sha256()
    sizes: dict[str, list[Any]] = {}
    for sample in samples:
        line = sample.to_json()
        if sample.video is not None:
            if sample.video not in sizes:
                try:
                    size = os.path.getsize(sample.video)
                except OSError:
                    size = -1  # a missing file is reported where it is read
                sizes[sample.video] = [os.path.basename(sample.video), size]
            line["video"] = sizes[sample.video]
        digest.update(json.dumps(line, sort_keys=True).encode())
    return {"samples": len(samples), "videos": len(sizes), "hash": digest.hexdigest()}


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages a result depends on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_state() -> dict[str, Any] | None:
    """Returns commit and cleanliness of the checkout this package runs from; None outside one."""
    here = Path(__file__).resolve().parent

    def ask(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=here, capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()

    try:
        ask(
            "ls-files", "--error-unmatch", __file__
        )  # an installed copy may lie in another checkout
        return {
            "commit": ask("rev-parse", "HEAD"),
            "changed": bool(ask("status", "--porcelain", "-uno")),
        }
    except (OSError, subprocess.SubprocessError):
        return None


def now() -> str:
    """Returns the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
