"""Reads pickles of weights without running what they ask for.

A pickle is a program for a small stack machine. Here only the instructions that build
plain containers are carried out; the few functions that PyTorch, NumPy and NVIDIA's
networks call are names in a table, everything else is refused.
"""

import pickletools
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from hyperstyle_jax.torch_format.pickle_values import (
    STORAGES,
    Array,
    DType,
    Fields,
    Global,
    Module,
    Storage,
    Tensor,
    checked,
    checked_bytes,
    checked_shape,
)

MAX_OPERATIONS = 2_000_000  # a checkpoint of 600 tensors takes 20,000


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
        The raw object, to be given to `pickle_values.resolve`.

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
        checked(self.stack[-1], list).append(value)

    def _appends(self):
        items = self.pop_mark()
        checked(self.stack[-1], list).extend(items)

    # a set is read as a list
    _additems = _appends

    def _setitem(self):
        value, key = self.pop(), self.pop()
        self._fill([key, value])

    def _setitems(self):
        self._fill(self.pop_mark())

    def _fill(self, items):
        target = checked(self.stack[-1], dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Keys of other types could be made to hash slowly, or too deeply.
            target[checked(key, (str, int, bytes))] = value

    def _global(self, argument):
        module, _, name = argument.partition(" ")
        self.stack.append(_allowed(module, name))

    def _stack_global(self):
        name, module = self.pop(), self.pop()
        self.stack.append(_allowed(checked(module, str), checked(name, str)))

    def _binpersid(self):
        pid = self.pop()
        if self.persistent is None:
            raise ValueError("a reference to data that is not in the file")
        self.stack.append(self.persistent(pid))

    def _reduce(self):
        arguments, function = checked(self.pop(), tuple), self.pop()
        if function == _NESTED and self.nested is not None:
            self.stack.append(self.nested(checked_bytes(*arguments)))
        elif isinstance(function, Global) and function in _CALLS:
            self.stack.append(_CALLS[function](*arguments))
        else:
            raise ValueError(f"a call of {str(function)!r:.60}")

    _newobj = _reduce

    def _build(self):
        state, target = self.pop(), self.stack[-1]
        if isinstance(target, Fields):
            target.update(checked(state, dict))
        elif isinstance(target, DType):
            order = state[1]
            target.order = order if order in ("<", ">", "|") else "<"
        elif isinstance(target, Array):
            if target.state or len(checked(state, tuple)) != 5:
                raise ValueError("a damaged array")
            checked(state[2], DType)
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


def _allowed(module: str, name: str) -> Global:
    known = Global(module, name)
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


def _ordered_dict(items=()):
    target = {}
    for key, value in checked(items, (list, tuple)):
        target[checked(key, (str, int, bytes))] = value
    return target


def _tensor(storage, offset, shape, strides, *_):
    shape, strides = checked_shape(shape), tuple(checked(strides, (tuple, list)))
    if len(shape) != len(strides):
        raise ValueError(f"the shape {shape} with the strides {strides!r:.60}")
    if not all(isinstance(s, int) and 0 <= s < 2**48 for s in (offset, *strides)):
        raise ValueError(f"the offset {offset!r:.20} and strides {strides!r:.60}")
    return Tensor(checked(storage, Storage), offset, shape, strides)


def _persistent_object(meta):
    """NVIDIA's networks carry their source code along; it is dropped here."""
    meta = checked(meta, dict)
    name = meta.get("class_name")
    return Module(checked(name, str), meta.get("state"))


def _scalar(dtype, raw):
    return np.frombuffer(checked_bytes(raw), checked(dtype, DType).numpy())[0].item()


def _encode(text, encoding):
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"the encoding {encoding!r:.20}")
    return checked(text, str).encode("latin1")


_NESTED = Global("torch.storage", "_load_from_bytes")
_CALLS: dict[Global, Callable[..., Any]] = {
    Global("collections", "OrderedDict"): _ordered_dict,
    Global("dnnlib.util", "EasyDict"): _ordered_dict,
    Global("argparse", "Namespace"): lambda: Fields(),
    Global("torch", "Size"): lambda sizes=(): checked_shape(sizes),
    Global("torch", "device"): lambda kind, *index: ":".join(map(str, (kind, *index))),
    Global("torch._utils", "_rebuild_tensor"): _tensor,
    Global("torch._utils", "_rebuild_tensor_v2"): _tensor,
    Global("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
    Global("torch_utils.persistence", "_reconstruct_persistent_obj"): (
        _persistent_object
    ),
    Global("numpy", "dtype"): lambda code, *_: DType(checked(code, str)),
    Global("_codecs", "encode"): _encode,
}
for _numpy in ("numpy.core.multiarray", "numpy._core.multiarray"):
    _CALLS[Global(_numpy, "_reconstruct")] = lambda *_: Array()
    _CALLS[Global(_numpy, "scalar")] = _scalar
for _builtins in ("builtins", "__builtin__"):
    _CALLS[Global(_builtins, "set")] = lambda items=(): list(items)
    _CALLS[Global(_builtins, "bytes")] = lambda data=b"": checked_bytes(data)
# Names that are not called, or not here.
_NAMES = {
    _NESTED,
    Global("numpy", "ndarray"),
    *(Global("torch", s) for s in STORAGES),
    *(
        Global("torch", t)
        for t in ("float32", "float16", "float64", "bfloat16", "int64", "uint8", "bool")
    ),
}


def storage_type(value) -> np.dtype:
    """The numbers' type for the class that a persistent id names."""
    if not isinstance(value, Global) or value.name not in STORAGES:
        raise ValueError(f"a storage of type {str(value)!r:.40}")
    return np.dtype(STORAGES[value.name])
