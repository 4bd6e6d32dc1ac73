"""What is new beside the frozen model, and therefore trained and saved whole."""

from __future__ import annotations

from torch import nn


class TrainedWhole(nn.Module):
    """A module that an adapter trains and holds whole, beside its LoRA pairs.

    PEFT replaces such a module by a copy that is called in its place: it must be used by calling it
    and must not hold on to frozen modules.
    """

    def reset_parameters(self) -> None:
        """Sets all parameters to their start: those of the parts, then what is :meth:`special`."""
        for module in self.modules():
            reset = getattr(module, "reset_parameters", None)
            if module is not self and callable(reset):
                reset()
        self.special()

    def special(self) -> None:
        """Sets starts of its own, by `torch.nn.init`; what was loaded is left alone by it."""
