"""MQT: the pretrained spatial attention run over time, on the same weights.

::

    x[B, T, N, C] --channel swap--> (B, token) sequences of T frames
        query/key/value/output: SharedLinear -> the spatial attention's own W, plus its own LoRA_t
        relative position: a signed bias per head from t - t' in seconds
    x + g * (Block_t(x) - x)          TemporalGate; g = 0 is exactly the image model

Source: MTransLLAMA, IEEE TMM 27 (2025), the multimodal query temporal reusing module; the gate and
the relative position are this project's.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from einops import rearrange
from torch import Tensor, nn

from mtrans.core.errors import SettingsError
from mtrans.models.projecting import close, project
from mtrans.models.routing import Routing, routed_attention
from mtrans.models.rules import POSITION_HIDDEN, TIME_SCALES
from mtrans.models.trained import TrainedWhole


class SharedLinear(nn.Linear):
    """A linear layer that owns no weight: it runs another module's, with an adapter of its own.

    PEFT wraps this module and the module it stands for separately, so one stored `W` carries two
    LoRA pairs. It has no parameters, so a state dict holds `W` once, and it looks `W` up at each
    call, so loading, casting, moving and quantising the owner need no re-tying. Merging an adapter
    into `W` is impossible by construction: the two branches differ in nothing but their adapters.

    Args:
        owner: Module that holds the linear layer.
        name: The layer's attribute name there.
    """

    def __init__(self, owner: nn.Module, name: str):
        nn.Module.__init__(self)
        source = cast(nn.Linear, getattr(owner, name))
        self.in_features, self.out_features = source.in_features, source.out_features
        self._of = (owner, name)  # in a tuple, so that the owner is not registered as a child

    @property
    def source(self) -> nn.Linear:
        """The plain layer that is run, without the adapter that may be wrapped around it."""
        module = getattr(self._of[0], self._of[1])
        return cast(nn.Linear, getattr(module, "base_layer", module))

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """The owner's weight itself."""
        return self.source.weight

    @property
    def bias(self) -> Tensor | None:  # type: ignore[override]
        """The owner's bias itself."""
        return self.source.bias

    def forward(self, x: Tensor) -> Tensor:
        """Runs the owner's layer.

        Args:
            x: float[..., in].

        Returns:
            float[..., out].
        """
        return cast(Tensor, self.source(x))

    def reset_parameters(self) -> None:
        """Nothing to initialise: the owner does it."""


class TemporalAttention(nn.Module):
    """The pretrained self-attention block of one Q-Former layer, over the frame axis.

    Args:
        attention: The layer's pretrained attention block (transformers' Q-Former attention), whose
            weights are run and whose LayerNorm closes the block.
    """

    def __init__(self, attention: Any):
        super().__init__()
        inner, output = attention.attention, attention.output
        self.heads = int(inner.num_attention_heads)
        self.query = SharedLinear(inner, "query")
        self.key = SharedLinear(inner, "key")
        self.value = SharedLinear(inner, "value")
        self.output = SharedLinear(output, "dense")
        self._closing = (output,)

    def forward(
        self, x: Tensor, *, bias: Tensor | None, routing: Routing | None, dropout: float = 0.0
    ) -> Tensor:
        """Block_t(x) = LayerNorm(x + W_o(attn_t(x))).

        Args:
            x: float[B, T, N, C].
            bias: Additive float[B, 1 or h, T, T], or None.
            routing: Mask mixture over T frames, or None for plain attention.
            dropout: Probability with which attention weights are dropped.

        Returns:
            float[B, T, N, C].
        """
        tokens = x.shape[2]
        swap = "b t n (h d) -> b (n h) t d"
        made = project(x, self.query, self.key, self.value)
        query, key, value = (rearrange(y, swap, h=self.heads) for y in made)
        if bias is not None and bias.shape[1] > 1:
            bias = bias.repeat(1, tokens, 1, 1)  # every token sees the same biases, head by head
        mixed = routed_attention(query, key, value, bias=bias, routing=routing, dropout=dropout)
        mixed = rearrange(mixed, "b (n h) t d -> b t n (h d)", h=self.heads)
        return close(self._closing[0], mixed, x, self.output)


