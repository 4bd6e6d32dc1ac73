"""The recipe of `tiny` as one command: ``python -m mtrans.models.tiny.pretrain``.

Four stages, each saved when done and skipped when found, so that an interrupted run goes on
(`bridge`, the longest, from within too):

    language   the LLM, on text alone                      (about 15 minutes on one core)
    vision     the ViT, on stills with dense attributes    (about 10 minutes on one core)
    bridge     Q-Former and projection, on stills with captions and questions, LLM frozen
               (about 12 minutes on two cores)
    polish     the same once more, on fresh stills, from the whole depth (about 18 minutes)

``language`` and ``vision`` do not depend on each other: two processes with ``--stage`` run them
side by side. No stage sees a clip; all stills and texts are synthetic.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from mtrans.core.registry import import_object
from mtrans.core.runtime import seed_everything
from mtrans.models.tiny import architecture
from mtrans.models.tiny.bridge import evaluate_bridge, train_bridge
from mtrans.models.tiny.card import write_card
from mtrans.models.tiny.language import train_language
from mtrans.models.tiny.text import Pieces
from mtrans.models.tiny.vision import train_vision

WEIGHTS = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what comes out."""

    seed: int = 0
    """Of weights, texts and stills."""

    corpus: str = "mtrans.video.worlds.corpus"
    """Module that makes texts and stills."""

    language_steps: int = 3000
    """Optimizer steps of the first stage."""

    language_batch: int = 48
    """Documents a step."""

    language_rate: float = 1e-3
    """Peak learning rate."""

    vision_steps: int = 1500
    """Optimizer steps of the second stage."""

    vision_batch: int = 96
    """Stills a step."""

    vision_rate: float = 1e-3
    """Peak learning rate."""

    bridge_stills: int = 40000
    """Stills whose ViT features are kept for the third stage."""

    bridge_steps: int = 3600
    """Optimizer steps of the third stage."""

    bridge_batch: int = 128
    """Questions or captions a step."""

    bridge_rate: float = 1e-3
    """Peak learning rate."""

    bridge_floor: float = 0.03
    """Types of question are drawn in proportion to their recent loss plus this."""

    polish_stills: int = 120000
    """Fresh stills for the fourth stage."""

    polish_steps: int = 4200
    """Optimizer steps of the fourth stage; the batch is the third's."""

    polish_rate: float = 1e-3
    """Peak learning rate."""

    polish_floor: float = 0.005
    """Like bridge_floor."""

    watched: int = 600
    """Fresh stills the third and fourth stage are watched on."""

    held_out_documents: int = 2000
    """Fresh documents the finished LLM is measured on."""

    held_out: int = 1500
    """Fresh stills the finished model is measured on."""


BRIDGE_PARTS = ("qformer", "language_projection", "query_tokens")
STAGES = ("language", "vision", "bridge", "polish", "measure")


def main(arguments: list[str] | None = None) -> None:
    """Runs the recipe; see ``--help``."""
    parser = argparse.ArgumentParser(
        prog="python -m mtrans.models.tiny.pretrain",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="where the model is written")
    parser.add_argument("--work", type=Path, default=Path("work/tiny"), help="finished stages")
    parser.add_argument("--stage", choices=STAGES, action="append", help="only these stages")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    for name, value in asdict(Recipe()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    given = vars(parser.parse_args(arguments))
    out, work, stages = given.pop("out"), given.pop("work"), given.pop("stage") or STAGES
    torch.set_num_threads(given.pop("threads"))
    run(Recipe(**given), out=out, work=work, stages=tuple(stages))


def run(recipe: Recipe, *, out: Path, work: Path, stages: tuple[str, ...] = STAGES) -> None:
    """Runs the stages that are asked for and not yet done.

    Args:
        recipe: The settings.
        out: Folder of the finished model.
        work: Folder of finished stages.
        stages: Of :data:`STAGES`.
    """
    work.mkdir(parents=True, exist_ok=True)
    corpus: Any = import_object(recipe.corpus)
    seed_everything(recipe.seed)
    tokenizer = architecture.make_tokenizer(corpus.sentences())
    pieces = Pieces(tokenizer)
    model = architecture.make_model(tokenizer)
    parts = {"language": model.language_model, "vision": model.vision_model}
    log = work / "log.jsonl"
    for stage, part in parts.items():
        if (work / f"{stage}.safetensors").is_file():
            part.load_state_dict(load_file(work / f"{stage}.safetensors"), strict=False)
        elif stage in stages:
            train: Any = train_language if stage == "language" else train_vision
            text = stage == "language"
            inputs = (part, corpus, pieces) if text else (part, corpus)
            settings = {
                name: getattr(recipe, f"{stage}_{short}")
                for name, short in (
                    ("steps", "steps"),
                    ("batch", "batch"),
                    ("learning_rate", "rate"),
                )
            }
            if text:
                settings["held_out"] = recipe.held_out_documents
            _timed(stage, work, lambda: train(*inputs, seed=recipe.seed, log=log, **settings))  # noqa: B023
            _save(part, work / f"{stage}.safetensors")
    for stage in ("bridge", "polish"):
        file = work / f"{stage}.safetensors"
        if file.is_file():
            model.load_state_dict(load_file(file), strict=False)
        elif stage in stages:
            _timed(
                stage,
                work,
                lambda: train_bridge(model, corpus, pieces, recipe, log=log, stage=stage),  # noqa: B023
            )
            trained = {
                k: v.contiguous()
                for k, v in model.state_dict().items()
                if k.split(".")[0] in BRIDGE_PARTS
            }
            save_file(trained, file)
    if "measure" in stages:
        scores = evaluate_bridge(model, corpus, pieces, seed=recipe.seed, stills=recipe.held_out)
        finish(model, tokenizer, recipe, scores, out=out, work=work)


def finish(
    model: Any, tokenizer: Any, recipe: Recipe, scores: dict[str, Any], *, out: Path, work: Path
) -> None:
    """Writes the model folder as `load_backbone` reads it, with recipe, log, scores and card."""
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    tokenizer.save_pretrained(out / "qformer_tokenizer")
    architecture.image_processor().save_pretrained(out)
    record: dict[str, Any] = {"recipe": asdict(recipe), "held_out": scores, "stages": {}}
    record["vocabulary"] = len(tokenizer)
    for stage in STAGES:
        if (work / f"{stage}.json").is_file():
            record["stages"][stage] = json.loads((work / f"{stage}.json").read_text())
    (out / "training.json").write_text(json.dumps(record, indent=1) + "\n")
    (out / "README.md").write_text(write_card(record, model))
    if (work / "log.jsonl").is_file():
        (out / "training_log.jsonl").write_text((work / "log.jsonl").read_text())
    print(json.dumps(scores, indent=1))


def _timed(stage: str, work: Path, train: Any) -> None:
    start = time.time()
    scores = train()
    record = {"seconds": round(time.time() - start), "threads": torch.get_num_threads()}
    (work / f"{stage}.json").write_text(json.dumps(record | {"scores": scores}, indent=1) + "\n")


def _save(part: Any, path: Path) -> None:
    state = {k: v.detach().clone().contiguous() for k, v in part.state_dict().items()}
    save_file(state, path)


if __name__ == "__main__":
    main()
