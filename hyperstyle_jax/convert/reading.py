"""Reads files of weights as plain values: PyTorch's, NumPy's, NVIDIA's, safetensors."""

import os
import struct
from typing import Any

from hyperstyle_jax.convert import containers
from hyperstyle_jax.torch_format import files as torch_files
from hyperstyle_jax.weights import safetensors_reader

_MAX_HEADER = 100_000_000  # bytes; the library's own limit


def read(path: str | os.PathLike) -> Any:
    """The content of a file: dicts, lists, scalars and arrays.

    Whole networks become dicts of their tensors.

    Args:
        path: the file; its content decides what it is, not its name.

    Raises:
        ValueError: the file, and why it is refused.
    """
    try:
        if _is_safetensors(path):
            return safetensors_reader.read(path)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    value = torch_files.read(path)
    try:
        return containers.plain(value)
    except ValueError as error:
        raise ValueError(f"cannot read {path}: {error}") from None


def _is_safetensors(path) -> bool:
    """The length of a header, and its first character."""
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        start = file.read(9)
    if len(start) < 9 or start[8:] != b"{":
        return False
    (length,) = struct.unpack("<Q", start[:8])
    return 2 <= length <= _MAX_HEADER
