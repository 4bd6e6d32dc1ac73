"""Video files whose every frame tells its number."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np


def picture(index: int, height: int = 32, width: int = 32) -> np.ndarray:
    """A frame that tells its number: nine columns, white where the bit is set."""
    frame = np.full((height, width, 3), 30, np.uint8)
    edges = np.linspace(0, width, 10).astype(int)
    for bit in range(9):
        if index >> bit & 1:
            frame[:, edges[bit] : edges[bit + 1]] = 220
    return frame


def number(frame: np.ndarray) -> int:
    """Reads the number that `picture` wrote."""
    edges = np.linspace(0, frame.shape[1], 10).astype(int)
    middle = frame[frame.shape[0] // 2].mean(axis=-1)
    return sum(1 << bit for bit in range(9) if middle[(edges[bit] + edges[bit + 1]) // 2] > 125)


def encode(
    target: object,
    stamps: list[int],
    *,
    tick: Fraction = Fraction(1, 1000),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    size: tuple[int, int] = (32, 36),
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    form: str | None = None,
    turn: int = 0,
    frames: list[np.ndarray] | None = None,
) -> None:
    """Writes frame i with the given timestamp in ticks; for files beyond write_video."""
    with av.open(target, "w", format=form, options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width = size
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = tick
        stream.codec_context.thread_count = 1
        if turn:
            stream.set_display_rotation(turn)
        for index, stamp in enumerate(stamps):
            pixels = frames[index] if frames else picture(index, *size)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = stamp, tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
