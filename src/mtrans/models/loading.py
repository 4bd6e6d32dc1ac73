"""From a name to a ready backbone: the assembled model, its tokenizers and its image numbers.

A name is ``tiny`` (the weights inside this package), a folder as `save_pretrained` writes it, or
the id of a published InstructBLIP or BLIP-2 checkpoint.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoTokenizer
from transformers.utils import cached_file

from mtrans.core.errors import CheckpointError, SettingsError
from mtrans.core.settings import LoraSettings, ModelSettings
from mtrans.models.hub import where_to_look
from mtrans.models.lora import attach_adapter, load_adapter, read_adapter
from mtrans.models.mixed import hold_matrices
from mtrans.models.placing import offload_llm
from mtrans.models.quantize import quantization
from mtrans.models.video_lmm import VideoBlip2, VideoInstructBlip

TINY_FOLDER = Path(__file__).parent / "tiny" / "weights"

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
BICUBIC = 3

FAMILIES = {"instructblip": VideoInstructBlip, "blip-2": VideoBlip2}

PROMPT_STYLES = {"instructblip": "instructblip", "blip-2": "blip2"}
"""How each family was trained to be asked; a `prompt_style` in config.json wins."""


@dataclass(frozen=True)
class ImageNumbers:
    """How pixels must come, as plain numbers.

    Attributes:
        height: Pixels.
        width: Pixels.
        mean: Per channel, after rescaling.
        std: Per channel.
        rescale: Factor on 0..255 values.
        resample: Pillow's number of the resampling filter.
    """

    height: int
    width: int
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD
    rescale: float = 1 / 255
    resample: int = BICUBIC


@dataclass
class Backbone:
    """A loaded backbone.

    Attributes:
        name: As it was asked for.
        model: The assembled model, inside a PEFT model where an adapter was asked for.
        tokenizer: The LLM's.
        qformer_tokenizer: The Q-Former's; None for BLIP-2, which has none.
        image: How pixels must come.
        prompt_style: Name of the prompt template it was trained with.
        hash: Identity of the frozen weights in the dtype in which they were loaded.
        mixed: Whether it computes in bf16 from matrices held so (:mod:`mtrans.models.mixed`).
    """

    name: str
    model: Any
    tokenizer: Any
    qformer_tokenizer: Any
    image: ImageNumbers
    prompt_style: str
    hash: str
    mixed: bool = False

    @property
    def identity(self) -> str:
        """Identity of what computes: the frozen weights' and the arithmetic's."""
        return f"{self.hash} mixed" if self.mixed else self.hash

    @property
    def base(self) -> Any:
        """The assembled model without the PEFT wrapper."""
        return self.model.get_base_model() if hasattr(self.model, "peft_config") else self.model


def load_backbone(
    name: str,
    model: ModelSettings | None = None,
    lora: LoraSettings | None = None,
    *,
    adapter: str | Path | None = None,
    trainable: bool = False,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    quantize: str = "none",
    offload: str = "none",
    mixed: bool = False,
    **from_pretrained: Any,
) -> Backbone:
    """Loads a backbone and, where asked, an adapter.

    Args:
        name: ``tiny``, a folder, or a published checkpoint.
        model: The switches; None takes the adapter's, or the defaults.
        lora: Attach a fresh adapter of these settings.
        adapter: Load this adapter folder instead.
        trainable: Go on training the loaded adapter.
        device: Where to.
        dtype: Of the frozen weights.
        quantize: Bits of the frozen LLM, as `RunSettings.quantize`.
        offload: What is kept in the machine's memory, as `RunSettings.offload`.
        mixed: Hold the frozen matrices in bf16; for training, attach the adapter first and do it
            then (:func:`mtrans.models.mixed.hold_matrices`).
        **from_pretrained: More for transformers (`device_map`, ...).

    Returns:
        The backbone, in evaluation mode.

    Raises:
        CheckpointError: Nothing there, or not what it should be.
        SettingsError: `lora` and `adapter` together, `quantize` where that can't be, or `quantize`
            and `offload` together.
    """
    if lora is not None and adapter is not None:
        raise SettingsError("both lora and adapter given; a fresh adapter or a saved one, not both")
    if offload != "none" and quantize != "none":
        raise SettingsError(f"offload={offload} and quantize={quantize} exclude each other")
    record = read_adapter(adapter) if adapter is not None else None
    if model is None:
        model = record.model if record else ModelSettings()
    source = _source(name)
    config = read_config(name)
    from_pretrained = {
        **where_to_look(source),
        **quantization(quantize, dtype=dtype, device=device, llm=config.text_config),
        **from_pretrained,
    }
    family = FAMILIES[config.model_type]
    assembled: Any = family.from_pretrained(source, settings=model, dtype=dtype, **from_pretrained)
    assembled.requires_grad_(False).eval()
    placed = "device_map" in from_pretrained or "quantization_config" in from_pretrained
    if not placed and offload == "none":
        assembled = assembled.to(device)
    identity = weights_hash(assembled)
    if offload == "llm":
        offload_llm(assembled, device)
        assembled = assembled.to(device)
    wrapped: Any = assembled
    if lora is not None:
        wrapped = attach_adapter(assembled, lora)
    elif adapter is not None:
        wrapped = load_adapter(assembled, adapter, trainable=trainable, weights=identity)
    if mixed:
        hold_matrices(wrapped)
    tokenizer, qformer_tokenizer = _tokenizers(name, source, config)
    return Backbone(
        name=name,
        model=wrapped.eval(),
        tokenizer=tokenizer,
        qformer_tokenizer=qformer_tokenizer,
        image=_image_numbers(source, config),
        prompt_style=_prompt_style(name, config),
        hash=identity,
        mixed=mixed,
    )


def weights_hash(model: nn.Module) -> str:
    """Identity of the frozen weights.

    The ViT, the Q-Former and the projection are read whole; of the LLM's tensors, which can be tens
    of gigabytes, 1,024 evenly spread values each.

    Args:
        model: The assembled model, before an adapter is attached.

    Returns:
        Hexadecimal digest.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if name.startswith(("st_qformer.", "connector.")):
            continue
        flat = tensor.detach().reshape(-1)
        if name.startswith("language_model."):
            flat = flat[:: max(1, flat.numel() // 1024)]
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(flat.contiguous().cpu().view(torch.uint8).numpy())
    return digest.hexdigest()


def _source(name: str) -> str:
    if name != "tiny":
        return name
    if not (TINY_FOLDER / "config.json").is_file():
        raise CheckpointError(
            f"backbone 'tiny' has no weights at {TINY_FOLDER}; make them with"
            " 'python -m mtrans.models.tiny.pretrain'"
        )
    return str(TINY_FOLDER)


def read_config(name: str) -> Any:
    """Reads a backbone's config, without its weights.

    Args:
        name: As :func:`load_backbone` takes it.

    Returns:
        The InstructBLIP or BLIP-2 config.

    Raises:
        CheckpointError: Nothing there, or not what it should be.
    """
    source = _source(name)
    place = where_to_look(source)
    try:
        config = AutoConfig.from_pretrained(source, **place)
    except (OSError, ValueError) as error:
        if place:
            raise CheckpointError(
                f"backbone '{name}' is not on this machine, and the Hugging Face Hub can't be"
                " reached; give tiny, a folder, or a checkpoint that was downloaded before"
            ) from error
        first = str(error).splitlines()[0]
        raise CheckpointError(
            f"backbone '{name}' can't be found: {first} Give tiny, a folder with config.json, or"
            " the name of a published InstructBLIP or BLIP-2 checkpoint"
        ) from error
    if config.model_type not in FAMILIES:
        raise CheckpointError(
            f"backbone '{name}' is a '{config.model_type}' model; wanted {' or '.join(FAMILIES)}"
        )
    if config.image_token_index is None:
        raise CheckpointError(
            f"backbone '{name}' names no image_token_index in config.json; use a current revision"
        )
    return config


def _prompt_style(name: str, config: Any) -> str:
    default = "tiny" if name == "tiny" else PROMPT_STYLES[config.model_type]
    return str(getattr(config, "prompt_style", default))


def _tokenizers(name: str, source: str, config: Any) -> tuple[Any, Any]:
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **where_to_look(source))
        if config.model_type != "instructblip":
            return tokenizer, None
        return tokenizer, AutoTokenizer.from_pretrained(
            source, subfolder="qformer_tokenizer", **where_to_look(source)
        )
    except (OSError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise CheckpointError(f"backbone '{name}' lacks a tokenizer: {first}") from error


def _image_numbers(source: str, config: Any) -> ImageNumbers:
    """Reads them from the processor's JSON, which needs no image library."""
    data: dict[str, Any] = {}
    for file in ("preprocessor_config.json", "processor_config.json"):
        path = cached_file(
            source, file, _raise_exceptions_for_missing_entries=False, **where_to_look(source)
        )
        if path is not None:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
            data = data.get("image_processor", data)
            if "image_mean" in data:
                break
    side = config.vision_config.image_size
    size = data.get("size") or {"height": side, "width": side}
    mean, std = data.get("image_mean", CLIP_MEAN), data.get("image_std", CLIP_STD)
    return ImageNumbers(
        height=int(size["height"]),
        width=int(size["width"]),
        mean=(mean[0], mean[1], mean[2]),
        std=(std[0], std[1], std[2]),
        rescale=float(data.get("rescale_factor", 1 / 255)),
        resample=int(data.get("resample", BICUBIC)),
    )
