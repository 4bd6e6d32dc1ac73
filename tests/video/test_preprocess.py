"""preprocess gives the numbers that transformers' Blip image processor gives."""

from __future__ import annotations

import numpy as np
import pytest
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from mtrans.core.errors import SettingsError
from mtrans.video.preprocess import PreprocessSettings, from_processor_config, preprocess


def frames(*shape: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (*shape, 3), dtype=np.uint8)


def reference(pixels: np.ndarray, processor: BlipImageProcessorPil) -> np.ndarray:
    out = processor(images=list(pixels), return_tensors="np", input_data_format="channels_last")
    return np.asarray(out["pixel_values"])


@pytest.mark.parametrize("source", [(64, 64), (48, 80), (240, 320), (17, 301), (1, 1), (224, 224)])
@pytest.mark.parametrize("target", [(224, 224), (64, 64), (32, 96)])
def test_equals_transformers(source: tuple[int, int], target: tuple[int, int]) -> None:
    pixels = frames(2, *source)
    processor = BlipImageProcessorPil(size={"height": target[0], "width": target[1]})
    got = preprocess(pixels, PreprocessSettings(height=target[0], width=target[1]))
    assert got.dtype == np.float32
    assert got.shape == (2, 3, *target)
    np.testing.assert_allclose(got, reference(pixels, processor), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"size": {"height": 56, "width": 40}},
        {"resample": 2},
        {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.5]},
        {"do_normalize": False},
        {"do_rescale": False},
        {"rescale_factor": 1 / 127.5},
    ],
)
def test_reads_a_processor_config(changes: dict) -> None:
    processor = BlipImageProcessorPil(**changes)
    settings = from_processor_config(processor.to_dict())
    pixels = frames(1, 30, 50)
    expected = reference(pixels, processor)
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(preprocess(pixels, settings), expected, rtol=0, atol=1e-6 * scale)


def test_published_instructblip_config() -> None:
    published = {
        "do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_processor_type": "BlipImageProcessor",
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "resample": 3, "rescale_factor": 0.00392156862745098,
        "size": {"height": 224, "width": 224},
    }  # fmt: skip
    assert from_processor_config(published) == PreprocessSettings()
    assert from_processor_config({"image_processor": published}) == PreprocessSettings()


def test_a_view_gives_what_its_copy_gives() -> None:
    pixels = frames(2, 20, 30)[:, ::-1, ::-1]
    settings = PreprocessSettings(height=16, width=16)
    assert np.array_equal(preprocess(pixels, settings), preprocess(pixels.copy(), settings))


@pytest.mark.parametrize(
    "bad", [frames(2, 8, 8).astype(np.float32), frames(8, 8), frames(2, 8, 8)[..., :2]]
)
def test_wrong_pixels(bad: np.ndarray) -> None:
    with pytest.raises(SettingsError, match=r"wanted uint8\[T, H, W, 3\]"):
        preprocess(bad, PreprocessSettings())


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"size": {"shortest_edge": 224}}, "exact height and width"),
        ({"do_center_crop": True}, "do_center_crop"),
        ({"do_resize": False}, "do_resize=false"),
    ],
)
def test_unknown_steps_are_refused(config: dict, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        from_processor_config(config)


@pytest.mark.parametrize("values", [{"height": 0}, {"std": (0.0, 1.0, 1.0)}, {"resample": 9}])
def test_bad_settings(values: dict) -> None:
    with pytest.raises(SettingsError, match="preprocess"):
        PreprocessSettings(**values)
