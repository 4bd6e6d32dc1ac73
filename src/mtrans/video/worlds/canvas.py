"""An anti-aliased canvas in unit coordinates that can also keep a map of what was drawn where.

``(0, 0)`` is the top left corner, ``(1, 1)`` the bottom right one; lengths are fractions of the
frame's height. Drawing is done at several times the resolution and averaged down.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]


class Canvas:
    """A square picture under construction.

    Args:
        size: Height and width of the finished picture in pixels.
        background: Its colour.
        supersample: Drawn pixels per finished pixel and axis.
        labelled: Keep a label map: what was drawn last at each place.
    """

    def __init__(
        self,
        size: int,
        *,
        background: Colour = (40, 40, 44),
        supersample: int = 3,
        labelled: bool = False,
    ):
        self.size = size
        self._scale = size * supersample
        self._supersample = supersample
        self._image = Image.new("RGB", (self._scale, self._scale), background)
        self._draw = ImageDraw.Draw(self._image)
        self.labels: list[tuple[str, ...]] = [()]
        """Attribute words of each label id; id 0 is background."""
        self._label_draw: ImageDraw.ImageDraw | None = None
        if labelled:
            self._label_image = Image.new("L", (self._scale, self._scale), 0)
            self._label_draw = ImageDraw.Draw(self._label_image)

    def polygon(self, points: Sequence[Point], colour: Colour, label: Sequence[str] = ()) -> None:
        """Fills a polygon."""
        xy = [(x * self._scale, y * self._scale) for x, y in points]
        self._draw.polygon(xy, fill=colour)
        self._mark(label, lambda draw, value: draw.polygon(xy, fill=value))

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, colour: Colour, label: Sequence[str] = ()
    ) -> None:
        """Fills an ellipse with centre (x, y) and half axes rx, ry."""
        s = self._scale
        box = [(x - rx) * s, (y - ry) * s, (x + rx) * s, (y + ry) * s]
        self._draw.ellipse(box, fill=colour)
        self._mark(label, lambda draw, value: draw.ellipse(box, fill=value))

    def circle(
        self, x: float, y: float, r: float, colour: Colour, label: Sequence[str] = ()
    ) -> None:
        """Fills a circle."""
        self.ellipse(x, y, r, r, colour, label)

    def ring(
        self, x: float, y: float, r: float, width: float, colour: Colour, label: Sequence[str] = ()
    ) -> None:
        """Draws a circle's outline that lies inside radius r."""
        s = self._scale
        box = [(x - r) * s, (y - r) * s, (x + r) * s, (y + r) * s]
        pixels = max(1, round(width * s))
        self._draw.ellipse(box, outline=colour, width=pixels)
        # the label covers the hole too: what matters is where the object is
        self._mark(label, lambda draw, value: draw.ellipse(box, fill=value))

    def line(
        self, points: Sequence[Point], width: float, colour: Colour, label: Sequence[str] = ()
    ) -> None:
        """Draws an open line through the points."""
        xy = [(x * self._scale, y * self._scale) for x, y in points]
        pixels = max(1, round(width * self._scale))
        self._draw.line(xy, fill=colour, width=pixels, joint="curve")
        self._mark(label, lambda draw, value: draw.line(xy, fill=value, width=3 * pixels))

    def pixels(self) -> np.ndarray:
        """Returns the finished picture, uint8[H, W, 3]."""
        return np.asarray(self._image.reduce(self._supersample))

    def label_map(self) -> np.ndarray:
        """Returns the label ids, uint8[H * supersample, W * supersample]; see :attr:`labels`.

        Raises:
            ValueError: The canvas was made without ``labelled=True``.
        """
        if self._label_draw is None:
            raise ValueError("this canvas keeps no label map; make it with labelled=True")
        return np.asarray(self._label_image)

    def _mark(self, label: Sequence[str], draw) -> None:
        if self._label_draw is None or not label:
            return
        attributes = tuple(label)
        if attributes not in self.labels:
            self.labels.append(attributes)
        draw(self._label_draw, self.labels.index(attributes))
