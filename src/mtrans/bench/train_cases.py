"""What `mtrans bench train` times, each in a process of its own: `adapt`, and the peer's Trainer.

A case takes 1 + `steps` optimizer steps, of which the first, that warms up, does not count. A
step's seconds run from the end of the one before it, so reading the next batch is in them.
"""

from __future__ import annotations

import multiprocessing
import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.utils.logging import disable_progress_bar

from mtrans.bench.apart import memory_of_process
from mtrans.bench.peer import Peer, PeerClips
from mtrans.core.files import read_jsonl
from mtrans.core.records import Sample
from mtrans.core.runtime import has_fast_bf16, pick_device, pick_dtype
from mtrans.core.settings import RunSettings, load_settings
from mtrans.models.loading import load_backbone
from mtrans.train.adapt import adapt
from mtrans.train.adapter import fresh_backbone
from mtrans.train.cost import peak_memory
from mtrans.train.sources import make_collator
from mtrans.train.validation import to_device


@dataclass(frozen=True)
class TrainSetup:
    """What all cases of a comparison share.

    Attributes:
        checkpoint: Folder of the model.
        samples: Training samples, one a clip: as many as all steps see.
        frames: Frames of a clip.
        batch: Clips of a step.
        steps: Steps that count.
        out: Folder for runs and caches.
        device: As `RunSettings.device`.
    """

    checkpoint: str
    samples: tuple[Sample, ...]
    frames: int
    batch: int
    steps: int
    out: str
    device: str = "auto"

    def settings(self, **values: Any) -> RunSettings:
        """Returns the settings of our side."""
        return load_settings(
            values={
                "backbone": self.checkpoint,
                "device": self.device,
                "cache_dir": str(Path(self.out) / "cache"),
                "frames.count": self.frames,
                "prompt.template": "tiny",
                "train.batch_size": self.batch,
                "train.max_steps": 1 + self.steps,
                **values,
            }
        )


@dataclass(frozen=True)
class Measured:
    """What a case gives.

    Attributes:
        seconds: Of each step.
        prepare_seconds: Of filling the cache, for all clips.
        loaded_mb: Memory in MiB with the model loaded, before anything was done with it.
        peak_mb: Highest memory at the end.
        memory_kind: ``cuda`` or ``rss``.
        trained: Trained parameters.
        visual_tokens: Tokens of a clip that the LLM reads.
    """

    seconds: tuple[float, ...]
    prepare_seconds: float
    loaded_mb: float
    peak_mb: float
    memory_kind: str
    trained: int
    visual_tokens: int

    def clip_seconds(self, batch: int, clips: int) -> float:
        """Returns the seconds of a clip, preparing it included."""
        return statistics.median(self.seconds) / batch + self.prepare_seconds / clips

    def to_json(self) -> dict[str, Any]:
        """Returns it as JSON types."""
        return asdict(self)


PEERS_FUNCTION = {"model.mqt": False, "model.routing": "off", "model.pool": "concat"}
"""Switches under which ours computes what the peer does, token by token."""


def ours(setup: TrainSetup, *, cold: bool, same: bool = False) -> Measured:
    """Adapts as users do.

    Args:
        setup: What is compared.
        cold: Start without features in the cache; otherwise they must be there.
        same: Compute what the peer does (:data:`PEERS_FUNCTION`).
    """
    disable_progress_bar()
    out = Path(setup.out)
    if cold:
        shutil.rmtree(out / "cache", ignore_errors=True)
    settings = setup.settings(**(PEERS_FUNCTION if same else {}))
    device = pick_device(setup.device)
    dtype = pick_dtype(settings.dtype, device)
    backbone = load_backbone(settings.backbone, settings.model, device=device, dtype=dtype)
    loaded = _held(device)
    shutil.rmtree(out / "run", ignore_errors=True)
    run = adapt(settings, setup.samples, None, out / "run", backbone=backbone, progress=False)
    cost = run.info()["cost"]
    ends = [line["seconds"] for line in read_jsonl(run.log_file) if "loss" in line]
    return Measured(
        seconds=tuple(b - a for a, b in pairwise(ends)),
        prepare_seconds=cost["prepare_seconds"] if cold else 0.0,
        loaded_mb=loaded,
        peak_mb=cost["peak_memory_mb"],
        memory_kind=cost["memory_kind"],
        trained=cost["trained_parameters"],
        visual_tokens=cost["visual_tokens"],
    )


