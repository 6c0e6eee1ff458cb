"""Reads NumPy's .npy files; their header is matched by a pattern, not evaluated.

https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import io
import math
import re
import struct
from typing import Any

import numpy as np

from hyperstyle_jax.torch_format import pickles
from hyperstyle_jax.torch_format.resolving import resolve

MAGIC = b"\x93NUMPY"
_MAX_HEADER = 4096
_HEADER = (
    rb"\{'descr': '(\|O|[<>|=]?[a-zA-Z]\d{1,6})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,12}, ?)*\d{0,12})\), ?\}\s*"
)


def read(data: Any) -> Any:
    """Reads one array; of an array of objects the plain values in it.

    Args:
        data: the file, mapped or as bytes.

    Raises:
        ValueError: a file that is cut off, or not of a plain array.
    """
    width, start = ("<H", 10) if data[6] == 1 else ("<I", 12)
    length, = struct.unpack(width, data[8:start])  # fmt: skip
    header = re.fullmatch(_HEADER, data[start : start + min(length, _MAX_HEADER)])
    if data[:6] != MAGIC or header is None:
        raise ValueError("its .npy header is not of a plain array")
    kind, fortran, sizes = (group.decode() for group in header.groups())
    start += length
    if kind == "|O":
        return resolve(pickles.load(io.BytesIO(data[start:])))
    shape, dtype = tuple(map(int, re.findall(r"\d+", sizes))), _numbers(kind)
    count = math.prod(shape)
    if start + count * dtype.itemsize > len(data):
        raise ValueError(f"it is cut off: the shape {shape} needs more numbers")
    numbers = np.frombuffer(data, dtype, count, start)
    numbers = numbers.reshape(shape, order="F" if fortran == "True" else "C")
    return numbers.tolist() if dtype.kind in "SUc" else numbers


def _numbers(kind: str) -> np.dtype:
    try:
        dtype = np.dtype(kind)
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in "fiubSUc" or not dtype.itemsize:
        raise ValueError(f"arrays of type {kind!r:.20} are not read")
    return dtype
