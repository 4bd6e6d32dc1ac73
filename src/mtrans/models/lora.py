"""Adapters: what gets a LoRA pair, what is saved beside it, and how many parameters that is.

An adapter is a PEFT folder (``adapter_config.json``, ``adapter_model.safetensors``) that holds only
what was trained, plus ``mtrans.json``: the switches and the identity of the backbone, so that a
mismatch is an error and not a wrong answer.
"""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any, cast

from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils import CONFIG_NAME, SAFETENSORS_WEIGHTS_NAME
from peft.utils.constants import DUMMY_TARGET_MODULES
from safetensors import SafetensorError
from torch import nn

from mtrans.core.errors import CheckpointError
from mtrans.core.settings import LoraSettings, ModelSettings, settings_from_dict
from mtrans.models.rules import (
    NEIGHBOURS,
    POSITION_HIDDEN,
    ROUTER_HIDDEN,
    SPATIAL_MASKS,
    TIME_SCALES,
    masks_of_layer,
    query_count,
)
from mtrans.models.video_lmm import NEW_MODULES, settings_from_config, settings_to_config

ADAPTER_FILE = "mtrans.json"


def target_pattern(lora: LoraSettings) -> str:
    """Regular expression (full match) of the modules that get a LoRA pair.

    Spatial self-attention, temporal attention and cross-attention of the Q-Former; nothing else.

    Args:
        lora: Which projections of each.

    Returns:
        A pattern over module names of the assembled model.
    """
    inner = [t for t in lora.targets if t != "output"]
    places = [rf"attention\.({'|'.join(inner)})"] if inner else []
    if "output" in lora.targets:
        places.append(r"output\.dense")
    pretrained = rf"qformer\.encoder\.layer\.\d+\.(attention|crossattention)\.({'|'.join(places)})"
    temporal = rf"st_qformer\.layers\.\d+\.temporal\.({'|'.join(lora.targets)})"
    return f"({pretrained}|{temporal})"


def new_module_names(model: nn.Module) -> list[str]:
    """Full names of the modules that are trained whole: routers, gates, positions, the pool."""
    return [name for name, module in model.named_modules() if isinstance(module, NEW_MODULES)]


def attach_adapter(model: Any, lora: LoraSettings) -> PeftModel:
    """Freezes the model and puts a fresh adapter around it.

    Args:
        model: The assembled model; changed in place.
        lora: Rank, scale, dropout, targets; without effect where the connector has no pairs.

    Returns:
        The PEFT model. Its trained parameters are fp32 whatever the frozen dtype is.
    """
    model.requires_grad_(False)
    has_lora = model.connecting.has_lora
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=cast(int, lora.alpha),
        lora_dropout=lora.dropout,
        target_modules=target_pattern(lora) if has_lora else DUMMY_TARGET_MODULES,
        modules_to_save=new_module_names(model) or None,
    )
    return _in_fp32(cast(PeftModel, get_peft_model(model, config)))


