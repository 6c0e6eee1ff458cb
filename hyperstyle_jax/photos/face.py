"""One face of a photo by its landmarks, and what they tell of how it is seen."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

# The convention of iBUG 300-W; left is the viewer's left.
CHIN, BROWS, NOSE_TIP = slice(0, 17), slice(17, 27), 30
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)
MOUTH_LEFT, MOUTH_RIGHT = 48, 54
_PROFILE = 4.0  # how many times farther the nose is from one eye than from the other
_UPRIGHT = 45.0  # degrees that a head may lean


class Anchors(NamedTuple):
    """The four points that FFHQ's alignment uses: x, y in pixels of the photo."""

    left_eye: np.ndarray
    right_eye: np.ndarray
    mouth_left: np.ndarray
    mouth_right: np.ndarray


class Face(NamedTuple):
    """A face in an upright photo.

    Attributes:
        points: [68, 2] as iBUG 300-W orders them, or [5, 2]: left eye, right eye, nose,
            left and right corner of the mouth. x, y in pixels; left as the viewer sees
            it; the middle of the first pixel is (0, 0).
        score: how sure the finder is; faces of one photo can be compared.
    """

    points: np.ndarray
    score: float = 1.0

    @property
    def anchors(self) -> Anchors:
        """Eyes and corners of the mouth."""
        points = self.points
        if len(points) == 5:
            return Anchors(points[0], points[1], points[3], points[4])
        left, right = (points[part].mean(axis=0) for part in (LEFT_EYE, RIGHT_EYE))
        return Anchors(left, right, points[MOUTH_LEFT], points[MOUTH_RIGHT])

    @property
    def nose(self) -> np.ndarray:
        """[2], its tip."""
        return self.points[2 if len(self.points) == 5 else NOSE_TIP]

    @property
    def lean(self) -> float:
        """Degrees by which the head is turned in the image plane, clockwise."""
        right = self.anchors.right_eye - self.anchors.left_eye
        return math.degrees(math.atan2(right[1], right[0]))

    def is_profile(self) -> bool:
        """Whether the face is turned so far that one half of it is hardly seen."""
        left, right, *_ = self.anchors
        across = right - left
        along = (self.nose - left) @ across / max(across @ across, 1e-9)
        near, far = sorted((abs(along), abs(1 - along)))
        return not 0 < along < 1 or far > _PROFILE * near

    def is_upright(self) -> bool:
        """Whether the head stands rather than lies or hangs."""
        return abs(self.lean) <= _UPRIGHT


Finder = Callable[[np.ndarray, str], list[Face]]


def largest_first(faces: list[Face]) -> list[Face]:
    """Sorted by the space between eyes and mouth."""

    def extent(face: Face) -> float:
        return -float(np.ptp(np.stack(face.anchors), axis=0).max())

    return sorted(faces, key=extent)


def checked_points(points: Any, where: str) -> np.ndarray:
    """Landmarks as float64 [68, 2] or [5, 2].

    Raises:
        ValueError: another number of points, or points that are no numbers.
    """
    try:
        points = np.asarray(points, np.float64)
    except (TypeError, ValueError):
        points = np.zeros(0)
    if points.shape not in ((68, 2), (5, 2)):
        raise ValueError(
            f"{where}: got landmarks of shape {points.shape}, expected 68 or 5 pairs "
            "[x, y] of pixels"
        )
    if not np.isfinite(points).all():
        raise ValueError(f"{where}: got landmarks that are not finite numbers")
    return points
