"""What 8 bits keep of features: the error bound, the bytes, the odd tokens."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as some_numpy

from mtrans.core.errors import CacheError
from mtrans.data.collate import pad_frames
from mtrans.data.forms import FORMS, fits_bfloat16, pack, quantise, stored_bytes, unpack

from ._cache_worker import encode, open_cache, samples_in

shapes = some_numpy.array_shapes(min_dims=2, max_dims=3, max_side=6)
numbers = st.floats(-(2.0**99), 2.0**99, width=32)


def through(features, form):
    raw = np.frombuffer(pack(features, form), dtype=np.uint8)
    assert len(raw) == stored_bytes(features.shape, form)
    return unpack(raw, features.shape, form)


@given(some_numpy.arrays(np.float32, shapes, elements=numbers))
@settings(max_examples=60, deadline=None)
def test_eight_bits_are_off_by_at_most_half_a_scale(features):
    found = through(features, "int8")
    assert found.dtype == np.float32
    largest = np.abs(features).max(axis=-1, keepdims=True)
    # half a step of 127, and what float32 itself rounds
    assert (np.abs(found - features) <= largest * (0.5 / 127 + 1e-6) + 1e-37).all()


def test_tokens_do_not_share_a_scale():
    features = np.stack([np.full(5, 1e-3), np.full(5, 1e3)]).astype(np.float32)
    np.testing.assert_allclose(through(features, "int8"), features, rtol=1e-5)
    assert quantise(features)[1].shape == (2, 1)
    assert not through(np.zeros((2, 3), np.float32), "int8").any()


@pytest.mark.parametrize("form", ["float32", "float16"])
def test_other_forms_are_exact(form):
    features = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(form)
    np.testing.assert_array_equal(through(features, form), features)


def test_bfloat16_is_exact_where_it_fits():
    numbers = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    rounded = torch.from_numpy(numbers).to(torch.bfloat16)
    assert not fits_bfloat16(numbers)
    assert fits_bfloat16(rounded.float().numpy())
    assert not fits_bfloat16(numbers.astype(np.float16))
    found = through(rounded.float().numpy(), "bfloat16")
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, rounded)
    # what does not fit is rounded, to the nearest
    assert torch.equal(through(numbers, "bfloat16"), rounded)


def test_features_of_a_model_in_bf16_take_half_without_loss(tmp_path, clips):
    samples = samples_in(clips)[:2]

    def rounded(pixels):
        return torch.from_numpy(encode(pixels)).to(torch.bfloat16).float().numpy()

    open_cache(tmp_path).fill(samples, rounded)
    cache = open_cache(tmp_path)
    assert {e.dtype for e in cache.store.entries.values()} == {"bfloat16"}
    exact = open_cache(tmp_path / "exact")
    exact.fill(samples, lambda pixels: rounded(pixels) + np.float32(2**-20))
    assert {e.dtype for e in exact.store.entries.values()} == {"float32"}
    items = [(s, *cache.get(s)) for s in samples]
    batch = pad_frames(items)["patch_features"]
    assert batch.dtype == torch.bfloat16
    wanted = torch.from_numpy(np.stack([exact.get(s)[0] for s in samples]))
    torch.testing.assert_close(batch.float(), wanted, rtol=0, atol=2**-19)
    blank = (samples[0], cache.blank(4), np.arange(4.0))
    assert pad_frames([blank, items[1]])["patch_features"].dtype == torch.float32


def test_int8_cache_is_a_quarter_and_close(tmp_path, clips):
    samples = samples_in(clips)[:2]

    def wide(pixels):  # tokens as wide as real ones, so that scales weigh little
        return np.tile(encode(pixels), 40)

    exact = open_cache(tmp_path, feature_shape=(2, 120))
    small = open_cache(tmp_path, dtype="int8", feature_shape=(2, 120))
    for cache in (exact, small):
        bytes_wanted = cache.estimate(samples).bytes
        cache.fill(samples, wide)
        data = sum(stored_bytes(e.shape, e.dtype) for e in cache.store.entries.values())
        assert data == bytes_wanted
    assert small.folder != exact.folder
    assert {e.dtype for e in small.store.entries.values()} == {"int8"}
    assert small.estimate([]).bytes == 0
    ratio = stored_bytes((4, 2, 120), "float32") / stored_bytes((4, 2, 120), "int8")
    assert ratio == pytest.approx(480 / 124)
    again = open_cache(tmp_path, dtype="int8")  # read back from disk by another one
    for sample in samples:
        (found, times), (wanted, when) = again.get(sample), exact.get(sample)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(times, when)
        assert np.abs(found - wanted).max() > 0
        bound = np.abs(wanted).max(axis=-1, keepdims=True) / 254 * 1.001
        assert (np.abs(found - wanted) <= bound).all()


def test_int8_needs_finite_features(tmp_path, clips):
    cache = open_cache(tmp_path, dtype="int8")
    with pytest.raises(CacheError, match="not finite as float32"):
        cache.fill(samples_in(clips)[:1], lambda p: encode(p) * np.float32(np.nan))


def test_the_usual_caches_keep_their_names(tmp_path):
    """Keys as they were before there was an int8 form: a filled cache stays of use."""
    spec = open_cache(tmp_path).spec
    assert list(spec) == ["layout", "frames", "preprocess", "backbone", "dtype", "decoding"]
    assert spec["layout"] == 1
    assert [open_cache(tmp_path, dtype=d).spec["dtype"] for d in ("same", "float16")] == [
        "same",
        "float16",
    ]
    assert FORMS[:2] == ("float32", "float16")
