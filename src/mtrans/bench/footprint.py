"""The memory of a training step, foretold: it runs on tensors that have shapes and no numbers.

Every tensor that forward and backward make is counted while it lives, by torch's own autograd: what
is kept for the way back, what is made for a moment, autocast's copies. So the figure holds for
every connector and setting, and no device is needed. Not seen: what a kernel takes for itself
while it runs, what the allocator can't reuse, and the process around it all.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mtrans.bench.step import Step, StepCase, build


@dataclass(frozen=True)
class Footprint:
    """Bytes of a training step.

    Attributes:
        weights: Frozen weights and buffers, as they are kept,
        loading: and as they are loaded.
        trained: What is trained, its gradients, and AdamW's two moments: 16 bytes a parameter.
        batch: The batch.
        activations: The most that lives at one time between the start of a step and its end,
            gradients left out.
        trained_parameters: How many.
    """

    weights: int
    loading: int
    trained: int
    batch: int
    activations: int
    trained_parameters: int

    @property
    def total(self) -> int:
        """The most at one time: of the step, or before it, while weights are loaded."""
        return max(self.loading, self.weights + self.trained + self.batch + self.activations)


def footprint(case: StepCase, device: torch.device) -> Footprint:
    """Runs a step without numbers.

    Args:
        case: The step.
        device: Where it would run; a GPU that is not here is stood in for by the CPU's kernels.

    Returns:
        The bytes.
    """
    if device.type != "cpu" and not torch.cuda.is_available():
        device = torch.device("cpu")
    with Unseen(False):  # weights are drawn again while any lies out of bounds: none does
        model = build(case, device, weightless=True)
    with FakeTensorMode(allow_non_fake_inputs=True):
        _place(model, device)
        loading = _distinct([*model.parameters(), *model.buffers()])
        step = Step(case, device, model)
        # the weights that modules share are counted once
        held = _distinct([*step.model.parameters(), *step.model.buffers()])
        trained = sum(p.numel() for p in step.trained)
        live = LiveBytes(answers=case.batch * case.answer)
        with live:
            loss = step.forward()
            loss.backward()
        given = _distinct(step.batch.values())
    own = 4 * trained
    return Footprint(
        weights=held - own,
        loading=loading - own,
        trained=4 * own,
        batch=given,
        activations=max(0, live.peak - own),
        trained_parameters=trained,
    )


def _place(model: torch.nn.Module, device: torch.device) -> None:
    """Puts a model from the meta device on another one, inside a mode that keeps it weightless."""
    placed: dict[int, Tensor] = {}
    for module in model.modules():
        for kept in (module._parameters, module._buffers):
            for name, value in kept.items():
                if value is None:
                    continue
                if id(value) not in placed:
                    there = torch.empty(value.shape, dtype=value.dtype, device=device)
                    if isinstance(value, torch.nn.Parameter):
                        there = torch.nn.Parameter(there, requires_grad=value.requires_grad)
                    placed[id(value)] = there
                kept[name] = placed[id(value)]  # type: ignore[assignment]


def _distinct(tensors: Any) -> int:
    """Returns the bytes of tensors, of those that share memory once."""
    storages = {t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in tensors}
    return sum(storages.values())


class Unseen(TorchDispatchMode):
    """Answers whoever asks a tensor without numbers for one.

    Args:
        answer: What is answered.
    """

    def __init__(self, answer: bool):
        super().__init__()
        self.answer = answer

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        asked = func is torch.ops.aten._local_scalar_dense.default
        if asked and (args[0].is_meta or isinstance(args[0], FakeTensor)):
            return self.answer
        return func(*args, **(kwargs or {}))


class LiveBytes(Unseen):
    """Counts the bytes of tensors that are made inside, as long as they live.

    In a full batch nothing is hidden: masks that are asked whether they hide something say no.

    Args:
        answers: Answer tokens in the batch: how many places a mask picks out, which can't be seen
            where tensors have no numbers.

    Attributes:
        live: Bytes now.
        peak: The most so far.
    """

    def __init__(self, answers: int):
        super().__init__(True)
        self.answers = answers
        self.live = self.peak = 0
        self._known: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        aten = torch.ops.aten
        if func in (aten.index.Tensor, aten.index_put.default, aten.index_put_.default):
            args = (args[0], self._places(args[1]), *args[2:])
        made = super().__torch_dispatch__(func, types, args, kwargs)
        given = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        there = {t.untyped_storage()._cdata for t in given}  # views are not new
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor) and tensor.untyped_storage()._cdata not in there:
                self._count(tensor)
        return made

    def _places(self, indices: Any) -> list[Any]:
        """Writes a mask as the places it picks out."""
        places: list[Any] = []
        for index in indices:
            if isinstance(index, FakeTensor) and index.dtype == torch.bool:
                places += [index.new_empty(self.answers, dtype=torch.long)] * index.ndim
            else:
                places.append(index)
        return places

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return
        size = storage.nbytes()

        def gone(_: Any) -> None:
            self._known.pop(key, None)
            self.live -= size

        self._known[key] = weakref.ref(storage, gone)
        self.live += size
        self.peak = max(self.peak, self.live)
