"""Random numbers that are a pure function of a seed, a stream and an id."""

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def uniforms(seed: int, stream: int, ids: np.ndarray, count: int) -> np.ndarray:
    """Uniform numbers between 0 and 1.

    Args:
        seed, stream: any integers; each pair gives other numbers.
        ids: [B] integers.
        count: of numbers for each id.

    Returns:
        [B, count] float64; row i depends on nothing but seed, stream and ids[i].
    """
    with np.errstate(over="ignore"):
        start = np.array([seed % 2**64], np.uint64)
        key = _splitmix64(_splitmix64(start) + np.uint64(stream))
        row = _splitmix64(key + _splitmix64(np.asarray(ids).astype(np.uint64)))[:, None]
        bits = _splitmix64(row + _GOLDEN * np.arange(1, count + 1, dtype=np.uint64))
    return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def gaussians(seed: int, stream: int, ids: np.ndarray, count: int) -> np.ndarray:
    """Standard normal numbers [B, count] by Box and Muller; see `uniforms`."""
    u = uniforms(seed, stream, ids, 2 * count)
    radius = np.sqrt(-2.0 * np.log(u[:, :count]))
    return radius * np.cos(2.0 * np.pi * u[:, count:])


def _splitmix64(x: np.ndarray) -> np.ndarray:
    """The hash function of the generator SplitMix64."""
    x = x + _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
