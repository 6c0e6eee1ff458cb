"""Reads pickles of weights without running what they ask for.

A pickle is a program for a small stack machine. Here only the instructions that build
plain containers are carried out; the few functions that PyTorch, NumPy and NVIDIA's
networks call are names in a table, everything else is refused.
"""

import dataclasses
import math
import pickletools
from collections.abc import Callable
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np

MAX_OPERATIONS = 2_000_000  # a checkpoint of 600 tensors takes 20,000
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
    """One of NVIDIA's networks: the class's name and its attributes, no code."""

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
            for group in ("_parameters", "_buffers"):
                for name, value in (state.get(group) or {}).items():
                    if isinstance(value, np.ndarray):
                        found[f"{root}{name}"] = value
            for name, child in (state.get("_modules") or {}).items():
                if child is not None:
                    stack.append((f"{root}{name}.", child, depth + 1))
            if len(found) + len(stack) > 100_000:
                raise ValueError("more than 100,000 tensors")
        return found


@dataclasses.dataclass(frozen=True)
class _Global:
    module: str
    name: str

    def __str__(self):
        return f"{self.module}.{self.name}"


@dataclasses.dataclass(eq=False)
class _DType:
    code: str
    order: str = "<"

    def numpy(self):
        if self.code[:1] not in "fiub" or self.code[1:] not in ("1", "2", "4", "8"):
            raise ValueError(f"arrays of type {self.code!r:.20} are not read")
        return np.dtype(self.code).newbyteorder(self.order)


@dataclasses.dataclass(eq=False)
class _Array:
    state: tuple = ()

    def array(self):
        _, shape, dtype, fortran, raw = self.state
        shape = _shape(shape)
        if dtype.code in ("O", "O8"):
            return self._objects(shape, raw)
        data = np.frombuffer(_bytes(raw), dtype.numpy())
        if data.size != math.prod(shape):
            raise ValueError(f"an array of shape {shape} with {data.size} numbers")
        return data.reshape(shape, order="F" if fortran else "C")

    @staticmethod
    def _objects(shape, raw):
        if not isinstance(raw, list) or len(shape) > 1 or len(raw) != math.prod(shape):
            raise ValueError("an array of objects that is not a plain list")
        return raw if shape else raw[0]


class _Fields(dict):
    """A namespace: its state becomes its items."""


def load(
    file: BinaryIO,
    persistent: Callable[[Any], Storage] | None = None,
    nested: Callable[[bytes], Storage] | None = None,
) -> Any:
    """Reads one pickle from where `file` stands.

    Args:
        file: with read, readline and tell.
        persistent: the storage for a persistent id.
        nested: the storage in a PyTorch file that is inside the pickle.

    Returns:
        The raw object, to be given to `resolve`.

    Raises:
        ValueError (or what damaged bytes make the parser raise: see `DAMAGE`).
    """
    machine = _Machine(persistent, nested)
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if count > MAX_OPERATIONS:
            raise ValueError(f"more than {MAX_OPERATIONS:,} pickle instructions")
        if opcode.name == "STOP":
            return machine.pop()
        machine.step(opcode.name, argument)
    raise ValueError("the pickle has no end")


# What reading damaged bytes may raise besides ValueError.
DAMAGE = (EOFError, IndexError, KeyError, TypeError, AttributeError, OverflowError,
          MemoryError, RecursionError, SyntaxError)  # fmt: skip


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

    def resolve(self, value, depth):
        if value is None or isinstance(value, (bool, int, float, str, bytes)):
            return value
        key = id(value)
        if key not in self.done:
            if depth > MAX_DEPTH:
                raise ValueError(f"nested deeper than {MAX_DEPTH}, or in a circle")
            self.done[key] = self._convert(value, depth + 1)
        return self.done[key]

    def _convert(self, value, depth):
        if isinstance(value, dict):
            return {k: self.resolve(v, depth) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self.resolve(v, depth) for v in value)
        if isinstance(value, Tensor):
            view = (id(value.storage), value.offset, value.shape, value.strides)
            if view not in self.views:
                self.views[view] = value.array()
            return self.views[view]
        if isinstance(value, _Array):
            array = value.array()
            plain = isinstance(array, np.ndarray)
            return array if plain else self.resolve(array, depth)
        if isinstance(value, Module):
            return Module(value.class_name, self.resolve(value.state, depth))
        if isinstance(value, (_Global, _DType)):
            return str(value)
        raise ValueError(f"a {type(value).__name__.strip('_')} in an unexpected place")


