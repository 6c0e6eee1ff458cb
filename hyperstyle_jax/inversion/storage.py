"""Stores inversions as small files of a latent and layer embeddings.

A `.npz` holds `w_plus` [L, D], `embeddings` [N, C] with the names of their `layers`
[N], `num_iters`, and the id of the `bundle` whose hypernetwork predicted them.
Separable layers have a row for each iteration: `path#0`, `path#1`, …
Weights that were tuned are differences to the bundle's generator, `replaced/PATH`, as
float16: twice as many bytes as the synthesis network has parameters.
"""

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax import trees
from hyperstyle_jax.inversion import hyperstyle
from hyperstyle_jax.inversion.hyperstyle import Refinement, no_embeddings
from hyperstyle_jax.offsets import Inversion, LayerEmbeddings
from hyperstyle_jax.system import atomic_files
from hyperstyle_jax.torch_format import files
from hyperstyle_jax.weights.bundle import Bundle

_NAMES = ("w_plus", "embeddings", "layers", "num_iters", "bundle")
_REPLACED = "replaced/"
_MAX_ITERS = 1000


class StoredInversion(NamedTuple):
    """The content of one file.

    Attributes:
        w_plus: [L, D].
        embeddings: {path: [C] or [T, C]}; {} for T = 0.
        num_iters: T, the number of iterations that the embeddings sum.
        bundle: the id of the bundle whose networks made the inversion.
        replaced: {path: difference to the parameter of the bundle's generator}.
    """

    w_plus: np.ndarray
    embeddings: dict[str, np.ndarray]
    num_iters: int
    bundle: str
    replaced: Mapping[str, np.ndarray] = {}


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
        ValueError: the inversion has offsets that no layer embeddings decode to, or
            weights of another generator.
    """
    replaced: Mapping[str, Any] = {}
    embeddings = inverted.embeddings or LayerEmbeddings({}, 0)
    if isinstance(inverted, Inversion):
        _check_compact(inverted)
        replaced = _differences(bundle, inverted, i)
    values = embeddings.values if embeddings.num_iters else {}
    rows = _to_rows({k: np.asarray(v[i]) for k, v in values.items()})
    arrays: dict[str, Any] = {
        "w_plus": np.asarray(inverted.w_plus[i]),
        "embeddings": np.stack([*rows.values()]) if rows else np.zeros((0, 0), "f4"),
        "layers": np.array([*rows], dtype=np.str_),
        "num_iters": np.int32(embeddings.num_iters),
        "bundle": np.str_(bundle.id),
        **{f"{_REPLACED}{path}": value for path, value in replaced.items()},
    }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return atomic_files.write_whole(path, buffer.getvalue())


def _check_compact(inversion: Inversion):
    if inversion.offsets and inversion.embeddings is None:
        raise ValueError(
            "this inversion has offsets but no layer embeddings: it cannot be saved as "
            "a small file"
        )


def _differences(bundle: Bundle, inversion: Inversion, i: int) -> dict[str, np.ndarray]:
    """What was tuned of one image's weights, as float16.

    Raises:
        ValueError: weights that the generator does not have, or too far from its own.
    """
    if not inversion.replaced:
        return {}
    own, differences = _parameters(bundle), {}
    for path, values in inversion.replaced.items():
        value = np.asarray(values[i], np.float32)
        if path not in own or own[path].shape != value.shape:
            raise ValueError(
                f"{path} of shape {value.shape} is no weight of the generator of "
                f"bundle {bundle.id}: save with the bundle that made the inversion"
            )
        with np.errstate(over="ignore"):
            differences[path] = (value - np.asarray(own[path])).astype(np.float16)
        if not np.isfinite(differences[path]).all():
            raise ValueError(f"{path} is too far from the generator's own for float16")
    return differences


def _parameters(bundle: Bundle) -> dict[str, Any]:
    (generator,) = bundle.require("generator")
    return trees.flatten(generator.params)


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
    replaced = {
        name.removeprefix(_REPLACED): _floats(content, name, None)
        for name in content
        if name.startswith(_REPLACED)
    }
    return StoredInversion(w_plus, embeddings, int(num_iters), bundle, replaced)


def _floats(content, name: str, axes: int | None = 2) -> np.ndarray:
    """The array of this name, if it is a matrix (or any array) of finite numbers."""
    array = content[name]
    plain = isinstance(array, np.ndarray) and array.dtype.kind == "f"
    if not plain or (axes is not None and array.ndim != axes):
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
    replaced = {}
    if stored[0].replaced:
        own = _parameters(bundle)
        replaced = {
            path: own[path] + jnp.stack([s.replaced[path] for s in stored])
            for path in stored[0].replaced
        }
    if stored[0].num_iters == 0:
        return Inversion(w_plus, replaced=replaced)
    values = jax.tree.map(lambda *a: jnp.stack(a), *(s.embeddings for s in stored))
    embeddings = LayerEmbeddings(values, stored[0].num_iters)
    decoded = hyperstyle.decode(*bundle.require("hypernet"), w_plus, embeddings)
    return decoded.replace(replaced=replaced)


def check_model(bundle: Bundle, stored: StoredInversion) -> None:
    """Raises ValueError for an inversion that was made with another bundle."""
    if stored.bundle != bundle.id:
        raise ValueError(
            f"inverted with bundle {stored.bundle}, but this one is {bundle.id}: give "
            "the --model that made it, or invert the photo again"
        )


def _shapes(stored: StoredInversion) -> dict[str, tuple[int, ...]]:
    shapes = {path: value.shape for path, value in sorted(stored.embeddings.items())}
    replaced = sorted(stored.replaced.items())
    shapes |= {_REPLACED + path: value.shape for path, value in replaced}
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
    own = _parameters(bundle) if stored.replaced else {}
    expected |= {
        _REPLACED + path: np.shape(own.get(path, np.zeros(0)))
        for path in stored.replaced
    }
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
