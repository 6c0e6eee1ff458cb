"""Random numbers as a pure function of (seed, stream, id): no generator, no state."""

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def uniforms(seed: int, stream: int, ids: np.ndarray, count: int) -> np.ndarray:
    """[B, count] float64 in (0, 1); row i depends on (seed, stream, ids[i]) only."""
    with np.errstate(over="ignore"):
        key = _mix(_mix(np.uint64([seed % 2**64])) + np.uint64(stream))
        row = _mix(key + _mix(np.asarray(ids).astype(np.uint64)))[:, None]
        bits = _mix(row + _GOLDEN * np.arange(1, count + 1, dtype=np.uint64))
    return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def gaussians(seed: int, stream: int, ids: np.ndarray, count: int) -> np.ndarray:
    """[B, count] float64 standard normals (Box-Muller), pure as `uniforms`."""
    u = uniforms(seed, stream, ids, 2 * count)
    radius = np.sqrt(-2.0 * np.log(u[:, :count]))
    return radius * np.cos(2.0 * np.pi * u[:, count:])


def _mix(x: np.ndarray) -> np.ndarray:
    """A 64-bit finaliser: every input bit reaches every output bit."""
    x = x + _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