class _Machine:
    """The stack machine. A mark is a stack of its own."""

    def __init__(self, persistent, nested):
        self.persistent, self.nested = persistent, nested
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def pop(self):
        if not self.stack:
            raise ValueError("the pickle's stack is empty")
        return self.stack.pop()

    def pop_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.outer.pop()
        return items

    def step(self, name, argument):
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif name not in ("PROTO", "FRAME"):
            action = getattr(self, f"_{name.lower()}", None)
            if action is None:
                raise ValueError(f"the pickle instruction {name} is not carried out")
            if argument is None:
                action()
            else:
                action(argument)

    def _mark(self):
        self.outer.append(self.stack)
        self.stack = []

    def _pop_mark(self):
        self.pop_mark()

    def _pop(self):
        self.pop()

    def _dup(self):
        self.stack.append(self.stack[-1])

    def _tuple(self):
        items = self.pop_mark()
        self.stack.append(tuple(items))

    def _list(self):
        items = self.pop_mark()
        self.stack.append(items)

    def _dict(self):
        items = self.pop_mark()
        self.stack.append({})
        self._fill(items)

    def _tuple1(self):
        self._take(1)

    def _tuple2(self):
        self._take(2)

    def _tuple3(self):
        self._take(3)

    def _take(self, n):
        items = [self.pop() for _ in range(n)]
        self.stack.append(tuple(reversed(items)))

    def _append(self):
        value = self.pop()
        _checked(self.stack[-1], list).append(value)

    def _appends(self):
        items = self.pop_mark()
        _checked(self.stack[-1], list).extend(items)

    # a set is read as a list
    _additems = _appends

    def _setitem(self):
        value, key = self.pop(), self.pop()
        self._fill([key, value])

    def _setitems(self):
        self._fill(self.pop_mark())

    def _fill(self, items):
        target = _checked(self.stack[-1], dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Keys of other types could be made to hash slowly, or too deeply.
            target[_checked(key, (str, int, bytes))] = value

    def _global(self, argument):
        module, _, name = argument.partition(" ")
        self.stack.append(_allowed(module, name))

    def _stack_global(self):
        name, module = self.pop(), self.pop()
        self.stack.append(_allowed(_checked(module, str), _checked(name, str)))

    def _binpersid(self):
        pid = self.pop()
        if self.persistent is None:
            raise ValueError("a reference to data that is not in the file")
        self.stack.append(self.persistent(pid))

    def _reduce(self):
        arguments, function = _checked(self.pop(), tuple), self.pop()
        if function == _NESTED and self.nested is not None:
            self.stack.append(self.nested(_bytes(*arguments)))
        elif isinstance(function, _Global) and function in _CALLS:
            self.stack.append(_CALLS[function](*arguments))
        else:
            raise ValueError(f"a call of {str(function)!r:.60}")

    _newobj = _reduce

    def _build(self):
        state, target = self.pop(), self.stack[-1]
        if isinstance(target, _Fields):
            target.update(_checked(state, dict))
        elif isinstance(target, _DType):
            order = state[1]
            target.order = order if order in ("<", ">", "|") else "<"
        elif isinstance(target, _Array):
            if target.state or len(_checked(state, tuple)) != 5:
                raise ValueError("a damaged array")
            _checked(state[2], _DType)
            target.state = state
        elif not isinstance(target, dict):  # OrderedDict's own attributes: not needed
            raise ValueError(f"state for a {type(target).__name__.strip('_')}")


_LITERALS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT",
    "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE",
    "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
}  # fmt: skip
_CONSTANTS = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": list,
}


def _allowed(module: str, name: str) -> _Global:
    known = _Global(module, name)
    if known in _CALLS or known in _NAMES:
        return known
    if module.startswith("dnnlib.tflib"):
        raise ValueError(
            "a TensorFlow network; NVIDIA's legacy.py makes a PyTorch .pkl of it"
        )
    raise ValueError(
        f"it asks for {f'{module}.{name}'!r:.80}, and only tensors and plain "
        "containers are read: save the state dict alone"
    )


