"""`mtrans doctor`: what is installed, where it runs, what would fit, what is missing.

Memory of a backbone's weights is counted, not measured: the model is built on torch's meta device,
which holds shapes and no numbers. With `n` parameters, `q` of them in the LLM's linear layers
(its output layer left out), the formula is

    fp32 4n    bf16 2n    8 bit 2(n - q) + q    4 bit 2(n - q) + q/2 + 4q/64

as bitsandbytes stores them: what is not quantised stays in bf16, and 4 bit (nf4) keeps an fp32
scale for every 64 weights. Activations and the feature cache come on top.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtrans.app import output

PACKAGES = ("torch", "transformers", "peft", "accelerate", "av", "numpy", "pymunk", "nltk")

FORMS = ("fp32", "bf16", "8 bit", "4 bit")

# What the published checkpoints' config.json files say; https://huggingface.co/Salesforce
_VICUNA_7B = {
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "vocab_size": 32001,
}
_VICUNA_13B = {
    "hidden_size": 5120,
    "intermediate_size": 13824,
    "num_hidden_layers": 40,
    "num_attention_heads": 40,
    "vocab_size": 32001,
}
_FLAN_T5_XL = {
    "d_model": 2048,
    "d_kv": 64,
    "d_ff": 5120,
    "num_layers": 24,
    "num_heads": 32,
    "feed_forward_proj": "gated-gelu",
    "tie_word_embeddings": False,
    "vocab_size": 32128,
}
PUBLISHED: dict[str, tuple[str, dict[str, Any]]] = {
    "Salesforce/instructblip-flan-t5-xl": ("t5", _FLAN_T5_XL),
    "Salesforce/instructblip-vicuna-7b": ("llama", _VICUNA_7B),
    "Salesforce/instructblip-vicuna-13b": ("llama", _VICUNA_13B),
}


@dataclass(frozen=True)
class Fit:
    """What a backbone's weights take.

    Attributes:
        name: The backbone.
        parameters: All of them.
        bytes: Form (of :data:`FORMS`) -> bytes.
    """

    name: str
    parameters: int
    bytes: dict[str, float]


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

    from mtrans.core.runtime import pick_device, pick_dtype
    from mtrans.data.cache import default_folder

    found = Findings(versions=_versions())
    device = pick_device()
    total, found.free = _memory(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    found.place["device"] = f"{device} ({name}), {os.cpu_count()} CPU cores"
    found.place["dtype of frozen weights"] = str(pick_dtype("auto", device)).removeprefix("torch.")
    found.place["memory"] = f"{output.size(found.free)} free of {output.size(total)}"
    found.place["video"] = _codecs()
    found.place["disk here"] = f"{output.size(shutil.disk_usage(Path.cwd()).free)} free"
    cache = default_folder()
    found.place["feature cache"] = f"{cache}, {output.size(folder_size(cache))}"
    found.fits = _fits()
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
    fits = output.table(
        "backbone", "parameters", *FORMS, title="Weights, against what is free: + fits, - does not"
    )
    for fit in found.fits:
        sizes = [fit.bytes[form] for form in FORMS]
        cells = [f"{output.size(n)} {'+' if n < found.free else '-'}" for n in sizes]
        fits.add_row(fit.name, f"{fit.parameters:,}", *cells)
    console.print(fits)
    print("Counted, weights alone: training and long clips need more for activations.")
    if not found.missing:
        print("Nothing is missing.")
        return
    gaps = output.table("missing", "needed for", "get it with", text=3)
    for gap in found.missing:
        gaps.add_row(gap.what, gap.needed_for, gap.get)
    console.print(gaps, markup=False)


def weights_bytes(parameters: int, quantised: int) -> dict[str, float]:
    """Returns what weights take in each form; the formula stands at the top of this file.

    Args:
        parameters: All parameters.
        quantised: Those in the LLM's linear layers, its output layer left out.

    Returns:
        Form -> bytes.
    """
    rest = 2 * (parameters - quantised)
    return {
        "fp32": 4 * parameters,
        "bf16": 2 * parameters,
        "8 bit": rest + quantised,
        "4 bit": rest + quantised / 2 + 4 * quantised / 64,
    }


def count(config: Any) -> tuple[int, int]:
    """Counts a backbone's parameters on the meta device.

    Args:
        config: An InstructBLIP configuration.

    Returns:
        All parameters, and those in the LLM's linear layers without its output layer.
    """
    import torch
    from transformers import InstructBlipForConditionalGeneration

    with torch.device("meta"):
        model = InstructBlipForConditionalGeneration(config)
    quantised = sum(
        module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and "language_model" in name
        and not name.endswith("lm_head")
    )
    return sum(p.numel() for p in model.parameters()), quantised


def published_config(family: str, llm: dict[str, Any]) -> Any:
    """Returns the configuration of a published InstructBLIP; ViT and Q-Former are the defaults.

    Args:
        family: ``llama`` or ``t5``.
        llm: Sizes of the LLM.

    Returns:
        The configuration.
    """
    from transformers import InstructBlipConfig, LlamaConfig, T5Config

    kind = LlamaConfig if family == "llama" else T5Config
    # BERT's words and [DEC]
    return InstructBlipConfig(text_config=kind(**llm), qformer_config={"vocab_size": 30523})


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


def _memory(device: Any) -> tuple[float, float]:
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


def _container(total: float, free: float) -> tuple[float, float]:
    """Lowers (total, free) to a container's limit, where there is one."""
    root = Path("/sys/fs/cgroup")
    try:
        limit = float((root / "memory.max").read_text())
        used = float((root / "memory.current").read_text())
    except (OSError, ValueError):  # no limit reads "max"
        return total, free
    return min(total, limit), min(free, limit - used)


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


def _fits() -> list[Fit]:
    from transformers import AutoConfig

    from mtrans.models.loading import TINY_FOLDER

    configs: dict[str, Any] = {}
    if (TINY_FOLDER / "config.json").is_file():
        configs["tiny"] = AutoConfig.from_pretrained(str(TINY_FOLDER))
    for name, (family, llm) in PUBLISHED.items():
        configs[name] = published_config(family, llm)
    fits = []
    for name, config in configs.items():
        parameters, quantised = count(config)
        fits.append(Fit(name, parameters, weights_bytes(parameters, quantised)))
    return fits


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
    if not _installed("bitsandbytes"):
        gaps.append(
            Missing("bitsandbytes", "frozen weights in 8 or 4 bit", "pip install bitsandbytes")
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
