"""What `mtrans bench train` times, each in a process of its own: `adapt`, and the peer's Trainer.

The first step warms up and does not count. A step's seconds run from the end of the one before it,
so reading the next batch is in them: loaders read ahead, and the data don't end with the counted
steps, so that as much is read while these are taken as in the middle of an epoch.
"""

from __future__ import annotations

import multiprocessing
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.utils.logging import disable_progress_bar

from mtrans.bench.peer import Peer, PeerClips
from mtrans.core.files import read_jsonl
from mtrans.core.memory import keep_freed_memory, memory_of_process
from mtrans.core.records import Sample
from mtrans.core.runtime import has_fast_bf16, pick_device, pick_dtype
from mtrans.core.settings import RunSettings, load_settings
from mtrans.train.adapt import adapt
from mtrans.train.adapter import fresh_backbone
from mtrans.train.cost import peak_memory
from mtrans.train.sources import make_collator
from mtrans.train.validation import to_device

AHEAD = 5
"""Batches that the peer's loader has read or is reading while one is trained on: two for each of
two workers, and the one that accelerate holds back to know the last."""


def batches_needed(steps: int) -> int:
    """Returns the batches of clips that counted steps need: the first, these, and those ahead."""
    return 1 + steps + AHEAD


@dataclass(frozen=True)
class TrainSetup:
    """What all cases of a comparison share.

    Attributes:
        checkpoint: Folder of the model.
        samples: Training samples, one a clip, for so many steps (:func:`batches_needed`).
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
                # ours reads one batch ahead: none in the last step, which does not count
                "train.max_steps": 1 + self.steps + 1,
                **values,
            }
        )


@dataclass(frozen=True)
class Measured:
    """What a case gives.

    Attributes:
        seconds: Of each counted step.
        prepare_seconds: Of filling the cache, a clip.
        peak_mb: Highest memory at the end, in MiB.
        import_mb: The part of it that importing took; None on a GPU, which holds tensors alone.
        memory_kind: ``cuda`` or ``rss``.
        trained: Trained parameters.
        visual_tokens: Tokens of a clip that the LLM reads.
    """

    seconds: tuple[float, ...]
    prepare_seconds: float
    peak_mb: float
    import_mb: float | None
    memory_kind: str
    trained: int
    visual_tokens: int


PEERS_FUNCTION = {
    "model.mqt": False,
    "model.routing": "off",
    "model.pool": "concat",
    "model.patch_mixing": 0,
}
"""Switches under which ours computes what the peer does, token by token."""


def ours(setup: TrainSetup, *, cold: bool, same: bool = False) -> Measured:
    """Adapts as users do.

    Args:
        setup: What is compared.
        cold: Start without features in the cache; otherwise they must be there.
        same: Compute what the peer does (:data:`PEERS_FUNCTION`).
    """
    disable_progress_bar()
    imported = _imported()
    out = Path(setup.out)
    if cold:
        shutil.rmtree(out / "cache", ignore_errors=True)
    settings = setup.settings(**(PEERS_FUNCTION if same else {}))
    shutil.rmtree(out / "run", ignore_errors=True)
    seen = setup.samples[: setup.batch * settings.train.max_steps]
    run = adapt(settings, seen, None, out / "run", progress=False)
    cost = run.info()["cost"]
    ends = [line["seconds"] for line in read_jsonl(run.log_file) if "loss" in line]
    return Measured(
        seconds=tuple(b - a for a, b in pairwise(ends[:-1])),
        prepare_seconds=cost["prepare_seconds"] / len(seen) if cold else 0.0,
        peak_mb=cost["peak_memory_mb"],
        import_mb=imported if cost["memory_kind"] == "rss" else None,
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
    imported = _imported()
    made, device = _load_peer(setup, attention)
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
    return _measured(seconds, imported, made.model, device, setup.frames * made.queries)


def ours_in_memory(setup: TrainSetup, *, same: bool = False) -> Measured:
    """Steps on features that are in memory: neither decoding nor disk."""
    imported = _imported()
    keep_freed_memory()  # as `adapt`
    settings = setup.settings(**(PEERS_FUNCTION if same else {}))
    disable_progress_bar()
    device = pick_device(setup.device)
    backbone = fresh_backbone(settings, None, device)
    grid = backbone.base.vision_model.embeddings
    shape = (setup.frames, int(grid.num_positions), int(grid.embed_dim))
    collate = make_collator(backbone, settings)
    times = torch.arange(setup.frames).float()
    items = [(sample, torch.randn(shape), times) for sample in setup.samples[: setup.batch]]
    seconds = _steps(backbone.model, to_device(collate(items), device), setup)
    tokens = backbone.base.visual_tokens(setup.frames)
    return _measured(seconds, imported, backbone.model, device, tokens)


def peer_in_memory(setup: TrainSetup, *, attention: str = "sdpa") -> Measured:
    """Steps on pixels that are in memory."""
    imported = _imported()
    made, device = _load_peer(setup, attention)
    side = int(made.model.config.vision_config.image_size)
    shape = (setup.frames, 3, side, side)
    items = [(sample, torch.randn(shape)) for sample in setup.samples[: setup.batch]]
    seconds = _steps(made.model, to_device(made.collate(items), device), setup)
    return _measured(seconds, imported, made.model, device, setup.frames * made.queries)


def _load_peer(setup: TrainSetup, attention: str) -> tuple[Peer, torch.device]:
    disable_progress_bar()
    device = pick_device(setup.device)
    dtype = pick_dtype("auto", device)
    torch.manual_seed(0)
    made = Peer(Path(setup.checkpoint), device=device, dtype=dtype, attention=attention)
    made.adapt(setup.settings().lora)
    return made, device


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
    seconds: tuple[float, ...],
    imported: float,
    model: nn.Module,
    device: torch.device,
    tokens: int,
) -> Measured:
    cuda = device.type == "cuda"
    memory = peak_memory(device)[0] if cuda else memory_of_process()[1] / 2**20
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return Measured(
        seconds=seconds,
        prepare_seconds=0.0,
        peak_mb=memory,
        import_mb=None if cuda else imported,
        memory_kind="cuda" if cuda else "rss",
        trained=trained,
        visual_tokens=tokens,
    )


def _imported() -> float:
    """Returns the MiB of this process, which has imported everything and done nothing yet."""
    return memory_of_process()[0] / 2**20
