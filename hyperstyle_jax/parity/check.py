"""Compares arrays with what a fixture holds of them, within tolerances by kind."""

import functools
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from hyperstyle_jax.parity import procedural


class Tolerance(NamedTuple):
    """The largest errors that pass.

    Attributes:
        absolute: of every number; in units of max(1, rms of what is expected) if
            `scaled`.
        relative: ‖error‖ / ‖expected‖; None: any.
    """

    absolute: float
    relative: float | None = None
    scaled: bool = False


TOLERANCES = {
    "image": Tolerance(1e-4, 2e-5, scaled=True),
    "train image": Tolerance(1e-4, 5e-5, scaled=True),
    "offset": Tolerance(2e-5),
    "loss": Tolerance(1e-5),
    "scaled loss": Tolerance(1e-5, scaled=True),
    "statistic": Tolerance(1e-5),
    "gradient": Tolerance(np.inf, 2e-2),
    "head gradient": Tolerance(np.inf, 2e-3),
    # Of a head's first convolution, and of noise strengths: a single unit on the other
    # side of its activation's kink changes them by 1.6e-2.
    "first gradient": Tolerance(np.inf, 3e-2),
    "trunk gradient": Tolerance(np.inf, 5e-2),  # noisy in the release too, by kinks
    "norm": Tolerance(np.inf, 1e-2),
    "close norm": Tolerance(np.inf, 2e-3),
    "latent gradient": Tolerance(np.inf, 2e-3),
    "id gradient": Tolerance(np.inf, 5e-3),  # kinks of the face network
    "update": Tolerance(np.inf, 1e-3),
    "stepped": Tolerance(1e-4),
    # Changes of 4e-8 of parameters near 1, of which float32 keeps less than one digit:
    # a difference of 1e-3 in the gradients lets every thousandth fall the other way.
    "rounded update": Tolerance(np.inf, 1e-1),
    "level": Tolerance(1.0),
    "padded level": Tolerance(2.0),
    "coordinate": Tolerance(1e-9),
    "parameter": Tolerance(2e-6),
    "boundary": Tolerance(1e-3),  # the release's solver stops early
    "projection": Tolerance(1e-6),
    "component": Tolerance(5e-4),
    "relative": Tolerance(np.inf, 1e-5),
    "exact": Tolerance(0.0),
    # Ten steps of an optimizer, of small, larger and large rates: rounding grows.
    "step": Tolerance(1e-4),
    "distance": Tolerance(1e-3),
    "wide distance": Tolerance(2e-3),
    "rough distance": Tolerance(1e-2),
    "search": Tolerance(5e-3),
    "wide search": Tolerance(2e-2),
    "rough search": Tolerance(np.inf, 6e-2),
    # Adam turns a gradient of the other sign, however small, into twice its step.
    "tuned image": Tolerance(5e-4),
    "change": Tolerance(np.inf, 3e-3),
    "kernel's change": Tolerance(np.inf, 2e-2),
    "first step": Tolerance(np.inf, 1e-4),
    # A solver at 1e-5 against an exact one.
    "flow": Tolerance(1e-3, 7e-5),
    "density": Tolerance(1e-2),
}


class Output(NamedTuple):
    """One array of ours, in PyTorch's layout, and the kind of its tolerance."""

    key: str
    value: np.ndarray
    kind: str


class Row(NamedTuple):
    """All outputs of one kind in one fixture; the errors are those of the worst."""

    fixture: str
    kind: str
    outputs: int
    max_error: float
    relative_error: float
    tolerance: str
    passed: bool
    worst: str


def compare(fixture: str, arrays: Mapping, outputs: Iterable[Output]) -> list[Row]:
    """Compares our outputs with a fixture's.

    Args:
        fixture: its name, for the rows.
        arrays: what it holds, by name: an array, or its shape, a sample and statistics.
        outputs: ours.

    Returns:
        One row per kind of output.

    Raises:
        ValueError: an output has another shape than the fixture's.
    """
    by_kind: dict[str, list] = {}
    for key, value, kind in outputs:
        by_kind.setdefault(kind, []).append((key, *_errors(arrays, key, value)))
    return [_row(fixture, kind, errors) for kind, errors in by_kind.items()]