def save_adapter(
    peft_model: PeftModel,
    folder: str | Path,
    *,
    lora: LoraSettings,
    backbone: str,
    weights: str,
    base: str | None = None,
) -> None:
    """Writes the adapter folder.

    Args:
        peft_model: From `attach_adapter` or `load_adapter`.
        folder: Made if need be.
        lora: The settings it was made with.
        backbone: Name of the backbone.
        weights: Hash of the backbone's frozen weights.
        base: What PEFT's own file calls the backbone; None is `backbone`.
    """
    folder = Path(folder)
    for config in peft_model.peft_config.values():
        config.base_model_name_or_path = base or backbone  # not where it lay on this machine
    peft_model.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty form
    record = {
        "backbone": backbone,
        "weights": weights,
        "model": settings_to_config(cast(Any, peft_model).settings),
        "lora": {**dataclasses.asdict(lora), "targets": list(lora.targets)},
    }
    if answers := getattr(cast(Any, peft_model).config, "mtrans_answers", None):
        record["answers"] = answers
    (folder / ADAPTER_FILE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


@dataclasses.dataclass(frozen=True)
class AdapterRecord:
    """What an adapter folder says about itself.

    Attributes:
        backbone: Name of the backbone it was trained on.
        weights: Hash of that backbone's frozen weights.
        model: The switches.
        lora: The low-rank pairs.
        answers: Token ids of the answers that a connector with a classifier knows.
    """

    backbone: str
    weights: str
    model: ModelSettings
    lora: LoraSettings
    answers: tuple[tuple[int, ...], ...] = ()


def read_adapter(folder: str | Path) -> AdapterRecord:
    """Reads what an adapter is of, without loading weights.

    Args:
        folder: The adapter folder.

    Returns:
        Its record.

    Raises:
        CheckpointError: Not an adapter folder of this project.
    """
    path = Path(folder) / ADAPTER_FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return AdapterRecord(
            backbone=data["backbone"],
            weights=data["weights"],
            model=settings_from_config(data["model"]),
            lora=settings_from_dict({"lora": data["lora"]}).lora,
            answers=tuple(tuple(answer) for answer in data.get("answers", ())),
        )
    except OSError as error:
        raise CheckpointError(
            f"'{folder}' is not an adapter folder: {ADAPTER_FILE} can't be read ({error.strerror})"
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"'{path}' is damaged: {error}") from error


def load_adapter(
    model: Any, folder: str | Path, *, trainable: bool = False, weights: str | None = None
) -> PeftModel:
    """Puts a saved adapter on a fresh backbone.

    Args:
        model: The assembled model with the adapter's switches; changed in place.
        folder: The adapter folder.
        trainable: Go on training it.
        weights: Hash of this backbone's frozen weights, compared where given.

    Returns:
        The PEFT model.

    Raises:
        CheckpointError: Another backbone, other switches, or a damaged folder.
    """
    record = read_adapter(folder)
    if weights is not None and record.weights != weights:
        raise CheckpointError(
            f"adapter '{folder}' was trained on '{record.backbone}' with other frozen weights than"
            " this backbone's; load the backbone it was trained on"
        )
    if record.model != model.settings:
        ours, theirs = settings_to_config(model.settings), settings_to_config(record.model)
        differ = ", ".join(f"{k}={theirs[k]}, not {ours[k]}" for k in ours if ours[k] != theirs[k])
        raise CheckpointError(
            f"adapter '{folder}' has other switches than the model ({differ}); build the model with"
            " the adapter's own"
        )
    if record.answers:
        model.set_answers(record.answers)
    check_adapter_files(folder)  # PEFT would look for a missing one on the Hub
    try:
        peft_model = PeftModel.from_pretrained(model, str(folder), is_trainable=trainable)
    except (OSError, ValueError, RuntimeError, TypeError, KeyError, SafetensorError) as error:
        raise CheckpointError(
            f"adapter '{folder}' does not load, a file of it is damaged: {_first_line(error)}"
        ) from error
    return _in_fp32(peft_model)


def check_adapter_files(folder: str | Path) -> None:
    """Finds out that a file of an adapter is missing.

    Raises:
        CheckpointError: One is.
    """
    for name in (CONFIG_NAME, SAFETENSORS_WEIGHTS_NAME):
        if not (Path(folder) / name).is_file():
            raise CheckpointError(
                f"adapter '{folder}' lacks {name}; copy the folder again, whole, or adapt anew"
            )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _in_fp32(peft_model: PeftModel) -> PeftModel:
    """Keeps everything an adapter brings in fp32, also where it came from a bf16 module."""
    for name, parameter in peft_model.named_parameters():
        if "lora_" in name or ".modules_to_save." in name:
            parameter.data = parameter.data.float()
    return peft_model


def trainable_parameters(model: nn.Module) -> dict[str, int]:
    """Counts trained parameters by kind.

    Args:
        model: The PEFT model.

    Returns:
        Counts under connector (what one other than `mqt` trains whole), lora_spatial,
        lora_temporal, lora_cross, routers, positions, gates, pool, mixing, other (kinds that
        occur), and `total`.
    """
    kinds = {
        ".connector.": "connector",
        ".temporal.": "lora_temporal",
        ".crossattention.": "lora_cross",
        ".attention.": "lora_spatial",
        "_router.": "routers",
        "_position.": "positions",
        "temporal_gate.": "gates",
        "attention_pool.": "pool",
        "spread_pool.": "pool",
        ".mixing.": "mixing",
    }
    counts: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            kind = next((k for part, k in kinds.items() if part in name), "other")
            counts[kind] = counts.get(kind, 0) + parameter.numel()
    return {**counts, "total": sum(counts.values())}


def trained_formula(config: Any, model: ModelSettings, lora: LoraSettings) -> int:
    """The closed form of what connector `mqt` trains (docs/method.md).

    With n layers, n_x of them with cross-attention, rank r, s of the targets in all, s_x of them
    query or output, s_kv key or value::

        LoRA       r * (n * (1 + MQT) * s * 2C + n_x * (s_x * 2C + s_kv * (Cv + C)))
        gates      n
        relative   n * (3 * 16 + 16 + 16 * h)          absolute   (max_frames + Q) * C
        routers    64 * C + 64 + 65 * M each, where a layer mixes M > 1 masks
        pool       C, for attention pooling
        mixing     channels * (2 Cv + 27 + 2)

    Args:
        config: The InstructBLIP or BLIP-2 config.
        model: The switches.
        lora: The low-rank pairs.

    Returns:
        Trained parameters.
    """
    qformer = config.qformer_config
    layers, width = qformer.num_hidden_layers, qformer.hidden_size
    crossed = math.ceil(layers / qformer.cross_attention_frequency)
    image = sum(t in ("key", "value") for t in lora.targets)
    own = len(lora.targets) - image
    branches = 2 if model.mqt else 1
    total = lora.rank * layers * branches * len(lora.targets) * 2 * width
    total += lora.rank * crossed * (own * 2 * width + image * (qformer.encoder_hidden_size + width))
    if model.mqt and model.temporal_gate == "learned":
        total += layers
    if model.mqt and model.temporal_position == "relative":
        heads = qformer.num_attention_heads
        total += layers * POSITION_HIDDEN * (len(TIME_SCALES) + 1 + heads)
    if model.mqt and model.temporal_position == "absolute":
        total += (model.max_frames + query_count(config, model)) * width
    for family, available in (
        ("spatial", SPATIAL_MASKS),
        ("temporal", 1 + len(model.temporal_radii)),
    ):
        if model.routing in (family, "both"):
            masks = [masks_of_layer(model, i, available) for i in range(layers)]
            total += sum(
                ROUTER_HIDDEN * (width + 1) + (ROUTER_HIDDEN + 1) * m for m in masks if m > 1
            )
    queries = query_count(config, model)
    pools = {"attention": width, "spread": width + queries, "moments": width + 2 * queries}
    image, inner = qformer.encoder_hidden_size, model.patch_mixing
    return total + pools.get(model.pool, 0) + inner * (2 * image + NEIGHBOURS + 2)