def _checked(value, kind):
    if not isinstance(value, kind):
        raise ValueError(f"a {type(value).__name__} in an unexpected place")
    return value


def _shape(value) -> tuple[int, ...]:
    shape = tuple(_checked(value, (tuple, list)))
    for n in shape:
        if not isinstance(n, int) or n < 0:
            raise ValueError(f"the shape {shape!r:.60}")
    if len(shape) > _MAX_DIMENSIONS or math.prod(shape) > MAX_ELEMENTS:
        raise ValueError(f"the shape {shape!r:.60} is too large")
    return shape


def _bytes(value) -> bytes:
    if isinstance(value, str):  # a byte string of Python 2
        return value.encode("latin1")
    return _checked(value, bytes)


def _ordered_dict(items=()):
    target = {}
    for key, value in _checked(items, (list, tuple)):
        target[_checked(key, (str, int, bytes))] = value
    return target


def _tensor(storage, offset, shape, strides, *_):
    shape, strides = _shape(shape), tuple(_checked(strides, (tuple, list)))
    if len(shape) != len(strides):
        raise ValueError(f"the shape {shape} with the strides {strides!r:.60}")
    if not all(isinstance(s, int) and 0 <= s < 2**48 for s in (offset, *strides)):
        raise ValueError(f"the offset {offset!r:.20} and strides {strides!r:.60}")
    return Tensor(_checked(storage, Storage), offset, shape, strides)


def _persistent_object(meta):
    """NVIDIA's networks carry their source code along; it is dropped here."""
    meta = _checked(meta, dict)
    name = meta.get("class_name")
    return Module(_checked(name, str), meta.get("state"))


def _scalar(dtype, raw):
    return np.frombuffer(_bytes(raw), _checked(dtype, _DType).numpy())[0].item()


def _encode(text, encoding):
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"the encoding {encoding!r:.20}")
    return _checked(text, str).encode("latin1")


_NESTED = _Global("torch.storage", "_load_from_bytes")
_CALLS: dict[_Global, Callable[..., Any]] = {
    _Global("collections", "OrderedDict"): _ordered_dict,
    _Global("dnnlib.util", "EasyDict"): _ordered_dict,
    _Global("argparse", "Namespace"): lambda: _Fields(),
    _Global("torch", "Size"): lambda sizes=(): _shape(sizes),
    _Global("torch", "device"): lambda kind, *index: ":".join(map(str, (kind, *index))),
    _Global("torch._utils", "_rebuild_tensor"): _tensor,
    _Global("torch._utils", "_rebuild_tensor_v2"): _tensor,
    _Global("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
    _Global("torch_utils.persistence", "_reconstruct_persistent_obj"): (
        _persistent_object
    ),
    _Global("numpy", "dtype"): lambda code, *_: _DType(_checked(code, str)),
    _Global("_codecs", "encode"): _encode,
}
for _numpy in ("numpy.core.multiarray", "numpy._core.multiarray"):
    _CALLS[_Global(_numpy, "_reconstruct")] = lambda *_: _Array()
    _CALLS[_Global(_numpy, "scalar")] = _scalar
for _builtins in ("builtins", "__builtin__"):
    _CALLS[_Global(_builtins, "set")] = lambda items=(): list(items)
    _CALLS[_Global(_builtins, "bytes")] = lambda data=b"": _bytes(data)
# Names that are not called, or not here.
_NAMES = {
    _NESTED,
    _Global("numpy", "ndarray"),
    *(_Global("torch", s) for s in STORAGES),
    *(
        _Global("torch", t)
        for t in ("float32", "float16", "float64", "bfloat16", "int64", "uint8", "bool")
    ),
}


def storage_type(value) -> np.dtype:
    """The numbers' type for the class that a persistent id names."""
    if not isinstance(value, _Global) or value.name not in STORAGES:
        raise ValueError(f"a storage of type {str(value)!r:.40}")
    return np.dtype(STORAGES[value.name])