class TemporalGate(TrainedWhole):
    """x + g * (block - x) with one learned g.

    Args:
        start: Where g starts: 0 is the image model, 1 the whole block.
    """

    def __init__(self, start: float):
        super().__init__()
        self.start = start
        self.value = nn.Parameter(torch.empty(()))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets g to its start."""
        nn.init.constant_(self.value, self.start)

    def forward(self, x: Tensor, block: Tensor) -> Tensor:
        """Interpolates.

        Args:
            x: float[...], the block's input.
            block: float[...], its output.

        Returns:
            float[...].
        """
        return torch.lerp(x, block.to(x.dtype), self.value.to(x.dtype))


class RelativePosition(TrainedWhole):
    """A signed attention bias per head, computed from time differences in seconds.

    An MLP of sign(dt) * log1p(|dt| / tau) at several tau: it carries over to other frame rates and
    to unequal spacing. Half of the heads start by looking back and half by looking ahead: heads
    that look both ways alike give the frames of a clip and of its reversal the same mean, and a
    model that starts so learns along which line a thing moves long before it learns which way.

    Args:
        heads: Attention heads.
        scale: Standard deviation of the random part of the bias at the start.
        order: Bias with which the first half of the heads starts to prefer earlier frames, and the
            second half later ones.
    """

    def __init__(self, *, heads: int, scale: float, order: float):
        super().__init__()
        self.scale, self.order = scale, order
        self.hidden_weight = nn.Parameter(torch.empty(len(TIME_SCALES), POSITION_HIDDEN))
        self.hidden_bias = nn.Parameter(torch.empty(POSITION_HIDDEN))
        self.head_weight = nn.Parameter(torch.empty(POSITION_HIDDEN, heads))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the MLP so that biases start with about the wanted standard deviation."""
        nn.init.normal_(self.hidden_weight, std=1.0)
        nn.init.normal_(self.hidden_bias, std=0.5)
        # tanh units of such inputs have a root mean square of about 0.7
        nn.init.normal_(self.head_weight, std=self.scale / (0.7 * POSITION_HIDDEN**0.5))
        if self.order:  # one unit becomes about sign(dt)
            heads = self.head_weight.shape[1]
            with torch.no_grad():
                self.hidden_weight[:, 0] = 0.0
                self.hidden_weight[0, 0] = 1.0
                self.hidden_bias[0] = 0.0
                self.head_weight[0, : heads // 2] = self.order  # dt = t - t' > 0: t' is earlier
                self.head_weight[0, heads // 2 :] = -self.order

    def forward(self, times: Tensor) -> Tensor:
        """Computes the bias.

        Args:
            times: float[B, T] in seconds; only differences matter.

        Returns:
            float[B, h, T, T]; entry [t, t'] is added to the score of frame t' seen from frame t.
        """
        delta = rearrange(times, "b t -> b t 1") - rearrange(times, "b s -> b 1 s")
        delta = delta.to(self.hidden_weight.dtype)
        features = torch.stack(
            [delta.sign() * torch.log1p(delta.abs() / tau) for tau in TIME_SCALES], dim=-1
        )
        hidden = torch.tanh(features @ self.hidden_weight + self.hidden_bias)
        return rearrange(hidden @ self.head_weight, "b t s h -> b h t s")


class AbsolutePosition(TrainedWhole):
    """The paper's positions: a learned embedding per frame and one per query, added once.

    Args:
        max_frames: Rows of the frame embedding.
        queries: Query tokens `Q`.
        width: Q-Former width `C`.
        scale: Standard deviation at the start.
    """

    def __init__(self, *, max_frames: int, queries: int, width: int, scale: float):
        super().__init__()
        self.scale = scale
        self.frame = nn.Parameter(torch.empty(max_frames, width))
        self.query = nn.Parameter(torch.empty(queries, width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws both embeddings."""
        nn.init.normal_(self.frame, std=self.scale)
        nn.init.normal_(self.query, std=self.scale)

    def forward(self, x: Tensor, *, all_tokens: bool) -> Tensor:
        """Adds the embeddings.

        Args:
            x: float[B, T, N, C], the queries first.
            all_tokens: Also tell the text tokens which frame they are in.

        Returns:
            float[B, T, N, C].

        Raises:
            SettingsError: More frames than rows.
        """
        frames, queries = x.shape[1], self.query.shape[0]
        if frames > self.frame.shape[0]:
            raise SettingsError(
                f"{frames} frames, but model.temporal_position=absolute has"
                f" {self.frame.shape[0]} rows; set model.max_frames higher"
                " or model.temporal_position=relative"
            )
        frame = rearrange(self.frame[:frames], "t c -> t 1 c").to(x.dtype)
        head = x[:, :, :queries] + frame + self.query.to(x.dtype)
        tail = x[:, :, queries:]
        return torch.cat([head, tail + frame if all_tokens else tail], dim=2)
