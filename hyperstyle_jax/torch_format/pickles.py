"""Reads pickles of weights without running what they ask for.

A pickle is a program for a small stack machine. Only the instructions that build plain
containers are carried out here. No class is imported and nothing of the file is called:
a few functions of PyTorch, NumPy and NVIDIA's networks are replaced by ours
(`pickle_calls`), an object of any other class by a description of it.
"""

import pickletools
from collections.abc import Callable
from typing import Any, BinaryIO

from hyperstyle_jax.torch_format import pickle_calls
from hyperstyle_jax.torch_format.objects import Object
from hyperstyle_jax.torch_format.pickle_values import (
    Array,
    DType,
    Fields,
    Storage,
    checked,
    checked_bytes,
)

MAX_OPERATIONS = 2_000_000  # a checkpoint of 600 tensors takes 20,000


def load(
    file: BinaryIO,
    persistent_load: Callable[[Any], Storage] | None = None,
    load_storage: Callable[[bytes], Storage] | None = None,
) -> Any:
    """Reads the pickle at the current position of a file.

    Args:
        file: with read, readline and tell.
        persistent_load: returns the storage for a persistent id.
        load_storage: returns the storage of a PyTorch file inside the pickle.

    Returns:
        The raw object, to be given to `resolving.resolve`.

    Raises:
        ValueError: an instruction or a call that is not carried out. Damaged bytes may
            raise one of `DAMAGE` instead.
    """
    machine = _Machine(persistent_load, load_storage)
    for count, (opcode, argument, _) in enumerate(_instructions(file)):
        if count > MAX_OPERATIONS:
            raise ValueError(f"more than {MAX_OPERATIONS:,} pickle instructions")
        if opcode.name == "STOP":
            return machine.pop()
        machine.step(opcode.name, argument)
    raise ValueError("the pickle has no end")


def _instructions(file: BinaryIO):
    try:
        yield from pickletools.genops(file)
    except ValueError as error:
        raise ValueError(f"it is damaged or cut off ({error})") from None


# What reading damaged bytes may raise besides ValueError.
DAMAGE = (EOFError, IndexError, KeyError, TypeError, AttributeError, OverflowError,
          RecursionError, SyntaxError, NotImplementedError)  # fmt: skip


class _Machine:
    """The stack machine. A mark begins a new stack on top of the outer ones."""

    def __init__(self, persistent_load, load_storage):
        self.persistent_load, self.load_storage = persistent_load, load_storage
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def pop(self):
        """Takes the last object off the stack."""
        if not self.stack:
            raise ValueError("the pickle's stack is empty")
        return self.stack.pop()

    def pop_mark(self) -> list[Any]:
        """Takes all objects since the last mark."""
        items, self.stack = self.stack, self.outer.pop()
        return items

    def step(self, name, argument):
        """Carries out one instruction; a method has the name of each larger one."""
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

    def _frozenset(self):
        items = self.pop_mark()
        self.stack.append(items)

    def _readonly_buffer(self):
        checked(self.stack[-1], (bytes, bytearray))

    def _next_buffer(self):
        raise ValueError("its numbers are in another file (pickle buffers)")

    def _append(self):
        value = self.pop()
        self._items().append(value)

    def _appends(self):
        items = self.pop_mark()
        self._items().extend(items)

    def _items(self) -> list:
        """The items of the list, or of the list-like object, on top of the stack."""
        target = self.stack[-1]
        return target.items if isinstance(target, Object) else checked(target, list)

    # A set is read as a list.
    _additems = _appends

    def _setitem(self):
        value, key = self.pop(), self.pop()
        self._fill([key, value])

    def _setitems(self):
        self._fill(self.pop_mark())

    def _fill(self, items):
        target = self.stack[-1]
        target = target.pairs if isinstance(target, Object) else checked(target, dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[pickle_calls.key(key)] = value

    def _global(self, argument):
        module, _, name = argument.partition(" ")
        self.stack.append(pickle_calls.allowed_global(module, name))

    def _stack_global(self):
        name, module = self.pop(), self.pop()
        reference = checked(module, str), checked(name, str)
        self.stack.append(pickle_calls.allowed_global(*reference))

    def _binpersid(self):
        pid = self.pop()
        if self.persistent_load is None:
            raise ValueError("a reference to data that is not in the file")
        self.stack.append(self.persistent_load(pid))

    def _reduce(self):
        arguments, function = checked(self.pop(), tuple), self.pop()
        if function == pickle_calls.LOAD_STORAGE and self.load_storage is not None:
            self.stack.append(self.load_storage(checked_bytes(*arguments)))
        else:
            self.stack.append(pickle_calls.call(function, arguments))

    _newobj = _reduce

    def _newobj_ex(self):
        self.pop()  # keyword arguments
        self._reduce()

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
        elif isinstance(target, Object):
            target.state = state
        elif not isinstance(target, (dict, list)):  # their attributes are dropped
            raise ValueError(f"state for a {type(target).__name__.strip('_')}")


_LITERALS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT",
    "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE",
    "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
    "BYTEARRAY8",
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
