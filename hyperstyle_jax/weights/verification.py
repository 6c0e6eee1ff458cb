"""Checks every file of a bundle: checksums, sizes, shapes, and that numbers are finite.

`bundle.load` stops at the first fault; `verify` lists all of them.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hyperstyle_jax import trees
from hyperstyle_jax.system import atomic_files
from hyperstyle_jax.weights import bundle, manifests, safetensors_reader, specs


class Checked(NamedTuple):
    """One file: its name, what it holds, and its fault, "" if there is none."""

    name: str
    content: str
    fault: str = ""


def verify(path: str | os.PathLike) -> Iterator[Checked]:
    """Checks the files of a bundle one by one.

    Args:
        path: a folder, or the name of a shipped bundle.

    Yields:
        A `Checked` for each file that bundle.json lists.

    Raises:
        ValueError: not a bundle, or bundle.json is damaged.
    """
    folder = bundle.find(path)
    manifest = manifests.read(folder)
    roles = {entry["file"]: role for role, entry in manifest["networks"].items()}
    for name, recorded in manifest["files"].items():
        content, fault = "", _damage(folder / name, recorded)
        if not fault:
            try:
                content = _check(folder / name, roles.get(name), manifest)
            except ValueError as error:
                fault = str(error)
        yield Checked(name, content, fault)


def _damage(file: Path, recorded: dict[str, Any]) -> str:
    """How the bytes differ from what bundle.json says."""
    if not file.is_file():
        return "it is missing"
    size, expected = file.stat().st_size, recorded["bytes"]
    if size != expected:
        return f"it has {size:,} bytes, bundle.json says {expected:,}"
    actual, expected = atomic_files.sha256(file), recorded["sha256"]
    if actual != expected:
        return f"its sha256 is {actual[:12]}…, bundle.json says {expected[:12]}…"
    return ""


def _check(file: Path, role: str | None, manifest) -> str:
    """The content of a whole file in words.

    Raises:
        ValueError: shapes that the network does not have, or numbers that are not.
    """
    directions = manifest["directions"] or {}
    if role is None and file.name != directions.get("file"):
        return "kept as it is"
    arrays = safetensors_reader.read(file)
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} has numbers that are not finite")
    if role is None:
        _check_directions(arrays, manifest)
        return f"{len(arrays)} edit directions"
    entry = manifest["networks"][role]
    shapes = bundle.network_shapes(file, entry)
    trees.merge(shapes, arrays, file.name)
    count = sum(a.size for k, a in arrays.items() if k.startswith("params/"))
    if count != entry["parameters"]:
        raise ValueError(
            f"it has {count:,} parameters, bundle.json says {entry['parameters']:,}"
        )
    return f"{role}, {len(arrays)} tensors, {count:,} parameters"


def _check_directions(arrays, manifest):
    """Directions are added to w+ [L, D]."""
    if sorted(arrays) != sorted(manifest["directions"]["names"]):
        raise ValueError("its directions are not those that bundle.json names")
    if "generator" not in manifest["networks"]:
        return
    module = specs.module_from_spec(manifest["networks"]["generator"]["module"])
    fitting = ((module.w_dim,), (module.num_ws, module.w_dim))
    for name, array in arrays.items():
        if array.shape not in fitting:
            raise ValueError(
                f"the direction {name} has shape {array.shape}, expected "
                f"{fitting[0]} or {fitting[1]}"
            )
