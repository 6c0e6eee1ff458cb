"""Inversions as small files: the latent and the codes, offsets are decoded on load.

A `.npz` holds `w_plus` [L, D], `codes` [N, C] with the names of the `layers` [N] they
belong to, `num_iters`, and the id of the `bundle` whose hypernetwork wrote the codes.
Layers with one code per pass (separable heads) have a row `path#0`, `path#1`, … each.
"""

import io
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax.inversion import hyperstyle
from hyperstyle_jax.offsets import Inversion
from hyperstyle_jax.system import atomic_files
from hyperstyle_jax.weights.bundle import Bundle

_MAX_BYTES = 64 << 20  # of arrays in one file; a 1024² inversion has 70 KiB


class Saved(NamedTuple):
    """The content of one file."""

    w_plus: np.ndarray
    codes: dict[str, np.ndarray]
    num_iters: int
    bundle: str


def save(path, inversion: Inversion, i: int, num_iters: int, bundle: Bundle) -> Path:
    """Writes image `i` of an inversion.

    Args:
        path: the `.npz` file.
        inversion: w_plus [B, L, D] and codes {path: [B, C]}; of latents [B, D] every
            layer gets the same row.
        i: which image of the batch.
        num_iters: the passes whose codes were added up.
        bundle: that made it.
    """
    codes = inversion.codes if num_iters else {}
    rows = _rows({k: np.asarray(v[i]) for k, v in codes.items()})
    (generator,) = bundle.require("generator")
    shape = (generator.module.num_ws, generator.module.w_dim)
    arrays = {
        "w_plus": np.broadcast_to(inversion.w_plus[i], shape),
        "codes": np.stack([*rows.values()]) if rows else np.zeros((0, 0), "f4"),
        "layers": np.array([*rows], dtype=np.str_),
        "num_iters": np.int32(num_iters),
        "bundle": np.str_(bundle.id),
    }
    out = io.BytesIO()
    np.savez(out, **arrays)
    return atomic_files.write_whole(path, out.getvalue())


def load(path: str | os.PathLike) -> Saved:
    """Reads one file.

    Raises:
        ValueError: not such a file, or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MAX_BYTES:
                raise ValueError("far too large")
        with np.load(path, allow_pickle=False) as f:
            w_plus, codes = f["w_plus"].astype("f4"), f["codes"].astype("f4")
            rows = dict(zip(f["layers"].tolist(), codes, strict=True))
            saved = Saved(w_plus, _codes(rows), int(f["num_iters"]), str(f["bundle"]))
        if not all(np.isfinite(a).all() for a in (w_plus, codes)) or w_plus.ndim > 2:
            raise ValueError("senseless values")
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is not an inversion ({error}): expected a .npz file that "
            "`hyperstyle invert` wrote; invert the photo again"
        ) from None
    return saved


def restore(bundle: Bundle, saved: Sequence[Saved]) -> Inversion:
    """Files of one bundle and one number of passes as an Inversion ready to render.

    Raises:
        ValueError: they were made with another bundle, or differ among themselves.
    """
    if other := sorted({s.bundle for s in saved} - {bundle.id}):
        raise ValueError(
            f"inverted with bundle {other[0]}, but this one is {bundle.id}: give the "
            "--model that made it, or invert the photo again"
        )
    if len({(s.num_iters, *_shapes(s).items()) for s in saved}) != 1:
        raise ValueError("inversions of different kinds cannot share a batch")
    num_iters, codes = saved[0].num_iters, [s.codes for s in saved]
    stacked = jax.tree.map(lambda *rows: jnp.stack(rows), *codes)
    w_plus = jnp.stack([s.w_plus for s in saved])
    inversion = Inversion(w_plus, {}, stacked, None)
    _check_fit(bundle, saved[0])
    if num_iters == 0:
        return inversion
    return _decode(*bundle.require("hypernet"), inversion, num_iters)


_decode = jax.jit(hyperstyle.decode, static_argnames="num_iters")


def _shapes(saved: Saved) -> dict[str, tuple[int, ...]]:
    codes = {path: code.shape for path, code in sorted(saved.codes.items())}
    return {"w_plus": saved.w_plus.shape, **codes}


def _check_fit(bundle: Bundle, saved: Saved):
    """The id says so already; this is for files that were made by hand."""
    (generator,) = bundle.require("generator")
    expected = {"w_plus": (generator.module.num_ws, generator.module.w_dim)}
    if saved.num_iters:
        (hypernet,) = bundle.require("hypernet")
        for path, *_, kind in hypernet.module.heads:
            passes = (saved.num_iters,) if kind == "separable" else ()
            expected[path] = (*passes, hypernet.module.code)
    found = _shapes(saved)
    if bad := sorted(p for p in expected if found.get(p) != expected[p]):
        raise ValueError(
            f"{bad[0]} has shape {found.get(bad[0])}, expected {expected[bad[0]]}: "
            "the file is damaged; invert the photo again"
        )


def _rows(codes: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """{path: [C] or [T, C]} → one named row [C] each."""
    rows = {}
    for path, code in sorted(codes.items()):
        many = code.ndim == 2
        rows |= {f"{path}#{t}": c for t, c in enumerate(code)} if many else {path: code}
    return rows


def _codes(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inverse of `_rows`."""
    codes = {}
    for name, row in rows.items():
        path, _, t = name.partition("#")
        codes[path] = np.stack([*codes.get(path, []), row]) if t else row
    return codes
