"""Writes bundles as official files; what was converted comes back bit for bit."""

import math
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np

from hyperstyle_jax import trees
from hyperstyle_jax.convert import notes, official
from hyperstyle_jax.convert.defaults import Log
from hyperstyle_jax.torch_format import files as torch_files
from hyperstyle_jax.weights import bundle


def restore(path: str | os.PathLike) -> dict[str, Any]:
    """The official files' contents by name, out of a converted bundle.

    Raises:
        ValueError: the bundle was not converted from official files.
    """
    folder = bundle.find(path)
    if not (folder / notes.FILE).is_file():
        raise ValueError(f"{folder} has no {notes.FILE}: it was not converted")
    content = torch_files.read(folder / notes.FILE)
    nets = bundle.load(folder).nets
    arrays = {role: trees.flatten(net.variables) for role, net in nets.items()}
    return notes.restore(content, arrays)


def export(path: str | os.PathLike, out: str | os.PathLike, log: Log = print):
    """Writes a bundle's networks as PyTorch files in the official layouts.

    Args:
        path: the bundle.
        out: the .pt file; a folder where there are several of them.
        log: told what is written, and what has no official layout and stays behind.

    Raises:
        ValueError: not a bundle, or nothing in it has an official layout.
    """
    stays_behind: dict[str, str] = {}
    if (bundle.find(path) / notes.FILE).is_file():
        files = restore(path)
    else:
        loaded = bundle.load(path)
        files, stays_behind = official.contents(loaded.nets, loaded.directions)
    out = Path(out)
    for name, value in files.items():
        file = out if len(files) == 1 else out / f"{name}.pt"
        file.parent.mkdir(parents=True, exist_ok=True)
        torch_files.write(file, value)
        log(f"{file}: {_count(value):,} numbers")
    if stays_behind:
        reasons = "; ".join(f"{role} ({why})" for role, why in stays_behind.items())
        log(f"stays behind: {reasons}")


def _count(value) -> int:
    """Counts the numbers in all arrays; keys of the dicts may be of any kind."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return sum(map(_count, value))
    return math.prod(value.shape) if isinstance(value, (np.ndarray, jax.Array)) else 0
