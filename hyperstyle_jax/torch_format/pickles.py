"""Reads pickles of weights without running what they ask for.

A pickle is a program for a small stack machine. Here only the instructions that build
plain containers are carried out. No class is imported and nothing of the file is
called: a few functions of PyTorch, NumPy and NVIDIA's networks are carried out by own
code (`pickle_calls`), every other class becomes a description of its object.
"""

import pickletools
from collections.abc import Callable
from typing import Any, BinaryIO

from hyperstyle_jax.torch_format import objects, pickle_calls
from hyperstyle_jax.torch_format.objects import Object
from hyperstyle_jax.torch_format.pickle_values import (
    Array,
    DType,
    Fields,
    Global,
    Storage,
    checked,
    checked_bytes,
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
        """What the list on top of the stack holds, or the object of a list's kind."""
        target = self.stack[-1]
        return target.items if isinstance(target, Object) else checked(target, list)

    # a set is read as a list
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
        if function == pickle_calls.NESTED and self.nested is not None:
            self.stack.append(self.nested(checked_bytes(*arguments)))
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
        elif not isinstance(target, (dict, list)):  # attributes of a container: dropped
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


def _allowed(module: str, name: str) -> Global:
    if module.startswith("dnnlib.tflib"):
        raise ValueError(
            "a TensorFlow network; NVIDIA's legacy.py makes a PyTorch .pkl of it"
        )
    if module.startswith("joblib."):
        raise ValueError("a joblib file: load it with joblib, save it with numpy.save")
    if objects.is_refused(module, name):
        raise ValueError(
            f"it asks for {f'{module}.{name}'!r:.80}, which no file of weights needs: "
            "do not trust it"
        )
    return Global(module, name)
