"""`mtrans doctor`: what is installed, where it runs, what would fit, what is missing."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtrans.app import output
from mtrans.app.sizes import FORMS, Fit, fits

PACKAGES = ("torch", "transformers", "peft", "accelerate", "av", "numpy", "pymunk", "nltk")


@dataclass(frozen=True)
class Missing:
    """Something that is not there.

    Attributes:
        what: Its name.
        needed_for: What can't be done without it.
        get: The line that brings it.
    """

    what: str
    needed_for: str
    get: str


@dataclass
class Findings:
    """What :func:`examine` found.

    Attributes:
        versions: Package -> version.
        place: Device, dtype, memory, disk: label -> words.
        free: Bytes free for weights on the device.
        fits: Backbones and the memory of their weights.
        missing: What is not there.
    """

    versions: dict[str, str] = field(default_factory=dict)
    place: dict[str, str] = field(default_factory=dict)
    free: float = 0.0
    fits: list[Fit] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)


def examine() -> Findings:
    """Looks at this machine.

    Returns:
        What is there and what is not.
    """
    import torch

    from mtrans.core.runtime import pick_device, pick_kept
    from mtrans.data.cache import default_folder

    found = Findings(versions=_versions())
    device = pick_device()
    total, found.free = device_memory(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    found.place["device"] = f"{device} ({name}), {os.cpu_count()} CPU cores"
    found.place["dtype of frozen weights"] = pick_kept("auto", device).name
    found.place["memory"] = f"{output.size(found.free)} free of {output.size(total)}"
    found.place["video"] = _codecs()
    found.place["disk here"] = f"{output.size(shutil.disk_usage(Path.cwd()).free)} free"
    cache = default_folder()
    found.place["feature cache"] = f"{cache}, {output.size(folder_size(cache))}"
    found.fits = fits()
    found.missing = _missing()
    return found


def show(found: Findings) -> None:
    """Prints the findings."""
    console = output.console()
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    about = output.table("this machine", "", text=2)
    about.add_row("versions", versions)
    for label, words in found.place.items():
        about.add_row(label, words)
    console.print(about)
    weights = output.table(
        "backbone", "parameters", *FORMS, title="Weights, against what is free: + fits, - does not"
    )
    for fit in found.fits:
        sizes = [fit.bytes[form] for form in FORMS]
        cells = [f"{output.size(n)} {'+' if n < found.free else '-'}" for n in sizes]
        weights.add_row(fit.name, f"{fit.parameters:,}", *cells)
    console.print(weights)
    print("Counted, weights alone: training and long clips need more for activations.")
    print("8 and 4 bit: --set quantize=8bit or 4bit, with the extra [quant] (bitsandbytes).")
    if not found.missing:
        print("Nothing is missing.")
        return
    gaps = output.table("missing", "needed for", "get it with", text=3)
    gaps.columns[-1].no_wrap = True  # to be copied
    for gap in found.missing:
        gaps.add_row(gap.what, gap.needed_for, gap.get)
    console.print(gaps, markup=False)


def folder_size(folder: Path) -> int:
    """Returns the bytes of all files below a folder; 0 where there is none."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue  # gone meanwhile: another process cleans up
    return total


def _versions() -> dict[str, str]:
    import mtrans

    found = {"mtrans": mtrans.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "missing"
    return found


def device_memory(device: Any) -> tuple[float, float]:
    """Returns (total, free) bytes where weights would go."""
    import torch

    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return float(total), float(free)
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        kilobytes = {k: 1024.0 * int(v.split()[0]) for k, v in lines.items()}
        return _container(
            kilobytes["MemTotal"], kilobytes.get("MemAvailable", kilobytes["MemFree"])
        )
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        pages = float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")
        return pages, pages
    return 0.0, 0.0


def _container(
    total: float, free: float, root: Path = Path("/sys/fs/cgroup")
) -> tuple[float, float]:
    """Lowers (total, free) to a container's limit, where there is one.

    What it uses counts without cached files that were not looked at lately: they give way.
    """
    try:
        limit = float((root / "memory.max").read_text())
        used = float((root / "memory.current").read_text())
    except (OSError, ValueError):  # no limit reads "max"
        return total, free
    with contextlib.suppress(OSError, ValueError):
        counted = dict(line.split() for line in (root / "memory.stat").read_text().splitlines())
        used -= float(counted.get("inactive_file", 0))
    return min(total, limit), max(0.0, min(free, limit - used))


def _codecs() -> str:
    import av

    words = [f"PyAV {av.__version__}"]
    ffmpeg = getattr(av, "ffmpeg_version_info", None)
    if ffmpeg:
        words.append(f"FFmpeg {ffmpeg}")
    for label, name, mode in (
        ("reads H.264", "h264", "r"),
        ("writes H.264", "libx264", "w"),
        ("reads AAC", "aac", "r"),
        ("writes AAC", "aac", "w"),
    ):
        try:
            av.codec.Codec(name, mode)  # type: ignore[arg-type]
            words.append(label)
        except (ValueError, av.error.FFmpegError):
            words.append(f"NOT: {label}")
    return ", ".join(words)


def _missing() -> list[Missing]:
    from mtrans.measure.text_metrics import has_wordnet
    from mtrans.models.loading import TINY_FOLDER

    gaps = []
    if not (TINY_FOLDER / "model.safetensors").is_file():
        gaps.append(
            Missing(
                "weights of tiny",
                "adapting and asking without a download",
                "python -m mtrans.models.tiny.pretrain",
            )
        )
    if not has_wordnet():
        gaps.append(
            Missing(
                "WordNet data",
                "METEOR with synonyms; without it METEOR counts exact words and stems",
                "python -m nltk.downloader wordnet",
            )
        )
    for extra, packages in _extras().items():
        absent = [p for p in packages if not _installed(p)]
        if absent:
            gaps.append(
                Missing(", ".join(absent), f"the extra [{extra}]", f"pip install 'mtrans[{extra}]'")
            )
    return gaps


def _extras() -> dict[str, list[str]]:
    """Returns this package's extras with the packages of each, from its own metadata."""
    extras: dict[str, list[str]] = {}
    try:
        lines = importlib.metadata.requires("mtrans") or []
    except importlib.metadata.PackageNotFoundError:  # run from a checkout
        return {}
    for line in lines:
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", line)
        name = re.match(r"[A-Za-z0-9._-]+", line)
        if extra and name:
            extras.setdefault(extra[1], []).append(name[0])
    return extras


def _installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
