"""Frozen matrices in bf16, everything else in fp32, computed under autocast.

What autocast would round to bf16 in every pass is kept rounded: a step computes the same numbers
from half the memory and without the copies. Embeddings, normalisation and the sums along the
layers stay fp32, and so does all that is trained.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from mtrans.core.memory import MappedFiles


def hold_matrices(model: Any) -> None:
    """Turns the frozen linear layers to bf16 and has the parts compute under autocast.

    Whoever calls a part, for an answer, features, candidates or a gradient, gets the same
    arithmetic. Call it when an adapter is attached already: a fresh one would take over the type
    of the layers that it sits on. It can't be undone; load the model again instead.

    Args:
        model: The assembled model, in a PEFT wrapper or not, in fp32. Layers in another type
            (quantised ones) are left alone.
    """
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    embeddings = {id(m.weight) for m in base.modules() if isinstance(m, nn.Embedding)}
    files = MappedFiles.now()
    for layer in _frozen_layers(base):
        if layer.weight.dtype == torch.float32 and id(layer.weight) not in embeddings:
            for parameter in layer.parameters(recurse=False):
                _replace(parameter, parameter.data.to(torch.bfloat16), files)
    for tensor in (*base.parameters(), *base.buffers()):
        if tensor.dtype != torch.bfloat16:
            _replace(tensor, tensor.data.clone(), files)
    kind = next(base.parameters()).device.type
    base.rounded = torch.bfloat16
    for part in _parts(base):
        part.forward = torch.autocast(kind, torch.bfloat16)(part.forward)


def _replace(tensor: Tensor, made: Tensor, files: MappedFiles) -> None:
    """Gives a loaded tensor new memory, and lets go of what it was: a view of its checkpoint."""
    loaded = tensor.data
    tensor.data = made
    if loaded.device.type == "cpu" and type(loaded) is Tensor:  # one without numbers has no place
        files.let_go(loaded.data_ptr(), loaded.nbytes)


def _frozen_layers(base: Any) -> Iterator[nn.Linear]:
    """Yields the image model's own linear layers, without what an adapter put beside them."""
    for part in (base.vision_model, base.qformer, base.language_projection, base.language_model):
        for name, layer in part.named_modules():
            if isinstance(layer, nn.Linear) and not {"lora_A", "lora_B"} & set(name.split(".")):
                yield layer


def _parts(base: Any) -> list[nn.Module]:
    """Returns the modules that the assembled model calls, each once."""
    llm = base.language_model
    whole = base.config.use_decoder_only_language_model
    inner = [llm.base_model] if whole else [llm.get_encoder()]
    called = (base.vision_model, base.connecting, base.language_projection, llm, *inner)
    return list({id(part): part for part in (*called, base.get_output_embeddings())}.values())
