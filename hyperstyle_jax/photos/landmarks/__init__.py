"""Landmark finders: one file each, one function each, imported where it is used.

A finder is a function (photo [H, W, 3] uint8, its file's name) → list of `Face`, the
largest first.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np

from hyperstyle_jax.photos.face import Face

Finder = Callable[[np.ndarray, str], list[Face]]
NAMES = ("dlib", "mediapipe", "mtcnn")
DEFAULT = "dlib"


def load(landmarks: str = DEFAULT, model: str | Path | None = None) -> Finder:
    """A finder by its name.

    Args:
        landmarks: one of `NAMES`, or a JSON file of points (see `points_file`).
        model: what the finder needs of weights: mediapipe's `.task` file, MTCNN's
            bundle or folder of `.npy` files; dlib brings its own.

    Raises:
        ValueError: an unknown name, a missing file, or a package that is not installed.
    """
    if landmarks in NAMES:
        name = f"hyperstyle_jax.photos.landmarks.{landmarks}"
        return import_module(name).load(model)
    if landmarks.endswith(".json"):
        from hyperstyle_jax.photos.landmarks import points_file

        return points_file.load(landmarks)
    raise ValueError(
        f"landmarks {landmarks!r}: expected {', '.join(NAMES)} or a .json file of "
        "points"
    )


def largest_first(faces: list[Face]) -> list[Face]:
    """Sorted by the space between eyes and mouth."""

    def extent(face: Face) -> float:
        return -float(np.ptp(np.stack(face.anchors), axis=0).max())

    return sorted(faces, key=extent)
