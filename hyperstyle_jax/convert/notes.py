"""official.pt: what makes the official files again out of a bundle, bit for bit.

It holds the content of the official files with every tensor that a network holds
replaced by a note where it is. What our networks do not need (counters, options,
classifiers, filters) stays there as it was.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from hyperstyle_jax.convert import layouts
from hyperstyle_jax.convert.layouts import Rule
from hyperstyle_jax.torch_format.pickle_writer import storable

FILE = "official.pt"
NOTE = "hyperstyle_jax"  # the key that marks a note
_EXACT = ("float32", "float16", "bfloat16")  # types that float32 holds without loss

Arrays = Mapping[str, Mapping[str, np.ndarray]]


def make(role: str, rule: Rule, dtype: np.dtype) -> dict[str, Any] | None:
    """A note that stands for a tensor; None where float32 does not hold its type.

    Args:
        role: of the network that holds it.
        rule: the row that carried it over.
        dtype: of the official tensor.
    """
    if dtype.name not in _EXACT:
        return None
    return {NOTE: [role, rule.path, rule.layout, dict(rule.sizes), dtype.name]}


def contents(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The content of official.pt.

    Args:
        entries: for each file its `name`, `kind` and `value`, as `replace` returns it.
    """
    return {"format": 1, "sources": list(entries)}


def replace(value: Any, notes: Mapping[tuple, Any], place: tuple = ()) -> Any:
    """A file's content with notes in place of tensors.

    Args:
        value: the content.
        notes: by their places in the file.
        place: of `value` in the file.
    """
    if place in notes:
        return notes[place]
    if isinstance(value, dict):
        return {k: replace(v, notes, (*place, k)) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(replace(v, notes, (*place, i)) for i, v in enumerate(value))
    return storable(value) if isinstance(value, np.ndarray) else value


def restore(content: Mapping[str, Any], arrays: Arrays) -> dict[str, Any]:
    """The official files' contents by name, with the tensors that the notes name.

    Args:
        content: of official.pt.
        arrays: of the bundle's networks, {role: {path: array}}.

    Raises:
        ValueError: a note names an array that the bundle lacks.
    """
    tensors: dict[str, np.ndarray] = {}

    def walk(value):
        if isinstance(value, dict) and NOTE in value:
            key = json.dumps(value[NOTE])
            if key not in tensors:
                tensors[key] = _tensor(arrays, *value[NOTE])
            return tensors[key]  # the same object for aliases: one storage
        if isinstance(value, dict):
            return {k: walk(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(walk(v) for v in value)
        return value

    names = _unique([entry["name"] for entry in content["sources"]])
    values = [walk(entry["value"]) for entry in content["sources"]]
    return dict(zip(names, values, strict=True))


def _tensor(arrays: Arrays, role, path, layout, sizes, dtype) -> np.ndarray:
    if role not in arrays or path not in arrays[role] or dtype not in _EXACT:
        raise ValueError(f"{FILE} names {role}/{path}, which the bundle lacks")
    rule = Rule("tensor", path, layout, sizes)
    tensors = layouts.invert([rule], {path: np.asarray(arrays[role][path])})
    numpy_dtype = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    return tensors["tensor"].astype(numpy_dtype, copy=False)


def _unique(names: list[str]) -> list[str]:
    """Names that occur twice get a number."""
    return [
        name if names.count(name) == 1 else f"{name}_{names[: i + 1].count(name)}"
        for i, name in enumerate(names)
    ]
