"""The objects of a pickle of weights: storages, tensors, arrays, networks, names.

`pickles` builds them from a file, and `resolving` turns them into plain containers and
arrays. Nothing here runs what a file asks for.
"""

import dataclasses
import math
from typing import Any

import ml_dtypes
import numpy as np

MAX_ELEMENTS = 2**30  # of one tensor; the largest known has 2**27
MAX_DEPTH = 64
_MAX_DIMENSIONS = 8

STORAGES = {
    "FloatStorage": np.float32,
    "DoubleStorage": np.float64,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}


@dataclasses.dataclass(eq=False)
class Storage:
    """A run of `size` numbers; `data` [size] may follow after the pickle is read."""

    dtype: np.dtype
    size: int
    data: np.ndarray | None = None


@dataclasses.dataclass(eq=False)
class Tensor:
    """A view of a storage; offset and strides count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> np.ndarray:
        """The view as a read-only array.

        Raises:
            ValueError: it does not lie inside the storage.
        """
        data = self.storage.data
        if data is None:
            raise ValueError("a tensor without data")
        if 0 in self.shape:
            return np.zeros(self.shape, self.storage.dtype)
        steps = zip(self.shape, self.strides, strict=True)
        last_element = self.offset + sum((n - 1) * step for n, step in steps)
        if last_element >= data.size:
            raise ValueError(
                f"a tensor reaches element {last_element} of a storage of {data.size}"
            )
        strides = [step * data.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(
            data[self.offset :], self.shape, strides, writeable=False
        )


@dataclasses.dataclass(eq=False)
class Module:
    """A network saved as an object: its class's name and attributes, but no code."""

    class_name: str
    state: Any

    def tensors(self, prefix: str = "") -> dict[str, np.ndarray]:
        """Parameters and buffers by their names in PyTorch.

        Args:
            prefix: put before each name.

        Raises:
            ValueError: a part is no network, or there are more than 100,000 tensors.
        """
        arrays, stack = {}, [(prefix, self, 0)]
        while stack:
            root, module, depth = stack.pop()
            state = module.state if isinstance(module, Module) else None
            if not isinstance(state, dict) or depth > MAX_DEPTH:
                raise ValueError(f"{root or 'the file'} holds no network")
            hidden = state.get("_non_persistent_buffers_set") or ()
            for group in ("_parameters", "_buffers"):
                for name, value in _entries(state, group):
                    if isinstance(value, np.ndarray) and name not in hidden:
                        arrays[f"{root}{name}"] = value
            for name, child in _entries(state, "_modules"):
                if child is not None:
                    stack.append((f"{root}{name}.", child, depth + 1))
            if len(arrays) + len(stack) > 100_000:
                raise ValueError("more than 100,000 tensors")
        return arrays


def _entries(state: dict, group: str):
    entries = state.get(group) or {}
    return checked(entries, dict).items()


@dataclasses.dataclass(frozen=True)
class Global:
    """The name of a class or function that a pickle refers to."""

    module: str
    name: str

    def __str__(self):
        return f"{self.module}.{self.name}"


@dataclasses.dataclass(eq=False)
class DType:
    """A NumPy dtype by its code, as "f4", and byte order."""

    code: str
    order: str = "<"

    def __str__(self):
        return f"numpy.dtype({self.code!r})"

    def numpy(self) -> np.dtype | None:
        """The dtype of numbers or texts; None for types that weights do not have."""
        kind, size = self.code[:1], self.code[1:]
        if kind in "SU" and size.isdecimal() and 0 < int(size) < 2**16:
            return np.dtype(self.code).newbyteorder(self.order)
        if kind not in "fiubc" or size not in ("1", "2", "4", "8", "16"):
            return None
        try:
            return np.dtype(self.code).newbyteorder(self.order)
        except TypeError:  # as f1
            return None


@dataclasses.dataclass(eq=False)
class Array:
    """A NumPy array by its state: version, shape, dtype, order, bytes."""

    state: tuple = ()

    def array(self):
        """The array, or plain values where its elements are no numbers.

        Raises:
            ValueError: the state is damaged.
        """
        if not self.state:
            raise ValueError("an array without data")
        _, shape, dtype, fortran, raw = self.state
        shape = checked_shape(shape)
        if dtype.code in ("O", "O8"):
            return self._objects(shape, raw)
        kind = dtype.numpy()
        if kind is None:
            return f"an array of type {dtype.code!r:.20}"
        data = np.frombuffer(checked_bytes(raw), kind)
        if data.size != math.prod(shape):
            raise ValueError(f"an array of shape {shape} with {data.size} numbers")
        data = data.reshape(shape, order="F" if fortran else "C")
        return data.tolist() if kind.kind in "SUc" else data

    @staticmethod
    def _objects(shape, raw):
        if not isinstance(raw, list) or len(shape) > 1 or len(raw) != math.prod(shape):
            raise ValueError("an array of objects that is not a plain list")
        return raw if shape else raw[0]


class Fields(dict):
    """A namespace whose attributes are read as items of a dict."""


def checked(value, kind):
    """`value`, or a ValueError if it is not of the type (or types) `kind`."""
    if not isinstance(value, kind):
        raise ValueError(f"a {type(value).__name__} in an unexpected place")
    return value


def checked_shape(value) -> tuple[int, ...]:
    """`value` as a shape, or a ValueError if it is none or too large."""
    shape = tuple(checked(value, (tuple, list)))
    for n in shape:
        if not isinstance(n, int) or n < 0:
            raise ValueError(f"the shape {shape!r:.60}")
    if len(shape) > _MAX_DIMENSIONS or math.prod(shape) > MAX_ELEMENTS:
        raise ValueError(f"the shape {shape!r:.60} is too large")
    return shape


def checked_bytes(value) -> bytes:
    """`value` as bytes, or a ValueError if it is something else."""
    if isinstance(value, str):  # a byte string of Python 2
        return value.encode("latin1")
    return bytes(checked(value, (bytes, bytearray)))
