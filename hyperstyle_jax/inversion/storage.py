"""Stores inversions as small files of a latent and layer embeddings.

A `.npz` holds `w_plus` [L, D], `embeddings` [N, C] with the names of their `layers`
[N], `num_iters`, and the id of the `bundle` whose hypernetwork predicted them.
Separable layers have a row for each iteration: `path#0`, `path#1`, …
"""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax.inversion import hyperstyle
from hyperstyle_jax.inversion.hyperstyle import Refinement, no_embeddings
from hyperstyle_jax.offsets import Inversion, LayerEmbeddings
from hyperstyle_jax.system import atomic_files
from hyperstyle_jax.torch_format import files
from hyperstyle_jax.weights.bundle import Bundle

_NAMES = ("w_plus", "embeddings", "layers", "num_iters", "bundle")
_MAX_ITERS = 1000


class StoredInversion(NamedTuple):
    """The content of one file.

    Attributes:
        w_plus: [L, D].
        embeddings: {path: [C] or [T, C]}; {} for T = 0.
        num_iters: T, the number of iterations that the embeddings sum.
        bundle: the id of the bundle whose hypernetwork predicted them.
    """

    w_plus: np.ndarray
    embeddings: dict[str, np.ndarray]
    num_iters: int
    bundle: str


def save(
    path: str | os.PathLike, inverted: Inversion | Refinement, i: int, bundle: Bundle
) -> Path:
    """Writes one image of an inversion to a file.

    Args:
        path: of the `.npz` file.
        inverted: an inversion or its compact form.
        i: the index of the image in the batch.
        bundle: whose networks made it.

    Returns:
        The path of the file.

    Raises:
        ValueError: the inversion has weights that no layer embeddings decode to.
    """
    embeddings = inverted.embeddings or LayerEmbeddings({}, 0)
    if isinstance(inverted, Inversion):
        _check_compact(inverted)
    values = embeddings.values if embeddings.num_iters else {}
    rows = _to_rows({k: np.asarray(v[i]) for k, v in values.items()})
    arrays: dict[str, Any] = {
        "w_plus": np.asarray(inverted.w_plus[i]),
        "embeddings": np.stack([*rows.values()]) if rows else np.zeros((0, 0), "f4"),
        "layers": np.array([*rows], dtype=np.str_),
        "num_iters": np.int32(embeddings.num_iters),
        "bundle": np.str_(bundle.id),
    }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return atomic_files.write_whole(path, buffer.getvalue())


def _check_compact(inversion: Inversion):
    if inversion.replaced or (inversion.offsets and inversion.embeddings is None):
        raise ValueError(
            "this inversion has weights of its own but no layer embeddings: it cannot "
            "be saved as a small file"
        )


def load(path: str | os.PathLike) -> StoredInversion:
    """Reads one file.

    Raises:
        ValueError: not a file of an inversion, or a damaged one.
    """
    try:
        return _from_content(files.content(path))
    except ValueError as error:
        raise ValueError(
            f"{path} is not an inversion ({error}): expected a .npz file that "
            "`hyperstyle invert` wrote; invert the photo again"
        ) from None


def _from_content(content) -> StoredInversion:
    """Checks what a file contains.

    Raises:
        ValueError: says what is missing, or not as it should be.
    """
    if not isinstance(content, dict):
        raise ValueError("it holds no named arrays")
    if missing := [name for name in _NAMES if name not in content]:
        raise ValueError(f"it has no {missing[0]}")
    w_plus, rows = _floats(content, "w_plus"), _floats(content, "embeddings")
    layers, num_iters, bundle = (content[name] for name in _NAMES[2:])
    if not isinstance(layers, list) or len(layers) != len(rows):
        raise ValueError("its layers are not the names of its embeddings")
    if not all(isinstance(name, str) for name in (*layers, bundle)):
        raise ValueError("its layers and its bundle are not names")
    if np.shape(num_iters) or np.asarray(num_iters).dtype.kind not in "iu":
        raise ValueError("its num_iters is not a number")
    if not 0 <= num_iters <= _MAX_ITERS:
        raise ValueError(f"its num_iters is {num_iters}")
    embeddings = _from_rows(dict(zip(layers, rows, strict=True)))
    return StoredInversion(w_plus, embeddings, int(num_iters), bundle)


def _floats(content, name: str) -> np.ndarray:
    """The array of this name, if it is a matrix of finite numbers."""
    array = content[name]
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind != "f":
        raise ValueError(f"its {name} is no table of numbers")
    array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"its {name} has numbers that are not finite")
    return array


def restore(bundle: Bundle, stored: Sequence[StoredInversion]) -> Inversion:
    """Makes one inversion, ready to render, of the contents of B files.

    Args:
        bundle: whose networks made them.
        stored: of one number of iterations.

    Raises:
        ValueError: they were made with another bundle, or differ among themselves.
    """
    for one in stored:
        check_model(bundle, one)
    if len({(s.num_iters, *_shapes(s).items()) for s in stored}) != 1:
        raise ValueError("inversions of different kinds cannot share a batch")
    check_fit(bundle, stored[0])
    w_plus = jnp.stack([s.w_plus for s in stored])
    if stored[0].num_iters == 0:
        return Inversion(w_plus)
    values = jax.tree.map(lambda *a: jnp.stack(a), *(s.embeddings for s in stored))
    embeddings = LayerEmbeddings(values, stored[0].num_iters)
    return hyperstyle.decode(*bundle.require("hypernet"), w_plus, embeddings)


def check_model(bundle: Bundle, stored: StoredInversion) -> None:
    """Raises ValueError for an inversion that was made with another bundle."""
    if stored.bundle != bundle.id:
        raise ValueError(
            f"inverted with bundle {stored.bundle}, but this one is {bundle.id}: give "
            "the --model that made it, or invert the photo again"
        )


def _shapes(stored: StoredInversion) -> dict[str, tuple[int, ...]]:
    shapes = {path: value.shape for path, value in sorted(stored.embeddings.items())}
    return {"w_plus": stored.w_plus.shape, **shapes}


def check_fit(bundle: Bundle, stored: StoredInversion) -> None:
    """Refuses arrays that do not fit the networks, in files made by hand or damaged.

    Raises:
        ValueError: names the array.
    """
    (generator,) = bundle.require("generator")
    expected = {"w_plus": (generator.module.num_ws, generator.module.w_dim)}
    if stored.num_iters:
        (hypernet,) = bundle.require("hypernet")
        zeros = jax.eval_shape(
            lambda: no_embeddings(hypernet.module, 1, stored.num_iters)
        )
        expected |= {path: value.shape[1:] for path, value in zeros.items()}
    shapes = _shapes(stored)
    for path in sorted(expected):
        if shapes.get(path) != expected[path]:
            raise ValueError(
                f"{path} has shape {shapes.get(path)}, expected {expected[path]}: "
                "the file is damaged; invert the photo again"
            )


def _to_rows(embeddings: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """{path: [C] or [T, C]} → {name: row [C]}."""
    rows = {}
    for path, value in sorted(embeddings.items()):
        if value.ndim == 2:
            rows |= {f"{path}#{t}": row for t, row in enumerate(value)}
        else:
            rows[path] = value
    return rows


def _from_rows(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inverse of `_to_rows`."""
    embeddings = {}
    for name, row in rows.items():
        path, _, t = name.partition("#")
        embeddings[path] = np.stack([*embeddings.get(path, []), row]) if t else row
    return embeddings
