"""Landmarks from a JSON file: of any other finder, or set by hand.

    {"me.jpg": {"faces": [{"landmarks": [[x, y], …]}]}, "you.jpg": [[[x, y], …], …]}

68, 5 or 478 points (mediapipe's) for each face, in pixels of the upright photo, whose
first pixel has its middle at (0, 0).
"""

import json
from pathlib import Path

import numpy as np

from hyperstyle_jax.photos.face import Face, Finder, checked_points, largest_first
from hyperstyle_jax.photos.landmarks import mediapipe


def load(path: str | Path) -> Finder:
    """The finder; photos are looked up by their path, name or name without ending.

    Raises:
        ValueError: no such file, or not of this form.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ValueError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    except ValueError as error:
        raise ValueError(f"{path}: no JSON ({error})") from error
    if not isinstance(content, dict):
        raise ValueError(
            f"{path}: got a {type(content).__name__}, expected names of photos with "
            'landmarks, as {"me.jpg": [[[x, y], …]]}'
        )
    faces = {name: _faces(entry, f"{path}, {name}") for name, entry in content.items()}

    def find(_: np.ndarray, name: str) -> list[Face]:
        keys = (name, Path(name).name, Path(name).stem)
        key = next((key for key in keys if key in faces), None)
        if key is None:
            raise ValueError(f"{path} has no landmarks of {keys[1]}")
        return largest_first(faces[key])

    return find


def _faces(entry, where) -> list[Face]:
    entries = entry.get("faces") if isinstance(entry, dict) else entry
    if not isinstance(entries, list):
        raise ValueError(f"{where}: expected a list of faces")
    return [
        Face(_points(one, f"{where}, face {i}")) for i, one in enumerate(entries)
    ]  # fmt: skip


def _points(one, where) -> np.ndarray:
    points = one.get("landmarks") if isinstance(one, dict) else one
    if isinstance(points, list) and len(points) == mediapipe.POINTS:
        return checked_points([points[i] for i in mediapipe.AS_68], where)
    return checked_points(points, where)
