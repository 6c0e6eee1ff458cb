"""Finds faces in photos that are turned: finders know faces that stand upright."""

from collections.abc import Callable

import numpy as np

from hyperstyle_jax.photos.face import Face

Detector = Callable[[np.ndarray], list[Face]]
_TURNS = (0, 1, 3, 2)  # quarters, anticlockwise


def find_in_any_turn(photo: np.ndarray, detect: Detector, sure: float) -> list[Face]:
    """Faces of the photo as it is or, where nothing sure is there, of it turned.

    Args:
        photo: [H, W, 3] uint8.
        detect: finds faces that stand upright.
        sure: the least score of a face for which no other turn is tried.

    Returns:
        Faces with their points in the photo as it is.
    """
    best: list[Face] = []
    for turn in _TURNS:
        faces = detect(np.ascontiguousarray(np.rot90(photo, turn)))
        if _best_score(faces) > _best_score(best):
            best = [face._replace(points=_back(face, turn, photo)) for face in faces]
        if _best_score(best) >= sure:
            break
    return best


def _best_score(faces: list[Face]) -> float:
    return max((face.score for face in faces), default=-np.inf)


def _back(face: Face, turn: int, photo: np.ndarray) -> np.ndarray:
    """Points of the photo turned by quarters, in the photo as it is."""
    points = np.asarray(face.points, np.float64)
    height, width = photo.shape[:2]
    x, y = points[:, 0], points[:, 1]
    if turn == 1:
        x, y = width - 1 - y, x
    elif turn == 2:
        x, y = width - 1 - x, height - 1 - y
    elif turn == 3:
        x, y = y, height - 1 - x
    return np.stack([x, y], axis=1)
