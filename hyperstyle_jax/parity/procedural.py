"""Draws weights and images that are pure functions of a seed and a name.

The recipe is that of the golden fixtures' README: each number is the sum of the four
16-bit quarters of one of Philox's raw 64-bit words, which are the same in every version
of NumPy.
"""

import re
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

_MEAN, _STEP = 131070, np.float32(1 / np.sqrt((65536.0**2 - 1) / 3))
_CHUNK = 1 << 20  # words at a time: bounds memory, changes no value
_OCTAVES = ((64, 0.35), (32, 0.25), (16, 0.2), (4, 0.15), (1, 0.08))


def unit(seed: int, key: str, shape: Sequence[int]) -> np.ndarray:
    """Random float32 numbers of mean 0 and variance 1, nearly normally distributed.

    Args:
        seed, key: two arrays with the same ones are equal.
    """
    out = np.empty(int(np.prod(shape, dtype=np.int64)), np.float32)
    stream = np.random.Philox(key=[seed, zlib.crc32(key.encode())])
    for start in range(0, out.size, _CHUNK):
        part = out[start : start + _CHUNK]
        quarters = stream.random_raw(part.size).view(np.uint16).reshape(-1, 4)
        part[:] = quarters.sum(1, dtype=np.int32) - _MEAN
        part *= _STEP
    return out.reshape(shape)


def normal(
    seed: int, key: str, shape: Sequence[int], offset: float = 0.0, scale: float = 1.0
) -> np.ndarray:
    """offset + scale·`unit`, float32."""
    return np.float32(offset) + np.float32(scale) * unit(seed, key, shape)


def state_dict(seed: int, spec: dict[str, Any]) -> dict[str, np.ndarray]:
    """An official state dict, in which tensors that share memory are one array.

    Args:
        seed: of the weights.
        spec: {"prefix", "rows": [[name, shape, dtype, kind, offset, scale], …]}.
    """
    by_key: dict[str, np.ndarray] = {}
    tensors = {}
    for name, *how in spec["rows"]:
        # Every block that uses the shared head lists its tensors again.
        shared = r"refinement_blocks\.\d+\.hypernet\."
        key = spec["prefix"] + re.sub(shared, "shared_weight_hypernet.", name)
        if key not in by_key:
            by_key[key] = _tensor(seed, key, *how)
        tensors[name] = by_key[key]
    return tensors


def _tensor(seed, key, shape, dtype, kind, offset, scale) -> np.ndarray:
    if kind == "normal":
        value = normal(seed, key, shape, offset, scale)
    elif kind == "absnormal":
        unsigned = np.abs(unit(seed, key, shape))
        value = np.float32(offset) + np.float32(scale) * unsigned
    elif kind == "blur":
        taps = np.array([1, 3, 3, 1], np.float32)
        value = np.outer(taps, taps) / 64 * scale
    elif kind == "const":
        value = np.asarray(offset, np.float32).reshape(shape)
    elif kind == "int0":
        value = np.zeros(shape, np.int64)
    else:
        raise ValueError(f"{key}: unknown kind {kind!r} of procedural tensor")
    return np.asarray(value).astype(dtype, copy=False)


def image(seed: int, key: str, shape: Sequence[int]) -> np.ndarray:
    """Images of blocky noise in five octaves, uint8 of `shape` [B, C, H, W]."""
    batch, channels, height, width = shape
    total = np.zeros(shape, np.float32)
    for cell, weight in _OCTAVES:
        grid = (batch, channels, -(-height // cell), -(-width // cell))
        blocks = unit(seed, f"{key}.octave{cell}", grid)
        large = blocks.repeat(cell, 2).repeat(cell, 3)[:, :, :height, :width]
        total += np.float32(weight) * large
    levels = np.rint((total + 1) * np.float32(127.5))
    return np.clip(levels, 0, 255).astype(np.uint8)


def to_float(u8: np.ndarray) -> np.ndarray:
    """uint8 → float32 in [-1, 1], as torchvision computes it."""
    return (u8.astype(np.float32) / np.float32(255) - np.float32(0.5)) / np.float32(0.5)
