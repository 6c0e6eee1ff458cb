"""Writes plain values as PyTorch pickles them, without PyTorch."""

import struct
from typing import Any

import numpy as np

from hyperstyle_jax.torch_format.pickle_values import STORAGES


class Writer:
    """Builds a pickle of plain values; the arrays themselves are stored beside it.

    Attributes:
        out: the instructions so far.
        arrays: those that the pickle refers to, array i by the key "i".
    """

    def __init__(self):
        self.out = bytearray(b"\x80\x02")
        self.arrays: list[np.ndarray] = []
        self.keys: dict[int, int] = {}

    def finish(self) -> bytes:
        """The complete pickle."""
        return bytes(self.out) + b"."

    def write(self, value: Any) -> None:
        """Adds dicts, lists, tuples, scalars, bytes and arrays.

        Raises:
            ValueError: a value of another type.
        """
        if value is None:
            self.out += b"N"
        elif isinstance(value, bool):
            self.out += b"\x88" if value else b"\x89"
        elif isinstance(value, int):
            self._int(value)
        elif isinstance(value, float):
            self.out += b"G" + struct.pack(">d", value)
        elif isinstance(value, str):
            raw = value.encode("utf-8", "surrogatepass")
            self.out += b"X" + struct.pack("<I", len(raw)) + raw
        elif isinstance(value, bytes):
            self._global("_codecs", "encode")
            self.out += b"("
            self.write(value.decode("latin1"))
            self.write("latin1")
            self.out += b"tR"
        elif isinstance(value, dict):
            pairs = [x for pair in value.items() for x in pair]
            self._items(b"}(", pairs, b"u")
        elif isinstance(value, (list, tuple)):
            opening, closing = (
                (b"](", b"e") if isinstance(value, list) else (b"(", b"t")
            )
            self._items(opening, value, closing)
        elif isinstance(value, np.ndarray):
            self._tensor(value)
        else:
            raise ValueError(f"a {type(value).__name__} cannot be written for PyTorch")

    def _items(self, opening, items, closing):
        self.out += opening
        for item in items:
            self.write(item)
        self.out += closing

    def _int(self, value):
        if -(2**31) <= value < 2**31:
            self.out += b"J" + struct.pack("<i", value)
        else:
            raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            self.out += b"\x8a" + bytes([len(raw)]) + raw

    def _global(self, module, name):
        self.out += f"c{module}\n{name}\n".encode()

    def _tensor(self, array):
        if id(array) not in self.keys:
            self.keys[id(array)] = len(self.arrays)
            self.arrays.append(array)
        strides, step = [], 1
        for n in reversed(array.shape):
            strides.insert(0, step)
            step *= n
        self._global("torch._utils", "_rebuild_tensor_v2")
        self.out += b"(("
        self.write("storage")
        storage_class = _storage_name(array.dtype)
        if storage_class is None:
            raise ValueError(
                f"numbers of type {array.dtype} cannot be written for PyTorch"
            )
        self._global("torch", storage_class)
        for value in (str(self.keys[id(array)]), "cpu", array.size):
            self.write(value)
        self.out += b"tQ"
        for value in (0, array.shape, tuple(strides), False):
            self.write(value)
        self._global("collections", "OrderedDict")
        self.out += b")RtR"


def storable(array: np.ndarray) -> np.ndarray | list:
    """Converts an array to a type that PyTorch's files have, else to a list."""
    if _storage_name(array.dtype):
        return array
    for kind in (np.int64, np.float32):
        if np.can_cast(array.dtype, kind):
            return array.astype(kind)
    return array.tolist()


def _storage_name(dtype) -> str | None:
    for name, storage_dtype in STORAGES.items():
        if dtype.newbyteorder("<") == np.dtype(storage_dtype).newbyteorder("<"):
            return name
    return None
