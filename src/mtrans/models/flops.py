"""Floating point operations as torch counts them while the model runs, by component.

`mtrans.measure.cost` has the same as a formula for connector `mqt`; this counts any connector.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

PARTS = {
    "vit": r"vision_model",
    "temporal": r"(st_qformer|connector(\.\w+)*?)\.layers\.\d+\.temporal",
    "feed_forward": r"qformer\.encoder\.layer\.\d+\.(intermediate|output)(_query)?",
    "qformer": r"(st_qformer|connector)",
    "projection": r"language_projection",
    "llm": r"language_model\.\w+",
}
"""Component -> its modules' names in the assembled model. ``qformer`` is the whole connector, the
two before it included; of one inside the ViT the ViT too, whose layers it calls piece by piece, so
that ``vit`` is 0."""


def count_flops(
    model: Any, batch: dict[str, Tensor], *, backward: bool = False
) -> dict[str, float]:
    """Runs the model once and counts products of matrices.

    Fused attention is taken apart into its products while it is counted: what its kernels do is not
    known to torch's counter on every device. Low-bit layers are not counted.

    Args:
        model: The assembled model, in a PEFT wrapper or not; gradients it had are put back.
        batch: Keywords of `forward`; with ``labels`` for `backward`.
        backward: Also go back from the loss, and give that as ``backward``.

    Returns:
        Component of :data:`PARTS` -> operations forward; and ``all``, forward.
    """
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    found: dict[str, float] = {}
    frozen = contextlib.nullcontext() if backward else _frozen(base)
    # layers that torch.compile has built have no modules inside any more
    plain = torch.compiler.set_stance("force_eager")
    with sdpa_kernel(SDPBackend.MATH), frozen, plain:
        with torch.set_grad_enabled(backward), FlopCounterMode(display=False) as counter:
            out = base(**batch)
        for name, pattern in PARTS.items():
            whole = re.compile(rf"{type(base).__name__}\.{pattern}")
            found[name] = float(
                sum(
                    sum(ops.values())
                    for module, ops in counter.get_flop_counts().items()
                    if whole.fullmatch(module)
                )
            )
        found["all"] = float(counter.get_total_flops())
        if backward:
            found["backward"] = _backward(base, out.loss)
    return found


def count_forward(model: torch.nn.Module, run: Callable[[], object]) -> float:
    """Counts products of matrices of whatever `run` has any model do, as :func:`count_flops` does.

    Args:
        model: The model that `run` runs, without gradients.
        run: Called once.

    Returns:
        Operations forward.
    """
    with sdpa_kernel(SDPBackend.MATH), _frozen(model), torch.no_grad():
        with FlopCounterMode(display=False) as counter:
            run()
        return float(counter.get_total_flops())


@contextlib.contextmanager
def _frozen(model: Any) -> Iterator[None]:
    """Freezes everything for a while: the counter's hooks fail on views of what is not."""
    trained = [p for p in model.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


def _back_through_convolution(
    grad: Sequence[int],
    x: Sequence[int],
    weight: Sequence[int],
    _bias: Any,
    _stride: Any,
    _padding: Any,
    _dilation: Any,
    transposed: bool,
    _output_padding: Any,
    _groups: int,
    wanted: Sequence[bool],
    **_: Any,
) -> int:
    """Counts a convolution's way back; torch's own formula takes a grouped one for a full one."""
    places = math.prod((x if transposed else grad)[2:])
    return sum(wanted[:2]) * 2 * x[0] * places * math.prod(weight)


def _backward(model: Any, loss: Tensor) -> float:
    trained = [p for p in model.parameters() if p.requires_grad]
    known = {torch.ops.aten.convolution_backward: _back_through_convolution}
    with FlopCounterMode(display=False, custom_mapping=known) as counter:
        torch.autograd.grad(loss, trained, allow_unused=True)
    return float(counter.get_total_flops())
