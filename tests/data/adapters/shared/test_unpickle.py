"""The restricted unpickler: plain data and arrays come through whole, anything else is refused."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mtrans.core.errors import DatasetError
from mtrans.data.adapters.shared.unpickle import unpickle

PLAIN = {"a": [1, 2.5, None, True, "é"], 7: (b"\x00\xff", {1, 2}, frozenset({3})), "big": 2**70}
ARRAYS = [
    np.arange(12, dtype=np.int64).reshape(3, 4),
    np.asfortranarray(np.arange(6, dtype=">f4").reshape(2, 3)),
    np.array(["ab", "ç"]),
    np.array([True, False]),
    np.zeros((0, 3)),
    np.array([1 + 2j]),
]


class Runs:
    """Would make a file if it were unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def write(path: Path, value: object, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_and_arrays(protocol: int, tmp_path: Path) -> None:
    path = write(tmp_path / "p", [PLAIN, ARRAYS, np.float32(1.5), np.int64(-3)], protocol)
    plain, arrays, small, whole = unpickle(path)
    assert plain == PLAIN
    assert (small, whole) == (1.5, -3)
    for made, wanted in zip(arrays, ARRAYS, strict=True):
        assert made.dtype.newbyteorder("=") == wanted.dtype.newbyteorder("=")
        np.testing.assert_array_equal(made, wanted)


def test_python_2_bytes_are_latin1(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(b"\x80\x02U\x03caf\xe9q\x00.".replace(b"\x03", b"\x04"))
    assert unpickle(tmp_path / "p") == "café"


def test_code_is_not_run(tmp_path: Path) -> None:
    victim = tmp_path / "made"
    with pytest.raises(DatasetError, match=r"mkdir.*not plain data"):
        unpickle(write(tmp_path / "p", {"a": [Runs(victim)]}))
    assert not victim.exists()


@pytest.mark.parametrize(
    "text",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"c__builtin__\ngetattr\n.",
        b"cnumpy\nload\n.",
        b"cnumpy.testing._private.utils\nrunstring\n.",
        b"cpickle\nloads\n.",
        b"\x80\x04\x8c\x08builtins\x8c\x0eint.from_bytes\x93.",
    ],
)
def test_names_outside_the_list_are_refused(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(text)
    with pytest.raises(DatasetError, match="not plain data"):
        unpickle(tmp_path / "p")


@pytest.mark.parametrize(
    "value",
    [np.array([Runs], dtype=object), np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
     np.array(["2020-01-01"], dtype="datetime64[D]")],
    ids=["objects", "fields", "dates"],
)  # fmt: skip
def test_other_arrays_are_refused(value: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(DatasetError):
        unpickle(write(tmp_path / "p", value))


def test_an_array_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    data = pickle.dumps(np.arange(4, dtype=np.uint8), protocol=2)
    assert data.count(b"K\x04\x85") == 1, "the shape (4,) as protocol 2 writes it"
    (tmp_path / "p").write_bytes(data.replace(b"K\x04\x85", b"K\xff\x85"))
    with pytest.raises(DatasetError, match="with other data"):
        unpickle(tmp_path / "p")


def test_damaged_files(tmp_path: Path) -> None:
    whole = pickle.dumps({"a": list(range(100))})
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("p", whole)
    for data in (whole[:50], b"", packed.getvalue(), b"<html></html>", os.urandom(64)):
        (tmp_path / "p").write_bytes(data)
        with pytest.raises(DatasetError) as error:
            unpickle(tmp_path / "p")
        assert "\n" not in str(error.value)
    with pytest.raises(DatasetError, match="can't be read"):
        unpickle(tmp_path / "nowhere")
