"""Pictures on their way to the screen and back: sizes, uploads, painted masks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hyperstyle_jax import images
from hyperstyle_jax.app.engine import Iteration

MOST_BYTES = 64 << 20  # of an uploaded photo or recipe
_MOST_SHOWN, _LEAST_SHOWN = 1024, 384  # the longer side of photos on the screen


def read_upload(path: str, most: int = MOST_BYTES) -> bytes:
    """The content of an uploaded file.

    Raises:
        ValueError: too large.
    """
    size = Path(path).stat().st_size
    if size > most:
        raise ValueError(
            f"{size / 2**20:.0f} MiB, expected at most {most / 2**20:.0f}: save it "
            "smaller"
        )
    return Path(path).read_bytes()


def for_screen(photo: np.ndarray) -> tuple[np.ndarray, float]:
    """A photo as large as it is shown, and the factor from its own pixels to these."""
    longest = max(photo.shape[:2])
    factor = max(min(1.0, _MOST_SHOWN / longest), _LEAST_SHOWN / longest)
    height, width = (max(1, round(n * factor)) for n in photo.shape[:2])
    return images.resize(photo, height, width), factor


def enlarged(picture: np.ndarray) -> np.ndarray:
    """A square picture, smoothly enlarged where it is small."""
    least = max(len(picture), _LEAST_SHOWN)
    return images.resize(picture, least, least)


def painted(value: dict[str, Any] | None, side: int) -> np.ndarray | None:
    """The mask [side, side] that was painted in an editor; None where nothing was."""
    layers = [np.asarray(layer) for layer in (value or {}).get("layers") or []]
    layers = [layer for layer in layers if layer.ndim == 3 and layer.shape[-1] == 4]
    if not any(layer[..., 3].any() for layer in layers):
        return None
    alpha = np.max([layer[..., 3] for layer in layers], axis=0)
    grey = np.repeat(alpha[..., None], 3, axis=-1)
    return images.resize(np.ascontiguousarray(grey), side, side)[..., 0] > 127


def strip(taken: Sequence[Iteration], total: int) -> np.ndarray:
    """Iterations in a row; those to come are white."""
    white = np.full_like(taken[0].image, 255)
    row = [step.image for step in taken] + [white] * (total - len(taken))
    titles = ["initial", *map(str, range(1, total))]
    return images.grid([row], titles, scale=max(1, 96 // len(white)))
