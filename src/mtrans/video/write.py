"""Frames (and sound) -> an mp4 file: H.264 in yuv420p, AAC mono.

The worlds write thousands of short clips with this, so it stays on one thread: small frames encode
faster that way, several processes don't fight for cores, and the bytes are the same on every run
with the same libraries.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from mtrans.core.errors import VideoError

if TYPE_CHECKING:
    from numpy.typing import NDArray

AUDIO_BIT_RATE = 64_000
FLAGS = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
# MPEG-4 lists these as the sample rates of AAC
AUDIO_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)


def write_video(
    path: str | Path,
    frames: Iterable[NDArray[np.uint8]],
    fps: float,
    audio: NDArray[np.float32] | None = None,
    sample_rate: int = 16000,
    *,
    crf: int = 18,
    preset: str = "veryfast",
) -> None:
    """Writes an mp4 file that any player opens.

    The file appears under its name only when it is complete. Frame ``i`` is shown at ``i / fps``
    seconds. The same input gives the same bytes with the same PyAV and FFmpeg. Colour is stored at
    half resolution (yuv420p), so edges of saturated colours bleed by a pixel.

    Args:
        path: Where to write; the folder must exist. An existing file is replaced.
        frames: uint8 ``[H, W, 3]`` RGB each, all of one size, H and W even. Read one at a time, so
            a generator keeps memory small.
        fps: Frames a second, 0.01 to 1000; kept to the nearest fraction with a denominator up to
            1001 (29.97002997 becomes 30000/1001), which is within 1e-6.
        audio: float32 ``[S]`` in [-1, 1], mono, from the first frame on; None writes no sound.
        sample_rate: Samples a second of ``audio``; one of the rates that AAC has.
        crf: x264's quality: 0 is lossless, 18 visually lossless, 51 worst.
        preset: x264's speed preset.

    Raises:
        VideoError: No frames, odd or changing size, wrong dtype or shape, fps or rate out of range,
            or the folder can't be written.
    """
    path = Path(path)
    if not (np.isfinite(fps) and 0.01 <= fps <= 1000):
        raise VideoError(f"{path}: fps={fps}; give a number from 0.01 to 1000")
    if audio is not None:
        audio = _checked_audio(path, audio, sample_rate)
    numbered = iter(frames)
    first = next(numbered, None)
    if first is None:
        raise VideoError(f"{path}: no frames to write; give at least one uint8 [H, W, 3] array")
    height, width = _size(path, first)
    _check_frame(path, first, 0, (height, width))
    partial = path.with_name(f".{path.stem}.{uuid.uuid4().hex}.mp4")
    try:
        rate = Fraction(fps).limit_denominator(1001)
        # bitexact leaves out the library's version and the date, so that equal input is equal bytes
        with av.open(str(partial), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
            video = container.add_stream("libx264", rate=rate)
            _set_up_video(video, width, height, rate, crf, preset)
            sound = container.add_stream("aac", rate=sample_rate) if audio is not None else None
            if sound is not None and audio is not None:
                sound.layout = "mono"
                sound.bit_rate = AUDIO_BIT_RATE
                sound.codec_context.flags |= int(av.codec.context.Flags.bitexact)
                _encode_audio(container, sound, audio, sample_rate)
            convert = VideoReformatter()
            for index, pixels in enumerate(chain([first], numbered)):
                _check_frame(path, pixels, index, (height, width))
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
                # the encoder would convert by itself, but its threaded, faster conversion was
                # seen to differ in a few pixels of the first frame from run to run
                frame = convert.reformat(frame, format="yuv420p", interpolation=FLAGS, threads=1)
                frame.pts = index
                frame.time_base = 1 / rate
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        os.replace(partial, path)
    except (OSError, av.error.FFmpegError) as error:
        reason = " ".join(str(error).split())
        raise VideoError(
            f"{path}: can't be written ({reason}); check the folder, its space and the settings"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _set_up_video(
    stream: Any, width: int, height: int, rate: Fraction, crf: int, preset: str
) -> None:
    stream.width, stream.height = width, height
    stream.pix_fmt = "yuv420p"
    # x264's macroblock tree was seen to give other bytes for the same frames from run to run
    stream.options = {"crf": str(crf), "preset": preset, "x264-params": "mbtree=0"}
    context = stream.codec_context
    context.time_base = 1 / rate
    context.thread_count = 1
    context.flags |= int(av.codec.context.Flags.bitexact)
    # the conversion below is BT.601 in limited range; say so, lest a player guess by size
    context.colorspace = int(Colorspace.SMPTE170M)
    context.color_range = int(ColorRange.MPEG)


def _encode_audio(container: Any, stream: Any, audio: NDArray[np.float32], rate: int) -> None:
    """Encodes all sound; the muxer holds it back until the frames that belong beside it arrive."""
    frame = av.AudioFrame.from_ndarray(audio[None], format="fltp", layout="mono")
    frame.sample_rate = rate
    frame.pts = 0
    frame.time_base = Fraction(1, rate)
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _checked_audio(path: Path, audio: NDArray[Any], rate: int) -> NDArray[np.float32]:
    if rate not in AUDIO_RATES:
        raise VideoError(f"{path}: sample_rate={rate}; AAC has {', '.join(map(str, AUDIO_RATES))}")
    audio = np.asarray(audio)
    if audio.ndim != 1 or not len(audio) or audio.dtype.kind != "f" or not np.isfinite(audio).all():
        raise VideoError(
            f"{path}: audio is {audio.dtype}{list(audio.shape)}; wanted finite float32[S], S > 0"
        )
    return np.ascontiguousarray(np.clip(audio, -1.0, 1.0), dtype=np.float32)


def _size(path: Path, pixels: NDArray[Any]) -> tuple[int, int]:
    height, width = np.shape(pixels)[:2] if np.ndim(pixels) == 3 else (0, 0)
    if height % 2 or width % 2:
        raise VideoError(
            f"{path}: frames are {width}x{height}; H.264 in yuv420p needs an even width and height,"
            " crop or pad by one pixel"
        )
    return height, width


def _check_frame(path: Path, pixels: NDArray[Any], index: int, size: tuple[int, int]) -> None:
    shape, dtype = np.shape(pixels), getattr(pixels, "dtype", type(pixels).__name__)
    if len(shape) != 3 or shape[2] != 3 or dtype != np.uint8 or 0 in shape:
        raise VideoError(f"{path}: frame {index} is {dtype}{list(shape)}; wanted uint8[H, W, 3]")
    if shape[:2] != size:
        raise VideoError(
            f"{path}: frame {index} is {shape[1]}x{shape[0]}, the first was {size[1]}x{size[0]};"
            " give frames of one size"
        )
