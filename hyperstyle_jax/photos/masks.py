"""Which pixels of a photo an edited face replaces: masks with soft edges.

Masks are made in the square that was cut out and lie in the photo as it does.
"""

from pathlib import Path

import numpy as np

from hyperstyle_jax import images
from hyperstyle_jax.images import warping
from hyperstyle_jax.photos.align import Aligned
from hyperstyle_jax.photos.face import BROWS, CHIN, Face

SIDE = 256  # of a mask
NAMES = ("face", "crop")
_FEATHER = 0.035  # standard deviation of the soft edge, a part of the side
_MARGIN = 1.06  # how much larger than the face's contour
_FOREHEAD = 0.75  # height of the forehead above the brows, in eye-to-mouth distances
# The contour of faces in FFHQ's square where only five points are known.
_ELLIPSE = (0.5, 0.53), (0.29, 0.37)  # middle and half axes, x and y


def named(name: str, aligned: Aligned) -> np.ndarray:
    """A mask by its name.

    Args:
        name: "face", inside the face's contour, or "crop", the whole square but a soft
            edge.

    Returns:
        [SIDE, SIDE] float32, 0 to 1; 0 at the edges.

    Raises:
        ValueError: another name.
    """
    if name not in NAMES:
        raise ValueError(
            f"mask {name!r}: expected {' or '.join(NAMES)}, or an image file"
        )
    corners = _contour(aligned) if name == "face" else _square(2.5 * _FEATHER)
    return softened(warping.polygon(corners * SIDE, SIDE, SIDE))


def read(file: str | Path) -> np.ndarray:
    """A mask from an image file, white where the face is replaced.

    Returns:
        [H, W] float32, 0 to 1. A square one lies over the crop unless it is as large as
        the photo.

    Raises:
        ValueError: as of `images.read`.
    """
    return images.read(file).astype(np.float32).mean(axis=-1) / 255


def softened(mask: np.ndarray) -> np.ndarray:
    """[SIDE, SIDE], 0 to 1 → the same with a soft edge that lies inside of the crop."""
    from scipy import ndimage

    inside = warping.polygon(_square(2.5 * _FEATHER) * SIDE, SIDE, SIDE)
    soft = ndimage.gaussian_filter(mask * inside, _FEATHER * SIDE, mode="constant")
    # The tail of the filter never ends: what is below 2 % is nothing.
    return np.clip((soft - 0.02) / 0.96, 0, 1).astype(np.float32)


def _square(inset) -> np.ndarray:
    low, high = inset, 1 - inset
    return np.array([(low, low), (high, low), (high, high), (low, high)])


def _contour(aligned: Aligned) -> np.ndarray:
    """[N, 2] in parts of the square."""
    if len(aligned.face.points) == 5:
        angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
        middle, axes = map(np.array, _ELLIPSE)
        return middle + axes * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    face = Face(in_square(aligned.face.points, aligned.corners))
    left, right, mouth_left, mouth_right = face.anchors
    up = (left + right - mouth_left - mouth_right) / 2
    forehead = face.points[BROWS][::-1] + _FOREHEAD * up
    contour = np.concatenate([face.points[CHIN], forehead])
    middle = contour.mean(axis=0)
    return middle + _MARGIN * (contour - middle)


def in_square(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Landmarks [N, 2] of the photo in parts of the square: 0 to 1 inside of it."""
    axes = np.stack([corners[3] - corners[0], corners[1] - corners[0]], axis=1)
    return np.linalg.solve(axes, (points + 0.5 - corners[0]).T).T
