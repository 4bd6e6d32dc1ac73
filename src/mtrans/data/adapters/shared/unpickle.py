"""Reading pickles of data sets without running what is in them.

A pickle names functions to call; an untrusted one may name any. This reader knows lists, dicts,
sets, tuples, strings, numbers and numpy arrays of numbers or strings, and refuses every other name
before it is looked up. numpy's own unpickling is not called on unchecked input either: types and
shapes go through `_Kind` and `_Array`. Python 2 pickles, as older sets have, are read with latin1.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np

from mtrans.core.errors import DatasetError
from mtrans.data.adapters.shared.files import read_bytes

_BUILTINS: dict[str, Any] = {
    **{kind.__name__: kind for kind in (list, dict, set, frozenset, tuple, str, int, float, bool)},
    **{kind.__name__: kind for kind in (bytes, bytearray, complex)},
    "long": int,
    "unicode": str,
}


class _Kind:
    """Stands for `numpy.dtype`: numbers, yes/no and strings only."""

    def __init__(self, code: str, align: bool = False, copy: bool = False):
        if not isinstance(code, str) or not re.fullmatch(
            r"b1|[iu][1248]|f[248]|c(8|16)|[SU]\d+", code
        ):
            raise pickle.UnpicklingError(f"an array of {code!r}")
        self.code, self.order = code, "="

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        if order not in ("<", ">", "=", "|"):
            raise pickle.UnpicklingError(f"byte order {order!r}")
        self.order = order

    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.code).newbyteorder(self.order)  # type: ignore[arg-type]


class _Array(np.ndarray[Any, Any]):
    """An array whose content comes from a checked state."""

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, data = state
        if isinstance(data, str):  # written by Python 2
            data = data.encode("latin1")
        dtype = kind.dtype()
        if not isinstance(data, bytes) or math.prod(shape) * dtype.itemsize != len(data):
            raise pickle.UnpicklingError(f"an array of shape {shape} with other data")
        super().__setstate__((1, tuple(shape), dtype, bool(fortran), data))  # type: ignore[arg-type]


def _reconstruct(kind: Any, shape: Any, code: Any) -> _Array:
    return _Array((0,), np.uint8)


def _scalar(kind: _Kind, data: Any) -> Any:
    data = data.encode("latin1") if isinstance(data, str) else bytes(data)
    return np.frombuffer(data, kind.dtype(), count=1)[0]


def _frombuffer(buffer: Any, kind: _Kind, shape: Any, order: str) -> Any:
    return np.frombuffer(bytes(buffer), kind.dtype()).reshape(shape, order=order)  # type: ignore[call-overload]


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes written in {encoding!r}")
    return text.encode("latin1")


# numpy moved these; a pickle keeps the name of the version that wrote it.
_KNOWN: dict[tuple[str, str], Any] = {("numpy", "ndarray"): None, ("numpy", "dtype"): _Kind}
for _core in ("numpy.core", "numpy._core"):
    _KNOWN[f"{_core}.multiarray", "_reconstruct"] = _reconstruct
    _KNOWN[f"{_core}.multiarray", "scalar"] = _scalar
    _KNOWN[f"{_core}.numeric", "_frombuffer"] = _frombuffer
_KNOWN["_codecs", "encode"] = _encode  # how protocol 2 writes bytes


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in ("builtins", "__builtin__") and name in _BUILTINS:
            return _BUILTINS[name]
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        raise pickle.UnpicklingError(f"names {module}.{name}, which is not plain data")


def unpickle(path: Path) -> Any:
    """Reads a pickle that holds nothing but plain data and numpy arrays.

    Args:
        path: The file.

    Returns:
        What it holds.

    Raises:
        DatasetError: It can't be read, is cut off, or names anything else.
    """
    data = read_bytes(path)
    try:
        return _Restricted(io.BytesIO(data), encoding="latin1").load()
    except Exception as error:  # a damaged pickle raises nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DatasetError(
            f"{path}: not a whole pickle of plain data ({reason}); get it again"
        ) from error
