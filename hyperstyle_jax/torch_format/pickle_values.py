"""What a pickle of weights may hold, and what becomes of it: containers and arrays.

`pickles` builds these from a file; nothing here runs what a file asks for.
"""

import dataclasses
import math
from typing import Any

import ml_dtypes
import numpy as np

from hyperstyle_jax.torch_format import objects
from hyperstyle_jax.torch_format.objects import Object

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
    """A run of numbers; `data` may be known only after the pickle is read."""

    dtype: np.dtype
    size: int
    data: np.ndarray | None = None


@dataclasses.dataclass(eq=False)
class Tensor:
    """A view of a storage, in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> np.ndarray:
        """A read-only view, checked to lie inside the storage."""
        data = self.storage.data
        if data is None:
            raise ValueError("a tensor without data")
        if 0 in self.shape:
            return np.zeros(self.shape, self.storage.dtype)
        steps = zip(self.shape, self.strides, strict=True)
        last = self.offset + sum((n - 1) * step for n, step in steps)
        if last >= data.size:
            raise ValueError(
                f"a tensor reaches element {last} of a storage of {data.size}"
            )
        strides = [step * data.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(
            data[self.offset :], self.shape, strides, writeable=False
        )


@dataclasses.dataclass(eq=False)
class Module:
    """A network saved as a whole: the class's name and its attributes, no code."""

    class_name: str
    state: Any

    def tensors(self, prefix: str = "") -> dict[str, np.ndarray]:
        """Parameters and buffers by their names in PyTorch."""
        found, stack = {}, [(prefix, self, 0)]
        while stack:
            root, module, depth = stack.pop()
            state = module.state if isinstance(module, Module) else None
            if not isinstance(state, dict) or depth > MAX_DEPTH:
                raise ValueError(f"{root or 'the file'} holds no network")
            hidden = state.get("_non_persistent_buffers_set") or ()
            for group in ("_parameters", "_buffers"):
                for name, value in _entries(state, group):
                    if isinstance(value, np.ndarray) and name not in hidden:
                        found[f"{root}{name}"] = value
            for name, child in _entries(state, "_modules"):
                if child is not None:
                    stack.append((f"{root}{name}.", child, depth + 1))
            if len(found) + len(stack) > 100_000:
                raise ValueError("more than 100,000 tensors")
        return found


def _entries(state: dict, group: str):
    entries = state.get(group) or {}
    return checked(entries, dict).items()


@dataclasses.dataclass(frozen=True)
class Global:
    module: str
    name: str

    def __str__(self):
        return f"{self.module}.{self.name}"


@dataclasses.dataclass(eq=False)
class DType:
    code: str
    order: str = "<"

    def __str__(self):
        return f"numpy.dtype({self.code!r})"

    def numpy(self) -> np.dtype | None:
        """Numbers and texts; None for types that weights do not have."""
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
    state: tuple = ()

    def array(self):
        """The array, or plain values where its elements are no numbers."""
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
    """A namespace: its state becomes its items."""


def resolve(value: Any) -> Any:
    """Raw objects → dicts, lists, tuples, scalars, arrays and `Module`s."""
    return _Resolver().resolve(value, 0)


class _Resolver:
    """Every object is visited once, however often it is referred to.

    Equal views of one storage become one array, so that aliases can be told.
    """

    def __init__(self):
        self.done: dict[int, Any] = {}
        self.views: dict[Any, np.ndarray] = {}
        self.open: set[int] = set()
        self.made: list[Any] = []  # kept, for what is thrown away gives its id away
        self.inside_objects = 0

    def resolve(self, value, depth):
        if value is None or isinstance(value, (bool, float, str, bytes)):
            return value
        if isinstance(value, int):
            return value if value.bit_length() < 2000 else hex(value)
        if isinstance(value, bytearray):
            return bytes(value)
        if isinstance(value, complex):
            return str(value)
        key = id(value)
        if key not in self.done:
            if depth > MAX_DEPTH or key in self.open:
                return self._too_deep()
            self.open.add(key)
            self.done[key] = self._convert(value, depth + 1)
            self.open.discard(key)
        return self.done[key]

    def _too_deep(self):
        """An object of an unknown class may hold what holds it; weights may not."""
        if self.inside_objects:
            return "…"
        raise ValueError(f"nested deeper than {MAX_DEPTH}, or in a circle")

    def _convert(self, value, depth):
        if isinstance(value, Object):
            return self._object(value, depth)
        if isinstance(value, dict):
            return {k: self.resolve(v, depth) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self.resolve(v, depth) for v in value)
        if isinstance(value, Tensor):
            view = (id(value.storage), value.offset, value.shape, value.strides)
            if view not in self.views:
                self.views[view] = value.array()
            return self.views[view]
        if isinstance(value, Array):
            array = value.array()
            plain = isinstance(array, np.ndarray)
            return array if plain else self._made(array, depth)
        if isinstance(value, np.ndarray):
            return value
        if isinstance(value, Module):
            return Module(value.class_name, self._network(value.state, depth))
        if isinstance(value, Storage):
            whole = Tensor(value, 0, (value.size,), (1,))
            return whole.array()
        if isinstance(value, (Global, DType)):
            return str(value)
        raise ValueError(f"a {type(value).__name__.strip('_')} in an unexpected place")

    def _object(self, value, depth):
        """A network where it has the attributes of one, otherwise plain values."""
        fields = value.fields() or {}
        if "_parameters" in fields and "_modules" in fields:
            return Module(value.class_name, self._network(fields, depth))
        self.inside_objects += 1
        result = self._made(objects.plain(value), depth)
        self.inside_objects -= 1
        return result

    def _network(self, state, depth):
        """Of a network's attributes those that make its state dict."""
        if not isinstance(state, dict):
            return None
        return self._made({k: state[k] for k in _NETWORK if k in state}, depth)

    def _made(self, value, depth):
        """Resolves a value that is not part of the pickle itself."""
        self.made.append(value)
        return self.resolve(value, depth)


_NETWORK = ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set")


def checked(value, kind):
    if not isinstance(value, kind):
        raise ValueError(f"a {type(value).__name__} in an unexpected place")
    return value


def checked_shape(value) -> tuple[int, ...]:
    shape = tuple(checked(value, (tuple, list)))
    for n in shape:
        if not isinstance(n, int) or n < 0:
            raise ValueError(f"the shape {shape!r:.60}")
    if len(shape) > _MAX_DIMENSIONS or math.prod(shape) > MAX_ELEMENTS:
        raise ValueError(f"the shape {shape!r:.60} is too large")
    return shape


def checked_bytes(value) -> bytes:
    if isinstance(value, str):  # a byte string of Python 2
        return value.encode("latin1")
    return bytes(checked(value, (bytes, bytearray)))
