"""A folder or published name -> a model that transformers knows, with its processor.

    AutoModelForImageTextToText -> model
    AutoProcessor -> processor -(torchvision is missing)-> the same, without its video processor

transformers' video processors need torchvision; its image processors have a form that does with
Pillow. So without torchvision a model is shown the frames as several images, and its name says so:
the two are different questions to it, and their answers must not be taken for each other.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    ProcessorMixin,
)
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

from mtrans.core.errors import CheckpointError
from mtrans.core.runtime import pick_dtype
from mtrans.models.hub import where_to_look

AS_IMAGES = " (frames as images)"
"""Added to the name of a model that could take a video, but not on this machine."""


@dataclass(frozen=True)
class Foreign:
    """A loaded model, with what an evaluation writes down of it.

    Attributes:
        name: Folder or published name, and whether it saw frames in place of a video.
        model: transformers' model.
        processor: Its processor.
        identity: Of the weights, with their types.
    """

    name: str
    model: Any
    processor: Any
    identity: str


def open_checkpoint(name: str, dtype: str, device: torch.device) -> Foreign:
    """Loads a model and its processor.

    Args:
        name: A folder, or the name of a published checkpoint.
        dtype: As `RunSettings.dtype`.
        device: Where to.

    Raises:
        CheckpointError: Nothing there, not such a model, or a package that it needs is missing.
    """
    place = where_to_look(name)
    try:
        processor = _processor(name, place)
        loaded = AutoModelForImageTextToText.from_pretrained(
            name, dtype=pick_dtype(dtype, device), **place
        )
    except ImportError as error:
        raise CheckpointError(
            f"'{name}' needs a package that is not installed: {_needs(error)}; install it, or"
            " choose a model whose processor does without"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"'{name}' can't be loaded as an image-text-to-text model of transformers: {first}"
        ) from error
    if getattr(processor, "image_processor", None) is None:
        raise CheckpointError(
            f"'{name}' has no processor of images, only {type(processor).__name__}; add its"
            " processor's files to the folder"
        )
    loaded.requires_grad_(False).eval().to(device)
    called = Path(name).name if Path(name).exists() else name
    cut = vars(processor).get("video_processor", ...) is None
    return Foreign(called + AS_IMAGES * cut, loaded, processor, weights_sample(loaded))


def weights_sample(model: nn.Module) -> str:
    """Identity of weights: names, shapes, types and 256 evenly spread values of each tensor."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        flat = tensor.detach().reshape(-1)
        flat = flat[:: max(1, flat.numel() // 256)].contiguous().cpu()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _processor(name: str, place: dict[str, Any]) -> Any:
    """Loads a processor; without torchvision, all of it but the video processor."""
    try:
        return AutoProcessor.from_pretrained(name, **place)
    except ImportError:
        if importlib.util.find_spec("torchvision") is not None:
            raise
    config = AutoConfig.from_pretrained(name, **place)
    if type(config) not in PROCESSOR_MAPPING:
        raise ImportError("torchvision")
    kind: Any = PROCESSOR_MAPPING[type(config)]
    parts = kind.get_attributes()
    if "image_processor" not in parts:
        raise ImportError(f"torchvision, which {kind.__name__} reads videos with")

    class Stills(kind):  # type: ignore[misc, valid-type]
        """The processor, which accepts that a part is missing."""

        def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
            missing = argument_name == "video_processor" and argument is None
            return missing or super().check_argument_for_proper_class(argument_name, argument)

        def apply_chat_template(self, *args: Any, **kwargs: Any) -> Any:
            # SmolVLM's own asks the video processor how many frames it takes, even for images
            return ProcessorMixin.apply_chat_template(self, *args, **kwargs)

    own = {
        "image_processor": lambda: AutoImageProcessor.from_pretrained(name, backend="pil", **place),
        "tokenizer": lambda: AutoTokenizer.from_pretrained(name, **place),
        "video_processor": lambda: None,
    }
    if set(parts) - set(own):
        raise ImportError("torchvision")
    described, _ = kind.get_processor_dict(name, **place)
    return Stills.from_args_and_dict([own[part]() for part in parts], described)


def _needs(error: ImportError) -> str:
    words = str(error).lower()
    known = ("torchvision", "num2words", "torchcodec", "pillow", "sentencepiece", "timm")
    return ", ".join(p for p in known if p in words) or (str(error).splitlines() or ["?"])[0]
