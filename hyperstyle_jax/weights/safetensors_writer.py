"""Writes safetensors files one array at a time, so memory holds one at most.

https://huggingface.co/docs/safetensors: the length of a JSON header, the header, the
numbers. Reading is left to the library, which maps the file.
"""

import json
import math
import os
import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

_NAMES = {"float32": "F32", "float16": "F16"}


class Lazy(NamedTuple):
    """An array that is made when it is written."""

    shape: tuple[int, ...]
    dtype: np.dtype
    make: Callable[[], np.ndarray]


def save_file(arrays: Mapping[str, Lazy], file: str | os.PathLike) -> None:
    """Writes arrays, sorted by name, and flushes them to the disk."""
    header, offset = {}, 0
    for name in sorted(arrays):
        shape, dtype, _ = arrays[name]
        end = offset + math.prod(shape) * dtype.itemsize
        header[name] = {
            "dtype": _NAMES[dtype.name],
            "shape": list(shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the numbers start aligned
    with open(file, "wb") as f, _progress(offset, file) as progress:
        f.write(struct.pack("<Q", len(text)) + text)
        for name in sorted(arrays):
            progress.update(f.write(np.ascontiguousarray(arrays[name].make()).data))
        f.flush()
        os.fsync(f.fileno())


def _progress(size: int, file: str | os.PathLike) -> tqdm:
    """A bar on terminals, for files that take their time."""
    name, small = os.path.basename(file), size < 1 << 27
    hidden = True if small else None
    return tqdm(total=size, desc=name, unit="B", unit_scale=True, disable=hidden)
