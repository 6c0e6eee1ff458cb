"""Trees of parameters whose leaves have paths, as `synthesis/b64/conv0/weight`."""

import hashlib
import re
from typing import Any

import jax
import numpy as np
from flax import traverse_util


def flatten(tree: dict[str, Any]) -> dict[str, Any]:
    """Nested dict → `{"a/b/c": leaf}`."""
    return traverse_util.flatten_dict(tree, sep="/")


def unflatten(flat: dict[str, Any]) -> dict[str, Any]:
    """`{"a/b/c": leaf}` → nested dict."""
    return traverse_util.unflatten_dict(flat, sep="/")


def select(tree: dict[str, Any], pattern: str) -> dict[str, Any]:
    """Selects leaves by their paths.

    Args:
        tree: nested dict.
        pattern: regular expression for whole paths.

    Returns:
        {path: leaf}.

    Raises:
        ValueError: no path matches.
    """
    selected = {k: v for k, v in flatten(tree).items() if re.fullmatch(pattern, k)}
    if not selected:
        raise ValueError(f"no parameter path matches {pattern!r}")
    return selected


def merge(reference: dict[str, Any], given: dict[str, Any], what: str = "parameters"):
    """Gives arrays the order and dtypes of a reference, and refuses all differences.

    Args:
        reference: nested dict of arrays or `jax.ShapeDtypeStruct`s.
        given: nested dict of arrays.
        what: their name in the error.

    Returns:
        Nested dict with the leaves of `given` in the dtypes of `reference`.

    Raises:
        ValueError: lists missing paths (−), unexpected paths (+) and shapes (≠).
    """
    expected, arrays = flatten(reference), flatten(given)
    shapes = {path: tuple(leaf.shape) for path, leaf in expected.items()}
    lines = [f"− {k} {shapes[k]}" for k in sorted(shapes.keys() - arrays.keys())]
    lines += [
        f"+ {k} {np.shape(arrays[k])}" for k in sorted(arrays.keys() - shapes.keys())
    ]
    lines += [
        f"≠ {k} {np.shape(arrays[k])}, expected {shapes[k]}"
        for k in sorted(shapes.keys() & arrays.keys())
        if np.shape(arrays[k]) != shapes[k]
    ]
    if lines:
        listing = "\n  ".join(
            lines[:20] + [f"… and {len(lines) - 20} more"] * (len(lines) > 20)
        )
        raise ValueError(
            f"{what} do not fit the network (− missing, + unexpected):\n  {listing}"
        )
    return unflatten(
        {k: arrays[k].astype(leaf.dtype, copy=False) for k, leaf in expected.items()}
    )


def count(tree: Any) -> int:
    """The number of elements in all leaves, which are arrays or shapes."""
    return sum(int(np.prod(x.shape)) for x in jax.tree.leaves(tree))


def sha256(tree: dict[str, Any]) -> str:
    """Names the content of a nested dict of arrays, whatever their float types."""
    digest = hashlib.sha256()
    for path, value in sorted(flatten(tree).items()):
        value = np.asarray(value, np.float32)
        digest.update(f"{path} {value.shape}\n".encode() + value.tobytes())
    return digest.hexdigest()
