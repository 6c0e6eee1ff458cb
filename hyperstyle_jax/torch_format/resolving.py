"""Turns the raw objects of a pickle into plain containers, arrays and networks."""

from typing import Any

import numpy as np

from hyperstyle_jax.torch_format import objects
from hyperstyle_jax.torch_format.objects import Object
from hyperstyle_jax.torch_format.pickle_values import (
    MAX_DEPTH,
    Array,
    DType,
    Global,
    Module,
    Storage,
    Tensor,
)

# The attributes of a network that make its state dict.
_NETWORK = ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set")


def resolve(value: Any) -> Any:
    """Turns raw objects into dicts, lists, tuples, scalars, arrays and `Module`s.

    Raises:
        ValueError: objects that are damaged, too deep, or in a circle.
    """
    return _Resolver().resolve(value, 0)


_SCRIPTED = "__torch__."  # before the names of TorchScript's classes


def _parts(fields: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a TorchScript network, laid out as those of any other."""
    tensors = {k: v for k, v in fields.items() if isinstance(v, Tensor)}
    modules = {k: v for k, v in fields.items() if isinstance(v, Object)}
    return {"_parameters": tensors, "_buffers": {}, "_modules": modules}


class _Resolver:
    """Converts each object once, however often it is referred to.

    Equal views of one storage become one array, which shows that they are shared.
    """

    def __init__(self):
        self.resolved: dict[int, Any] = {}  # by the id of the raw object
        self.views: dict[Any, np.ndarray] = {}
        self.open: set[int] = set()
        # Kept alive, since another object could get the id of one that is freed.
        self.temporary: list[Any] = []
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
        if key not in self.resolved:
            if depth > MAX_DEPTH or key in self.open:
                return self._too_deep()
            self.open.add(key)
            self.resolved[key] = self._convert(value, depth + 1)
            self.open.discard(key)
        return self.resolved[key]

    def _too_deep(self):
        """A mark inside an object of an unknown class, which may hold itself."""
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
            is_array = isinstance(array, np.ndarray)
            return array if is_array else self._resolve_temporary(array, depth)
        if isinstance(value, np.ndarray):
            return value
        if isinstance(value, Module):
            return Module(value.class_name, self._network(value.state, depth))
        if isinstance(value, Storage):
            return Tensor(value, 0, (value.size,), (1,)).array()
        if isinstance(value, (Global, DType)):
            return str(value)
        raise ValueError(f"a {type(value).__name__.strip('_')} in an unexpected place")

    def _object(self, value, depth):
        """A `Module` for an object with a network's attributes, else plain values."""
        fields = value.fields() or {}
        if "_parameters" in fields and "_modules" in fields:
            return Module(value.class_name, self._network(fields, depth))
        if value.class_name.startswith(_SCRIPTED):
            return Module(value.class_name, self._network(_parts(fields), depth))
        self.inside_objects += 1
        result = self._resolve_temporary(objects.plain(value), depth)
        self.inside_objects -= 1
        return result

    def _network(self, state, depth):
        """The attributes of a network that make its state dict."""
        if not isinstance(state, dict):
            return None
        attributes = {k: state[k] for k in _NETWORK if k in state}
        return self._resolve_temporary(attributes, depth)

    def _resolve_temporary(self, value, depth):
        """Resolves an object that was made here and is not part of the pickle."""
        self.temporary.append(value)
        return self.resolve(value, depth)
