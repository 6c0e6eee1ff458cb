"""Arrays of a bundle as safetensors files, with their checksums in bundle.json."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from hyperstyle_jax import trees
from hyperstyle_jax.net import Net
from hyperstyle_jax.system import atomic_files
from hyperstyle_jax.weights import safetensors_reader, specs
from hyperstyle_jax.weights.safetensors_writer import Lazy, save_file


def of_network(
    role: str, net: Net, inputs: specs.Inputs, dtype: str
) -> dict[str, Lazy]:
    """A network's arrays by path, checked when they are written.

    Args:
        role: of the network, for errors.
        net: the network.
        inputs: shapes of its inputs without batch axis.
        dtype: "float32" or "float16" for the parameters; all others are float32.

    Raises:
        ValueError: another dtype, or arrays that do not fit the network.
    """
    if dtype not in ("float32", "float16"):
        raise ValueError(f"dtype of {role}: {dtype!r}, expected float32 or float16")
    variables = {k: v for k, v in net.variables.items() if k in specs.COLLECTIONS}
    trees.merge(specs.shapes(net.module, inputs), variables, f"the weights of {role}")
    arrays = {}
    for path, value in trees.flatten(variables).items():
        stored = np.dtype(dtype if path.startswith("params/") else "float32")
        make = partial(_checked, f"{role}: {path}", value, stored)
        arrays[path] = Lazy(tuple(value.shape), stored, make)
    return arrays


def of_directions(directions: Mapping[str, Any]) -> dict[str, Lazy]:
    """Edit directions by name, in float32."""
    return {name: _direction(value) for name, value in directions.items()}


def _direction(value: Any) -> Lazy:
    array = _float32(value)
    return Lazy(array.shape, array.dtype, lambda: array)


def _checked(title: str, value: Any, dtype: np.dtype) -> np.ndarray:
    value = _float32(value)
    if dtype == np.float16 and np.abs(value).max(initial=0) > np.finfo(dtype).max:
        raise ValueError(f"{title} overflows float16: save as float32")
    if not np.isfinite(value).all():
        raise ValueError(f"{title} is not finite: the training went wrong")
    return value.astype(dtype, copy=False)


def _float32(value: Any) -> np.ndarray:
    return np.asarray(jax.device_get(value), dtype=np.float32)


def write(file: Path, arrays: Mapping[str, Lazy]) -> dict[str, Any]:
    """Writes arrays into a file; returns its `record`."""
    save_file(arrays, file)
    file.chmod(0o644)
    return record(file)


def record(file: Path) -> dict[str, Any]:
    """What bundle.json says of a file: {name: checksum and size}."""
    return {
        file.name: {"sha256": atomic_files.sha256(file), "bytes": file.stat().st_size}
    }


def read(file: Path, manifest: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of a file that bundle.json lists.

    Raises:
        ValueError: it is missing or damaged.
    """
    if not file.is_file():
        raise ValueError(f"{file} is missing: copy the bundle again")
    expected = manifest["files"][file.name]["sha256"]
    if (actual := atomic_files.sha256(file)) != expected:
        raise ValueError(
            f"{file} is damaged or was changed: its sha256 is {actual[:12]}…, "
            f"bundle.json says {expected[:12]}…; copy the bundle again"
        )
    return safetensors_reader.read(file)
