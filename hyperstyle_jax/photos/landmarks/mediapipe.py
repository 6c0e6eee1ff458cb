"""Landmarks by mediapipe's face mesh, https://arxiv.org/abs/1907.06724.

The mesh has 478 points; those nearest to iBUG 300-W's 68 are taken. mediapipe brings no
model: it is a file `face_landmarker.task` that its documentation links to.
"""

import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hyperstyle_jax.photos.face import Face, Finder, largest_first
from hyperstyle_jax.photos.landmarks.turning import find_in_any_turn

POINTS = 478
# The points of the mesh in the order of the 68: chin, brows, nose, eyes, mouth.
AS_68 = (
    162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389,
    71, 63, 105, 66, 107, 336, 296, 334, 293, 301,
    168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14,
    87,
)  # fmt: skip
_MOST_FACES = 50


def load(model: str | Path | None = None) -> Finder:
    """The finder.

    Args:
        model: the `.task` file.

    Raises:
        ValueError: no such file, or the package is not installed.
    """
    if model is None or not Path(model).is_file():
        got = f"{model} is no file" if model is not None else "no model"
        raise ValueError(
            f"landmarks by mediapipe: {got}; name its face_landmarker.task file "
            "(--landmark-model)"
        )
    if importlib.util.find_spec("mediapipe") is None:
        raise ValueError(
            "landmarks by mediapipe need the package: pip install "
            "'hyperstyle_jax[mediapipe]'"
        )
    landmarker, image_of = _landmarker(Path(model))
    one_at_a_time = threading.Lock()

    def detect(photo: np.ndarray) -> list[Face]:
        with one_at_a_time:
            meshes = landmarker.detect(image_of(photo)).face_landmarks
        return [Face(from_mesh(mesh, *photo.shape[:2])) for mesh in meshes]

    def find(photo: np.ndarray, _: str = "") -> list[Face]:
        return largest_first(find_in_any_turn(photo, detect, sure=1.0))

    return find


def from_mesh(mesh: Sequence[Any], height: int, width: int) -> np.ndarray:
    """Points of one mesh as mediapipe gives them → [68, 2] in pixels.

    Args:
        mesh: objects with `x` and `y`, 0 to 1 over the photo.
        height, width: of the photo.
    """
    points = np.array([(mesh[i].x, mesh[i].y) for i in AS_68], np.float64)
    return points * (width, height) - 0.5


def _landmarker(model: Path):
    """Its detector, and a function that wraps [H, W, 3] uint8 for it."""
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(model)), num_faces=_MOST_FACES
    )
    try:
        landmarker = vision.FaceLandmarker.create_from_options(options)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{model}: no model of mediapipe ({error})") from error

    def image_of(photo: np.ndarray):
        return mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=photo)

    return landmarker, image_of
