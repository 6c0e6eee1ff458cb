"""Parameters by path: every leaf has a name like `synthesis/b64/conv0/weight`."""

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
    """The flat entries whose whole path matches the regular expression."""
    found = {k: v for k, v in flatten(tree).items() if re.fullmatch(pattern, k)}
    if not found:
        raise ValueError(f"no parameter path matches {pattern!r}")
    return found


def merge(reference: dict[str, Any], given: dict[str, Any], what: str = "parameters"):
    """`given` in the structure of `reference`, refusing any difference.

    Args:
        reference: nested dict of arrays or `jax.ShapeDtypeStruct`s.
        given: nested dict of arrays.
        what: the name used in the error.

    Returns:
        Nested dict with the leaves of `given` in the dtypes of `reference`.

    Raises:
        ValueError: lists missing paths (−), unexpected paths (+) and shapes (≠).
    """
    want, have = flatten(reference), flatten(given)
    lines = [f"− {k} {tuple(want[k].shape)}" for k in sorted(want.keys() - have.keys())]
    lines += [f"+ {k} {np.shape(have[k])}" for k in sorted(have.keys() - want.keys())]
    lines += [
        f"≠ {k} {np.shape(have[k])}, expected {tuple(want[k].shape)}"
        for k in sorted(want.keys() & have.keys())
        if np.shape(have[k]) != tuple(want[k].shape)
    ]
    if lines:
        shown = "\n  ".join(
            lines[:20] + [f"… and {len(lines) - 20} more"] * (len(lines) > 20)
        )
        raise ValueError(
            f"{what} do not fit the network (− missing, + unexpected):\n  {shown}"
        )
    return unflatten({k: have[k].astype(want[k].dtype, copy=False) for k in want})


def count(tree: Any) -> int:
    """Number of elements in all leaves (arrays or shapes)."""
    return sum(int(np.prod(x.shape)) for x in jax.tree.leaves(tree))


def sha256(tree: dict[str, Any]) -> str:
    """Names the content of a nested dict of arrays, whatever their float types."""
    digest = hashlib.sha256()
    for path, value in sorted(flatten(tree).items()):
        value = np.asarray(value, np.float32)
        digest.update(f"{path} {value.shape}\n".encode() + value.tobytes())
    return digest.hexdigest()