class _Ends(TrainerCallback):
    """Notes when each step ended."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.times.append(time.monotonic())


def peer(setup: TrainSetup, *, workers: int = 0, attention: str = "sdpa") -> Measured:
    """Trains the peer, which decodes and encodes every clip when it comes up.

    Args:
        setup: What is compared.
        workers: Background processes that decode.
        attention: As transformers names it.
    """
    loaded, made, device = _load_peer(setup, attention)
    if workers and "fork" in multiprocessing.get_all_start_methods():
        multiprocessing.set_start_method("fork", force=True)  # what users have, not what benches do
    options = setup.settings().train
    ends = _Ends()
    trainer = Trainer(
        model=made.model,
        args=TrainingArguments(
            output_dir=str(Path(setup.out) / "peer"),
            max_steps=1 + setup.steps,
            per_device_train_batch_size=setup.batch,
            learning_rate=options.learning_rate,
            weight_decay=options.weight_decay,
            adam_beta1=options.betas[0],
            adam_beta2=options.betas[1],
            bf16=has_fast_bf16(device),
            use_cpu=device.type == "cpu",
            dataloader_num_workers=workers,
            dataloader_pin_memory=device.type == "cuda",
            remove_unused_columns=False,
            label_names=["labels"],
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        ),
        train_dataset=PeerClips(made, setup.samples, setup.frames),
        data_collator=made.collate,
        callbacks=[ends],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    seconds = tuple(b - a for a, b in pairwise(ends.times))
    return _measured(seconds, loaded, made.model, device, setup.frames * made.queries)


def ours_in_memory(setup: TrainSetup, *, same: bool = False) -> Measured:
    """Steps on features that are in memory: neither decoding nor disk."""
    settings = setup.settings(**(PEERS_FUNCTION if same else {}))
    disable_progress_bar()
    device = pick_device(setup.device)
    backbone = fresh_backbone(settings, None, device)
    loaded = _held(device)
    grid = backbone.base.vision_model.embeddings
    shape = (setup.frames, int(grid.num_positions), int(grid.embed_dim))
    collate = make_collator(backbone, settings)
    times = torch.arange(setup.frames).float()
    items = [(sample, torch.randn(shape), times) for sample in setup.samples[: setup.batch]]
    seconds = _steps(backbone.model, to_device(collate(items), device), setup)
    tokens = backbone.base.visual_tokens(setup.frames)
    return _measured(seconds, loaded, backbone.model, device, tokens)


def peer_in_memory(setup: TrainSetup, *, attention: str = "sdpa") -> Measured:
    """Steps on pixels that are in memory."""
    loaded, made, device = _load_peer(setup, attention)
    side = int(made.model.config.vision_config.image_size)
    shape = (setup.frames, 3, side, side)
    items = [(sample, torch.randn(shape)) for sample in setup.samples[: setup.batch]]
    seconds = _steps(made.model, to_device(made.collate(items), device), setup)
    return _measured(seconds, loaded, made.model, device, setup.frames * made.queries)


def _load_peer(setup: TrainSetup, attention: str) -> tuple[float, Peer, torch.device]:
    disable_progress_bar()
    device = pick_device(setup.device)
    dtype = pick_dtype("auto", device)
    torch.manual_seed(0)
    made = Peer(Path(setup.checkpoint), device=device, dtype=dtype, attention=attention)
    loaded = _held(device)
    made.adapt(setup.settings().lora)
    return loaded, made, device


def _steps(model: nn.Module, batch: dict[str, Tensor], setup: TrainSetup) -> tuple[float, ...]:
    """Takes the same plain steps with either model; returns their seconds."""
    device = pick_device(setup.device)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3, fused=device.type in ("cpu", "cuda"))
    model.train()
    wait: Callable[[], None] = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    seconds = []
    for _ in range(1 + setup.steps):
        began = time.monotonic()
        with torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bf16(device)):
            loss = model(**batch).loss
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        wait()
        seconds.append(time.monotonic() - began)
    return tuple(seconds[1:])


def _measured(
    seconds: tuple[float, ...], loaded: float, model: nn.Module, device: torch.device, tokens: int
) -> Measured:
    cuda = device.type == "cuda"
    memory = peak_memory(device)[0] if cuda else memory_of_process()[1] / 2**20
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    kind = "cuda" if cuda else "rss"
    return Measured(seconds, 0.0, loaded, memory, kind, trained, tokens)


def _held(device: torch.device) -> float:
    """Returns the memory in MiB with the model loaded, before anything is done with it."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device) / 2**20
    return memory_of_process()[0] / 2**20