def _row(fixture, kind, errors) -> Row:
    limit = TOLERANCES[kind]

    def excess(entry):
        _, absolute, relative, rms = entry
        unit = max(1.0, rms) if limit.scaled else 1.0
        shares = [_share(absolute, limit.absolute * unit)]
        if limit.relative is not None:
            shares.append(_share(relative, limit.relative))
        return max(shares)

    worst = max(errors, key=excess)
    text = [f"{limit.absolute:g}"] if np.isfinite(limit.absolute) else []
    text += [f"{limit.relative:g} rel"] if limit.relative is not None else []
    return Row(
        fixture,
        kind,
        len(errors),
        max(e[1] for e in errors),
        max(e[2] for e in errors),
        ", ".join(text),
        bool(excess(worst) <= 1.0),
        worst[0],
    )


def _share(error, limit):
    if not np.isfinite(error):
        return np.inf
    return 0.0 if error <= limit == 0.0 else error / limit if limit else np.inf


def _errors(arrays, key, value) -> tuple[float, float, float]:
    """Largest absolute and relative L2 difference, and the rms of what is expected."""
    value = np.asarray(value)
    shape = arrays[key].shape if key in arrays else tuple(arrays[f"{key}.shape"])
    if value.shape != tuple(shape):
        raise ValueError(f"{key}: shape {value.shape}, the fixture's is {shape}")
    if key in arrays:
        return _difference(value, arrays[key])
    flat = value.reshape(-1)
    sample = flat[:: int(arrays[f"{key}.stride"])]
    absolute, relative, _ = _difference(sample, arrays[f"{key}.sample"])
    stats = arrays[f"{key}.stats"]
    differences = [absolute, np.abs(_statistics(flat) - stats).max()]
    if f"{key}.pool" in arrays:
        differences += _image_errors(arrays, key, value)
    return float(max(differences)), relative, float(stats[4])


def _difference(value, expected) -> tuple[float, float, float]:
    value, expected = value.astype(np.float64), expected.astype(np.float64)
    # For some inputs the release gives NaN (roots of negative similarities).
    both_nan = np.isnan(value) & np.isnan(expected)
    value, expected = (np.where(both_nan, 0.0, v) for v in (value, expected))
    error = value - expected
    size = np.sqrt(np.square(expected).sum())
    relative = np.sqrt(np.square(error).sum()) / size if size else 0.0
    rms = np.sqrt(np.square(expected).mean()) if expected.size else 0.0
    return float(np.abs(error).max(initial=0)), float(relative), float(rms)


def _statistics(flat: np.ndarray) -> np.ndarray:
    """Mean, std, min, max, rms, projection on random signs."""
    x = flat.astype(np.float64)
    projection = (x * _signs(flat.size)).sum() / np.sqrt(flat.size)
    rms = np.sqrt(np.square(x).mean())
    return np.array([x.mean(), x.std(), x.min(), x.max(), rms, projection])


def _signs(size: int) -> np.ndarray:
    """A longer vector begins with the shorter one, so lengths are rounded up."""
    return _long_signs(1 << max(12, (size - 1).bit_length()))[:size]


@functools.lru_cache(2)
def _long_signs(size: int) -> np.ndarray:
    return np.where(procedural.unit(0, "projection", (size,)) < 0, -1, 1).astype("i1")


def _image_errors(arrays, key, value) -> list[float]:
    """Block means, and crops of 16×16 pixels."""
    pool, crops = arrays[f"{key}.pool"], arrays[f"{key}.crops"]
    h, w = (n // m for n, m in zip(value.shape[-2:], pool.shape[-2:], strict=True))
    blocks = value.reshape(
        *value.shape[:-2], pool.shape[-2], h, pool.shape[-1], w
    ).astype(np.float64)
    errors = [float(np.abs(blocks.mean((-3, -1)) - pool).max())]
    size = crops.shape[-1]
    for crop, (y, x) in zip(crops, arrays[f"{key}.crops_yx"], strict=True):
        part = value[..., y : y + size, x : x + size]
        errors.append(float(np.abs(part - crop).max()))
    return errors
