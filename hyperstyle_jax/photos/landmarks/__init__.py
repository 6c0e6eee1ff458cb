"""Landmark finders: one file each, one function `load` each, imported where it is used.

A finder is a function (photo [H, W, 3] uint8, its file's name) → list of `Face`, the
largest first. Several threads may call it at once.
"""

from pathlib import Path

from hyperstyle_jax.photos.face import Finder

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
    if landmarks == "dlib":
        from hyperstyle_jax.photos.landmarks import dlib

        return dlib.load(model)
    if landmarks == "mediapipe":
        from hyperstyle_jax.photos.landmarks import mediapipe

        return mediapipe.load(model)
    if landmarks == "mtcnn":
        from hyperstyle_jax.photos.landmarks import mtcnn

        return mtcnn.load(model)
    if landmarks.endswith(".json"):
        from hyperstyle_jax.photos.landmarks import points_file

        return points_file.load(landmarks)
    raise ValueError(
        f"landmarks {landmarks!r}: expected {', '.join(NAMES)} or a .json file of "
        "points"
    )
