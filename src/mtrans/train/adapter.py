"""The adapter of a run: made afresh, written, and read back."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import set_peft_model_state_dict
from peft.utils import load_peft_weights
from safetensors import SafetensorError

from mtrans.core.errors import CheckpointError, SettingsError
from mtrans.core.records import Sample
from mtrans.core.runtime import Kept, pick_kept, seed_everything
from mtrans.core.settings import RunSettings
from mtrans.models.answering import LossForm
from mtrans.models.loading import Backbone, load_backbone
from mtrans.models.lora import attach_adapter, check_adapter_files, save_adapter
from mtrans.models.mixed import hold_matrices
from mtrans.models.placing import hold_in_place
from mtrans.models.video_lmm import NEW_MODULES
from mtrans.train.compiled import compile_layers
from mtrans.train.run_folder import write_settings
from mtrans.train.sources import make_collator


def fresh_backbone(
    settings: RunSettings,
    backbone: Backbone | None,
    device: torch.device,
    train: Sequence[Sample] = (),
    *,
    hold_llm: bool = False,
) -> Backbone:
    """Returns the backbone with a new adapter whose start depends on the seed alone.

    Args:
        settings: Of the run.
        backbone: One that is loaded, or None.
        device: Where to.
        train: Training samples, whose answers and candidates a design with a classifier learns.
        hold_llm: Leave the LLM in the machine's memory, to be sharded from there.

    Returns:
        The backbone; the one given, where one was.

    Raises:
        CheckpointError: The backbone given has an adapter, or other switches.
        SettingsError: `train.compile` without a compiler, or more frames than learned positions.
    """
    options, mixed = settings.train, False
    if backbone is None:
        kept = pick_kept(settings.dtype, device, precision=options.precision)
        mixed = kept.mixed and not hold_llm  # shards are of one dtype
        name = settings.backbone
        if name != "tiny" and Path(name).is_dir():
            name = str(Path(name).resolve())  # the adapter must find it from another folder
        backbone = load_backbone(
            name,
            settings.model,
            device="cpu" if hold_llm else device,
            dtype=kept.dtype,
            quantize=settings.quantize,
            offload=settings.offload,
        )
        if hold_llm:
            hold_in_place(backbone.base.language_model)
            backbone.base.to(device)
    elif hasattr(backbone.model, "peft_config"):
        raise CheckpointError("the backbone given carries an adapter already; load it afresh")
    elif backbone.base.settings != settings.model:
        raise CheckpointError("the backbone given has other switches than settings.model")
    if device.type == "cpu":
        # the fused kernel's backward pass was measured slower than plain products (docs/LOG.md)
        backbone.base.language_model.set_attn_implementation("eager")
    rows = backbone.base.most_frames()
    # with `fps` the count is a bound that short clips never reach: those that do are named then
    if rows is not None and settings.frames.sampling == "uniform" and settings.frames.count > rows:
        raise SettingsError(
            f"frames.count={settings.frames.count}, but learned positions have {rows} rows"
            " (model.max_frames); set that higher, or take fewer frames"
        )
    if backbone.base.answers_itself:
        collate = make_collator(backbone, settings)
        known = {answer for s in train for answer in (*(s.choices or ()), s.answer) if answer}
        ids = (tuple(collate.answer_ids(answer)) for answer in sorted(known))
        backbone.base.set_answers(
            list(dict.fromkeys(ids))
        )  # case and spaces may be all that differs
    seed_everything(settings.train.seed)
    for module in backbone.base.modules():
        if isinstance(module, NEW_MODULES):
            for parameter in module.parameters():
                # transformers marks what it has loaded, and then does not initialise it again
                parameter.__dict__.pop("_is_hf_initialized", None)
            module.reset_parameters()
    backbone.base.loss_form = LossForm(options.label_smoothing, options.focal_gamma)
    backbone.model = attach_adapter(backbone.base, settings.lora)
    if mixed:
        hold_matrices(backbone.model)
        backbone.mixed = True
    if options.compile:
        compile_layers(backbone.model)
    return backbone


def write_adapter(folder: Path, backbone: Backbone, settings: RunSettings) -> None:
    """Writes the adapter with a copy of the run's settings: frames and prompts belong to it.

    The dtype is the one that ``auto`` meant here: the frozen weights in another dtype are others.
    """
    save_adapter(
        backbone.model,
        folder,
        lora=settings.lora,
        backbone=backbone.name,
        weights=backbone.hash,
        base=settings.backbone,
    )
    dtype = Kept(backbone.base.qformer.dtype, backbone.mixed).name
    write_settings(folder, dataclasses.replace(settings, dtype=dtype))


def read_weights(folder: Path, backbone: Backbone) -> None:
    """Reads an adapter's weights into the backbone, which carries an adapter of the same form.

    Raises:
        CheckpointError: The folder does not hold exactly what is trained.
    """
    check_adapter_files(folder)
    try:
        state = load_peft_weights(str(folder), device="cpu")
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"checkpoint '{folder}' can't be read: {error}") from error
    result: Any = set_peft_model_state_dict(backbone.model, state)
    missing = [k for k in result.missing_keys if "lora_" in k or "modules_to_save" in k]
    if missing or result.unexpected_keys:
        raise CheckpointError(
            f"checkpoint '{folder}' is of another adapter: {len(missing)} weights missing,"
            f" {len(result.unexpected_keys)} unknown; delete the run folder to start again"
        )
