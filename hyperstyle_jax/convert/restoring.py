"""A bundle → files in the official layouts; converted ones come back bit for bit."""

import json
import math
import os
from pathlib import Path
from typing import Any

import jax
import ml_dtypes
import numpy as np

from hyperstyle_jax import trees
from hyperstyle_jax.convert import layouts, official
from hyperstyle_jax.convert.conversion import EXACT, NOTE, OFFICIAL, Log
from hyperstyle_jax.convert.layouts import Rule
from hyperstyle_jax.torch_format import files as torch_files
from hyperstyle_jax.weights import bundle


def restore(path: str | os.PathLike) -> dict[str, Any]:
    """The official files' contents by name, out of a bundle made by `convert`.

    Raises:
        ValueError: the bundle was not converted from official files.
    """
    folder = bundle.find(path)
    if not (folder / OFFICIAL).is_file():
        raise ValueError(f"{folder} has no {OFFICIAL}: it was not converted")
    content = torch_files.read(folder / OFFICIAL)
    nets = bundle.load(folder).nets
    arrays = {role: trees.flatten(net.variables) for role, net in nets.items()}
    return restore_values(content, arrays)


def restore_values(content, arrays) -> dict[str, Any]:
    """The files' contents with every note replaced by the tensor that it names."""
    made: dict[str, np.ndarray] = {}

    def walk(value):
        if isinstance(value, dict) and NOTE in value:
            key = json.dumps(value[NOTE])
            if key not in made:
                made[key] = _tensor(arrays, *value[NOTE])
            return made[key]  # the same object for aliases: one storage
        if isinstance(value, dict):
            return {k: walk(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(walk(v) for v in value)
        return value

    names = _unique([entry["name"] for entry in content["sources"]])
    values = [walk(entry["value"]) for entry in content["sources"]]
    return dict(zip(names, values, strict=True))


def _tensor(arrays, role, path, layout, sizes, dtype):
    if role not in arrays or path not in arrays[role] or dtype not in EXACT:
        raise ValueError(f"{OFFICIAL} names {role}/{path}, which the bundle lacks")
    rule = Rule("tensor", path, layout, sizes)
    table = layouts.invert([rule], {path: np.asarray(arrays[role][path])})
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    return table["tensor"].astype(kind, copy=False)


def _unique(names: list[str]) -> list[str]:
    """Names that occur twice get a number."""
    return [
        name if names.count(name) == 1 else f"{name}_{names[: i + 1].count(name)}"
        for i, name in enumerate(names)
    ]


def export(path: str | os.PathLike, out: str | os.PathLike, log: Log = print):
    """Writes a bundle's networks as PyTorch files in the official layouts.

    Args:
        path: the bundle.
        out: the .pt file; a folder where there are several of them.
        log: told what is written, and what has no official layout and stays behind.

    Raises:
        ValueError: not a bundle, or nothing in it has an official layout.
    """
    left = {}
    if (bundle.find(path) / OFFICIAL).is_file():
        values = restore(path)
    else:
        loaded = bundle.load(path)
        values, left = official.contents(loaded.nets, loaded.directions)
    out = Path(out)
    single = len(values) == 1
    for name, value in values.items():
        file = out if single else out / f"{name}.pt"
        file.parent.mkdir(parents=True, exist_ok=True)
        torch_files.write(file, value)
        log(f"{file}: {_count(value):,} numbers")
    if left:
        reasons = "; ".join(f"{role} ({why})" for role, why in left.items())
        log(f"stays behind: {reasons}")


def _count(value) -> int:
    """Numbers in all arrays; keys of the dicts may be of any kind."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return sum(map(_count, value))
    return math.prod(value.shape) if isinstance(value, (np.ndarray, jax.Array)) else 0
