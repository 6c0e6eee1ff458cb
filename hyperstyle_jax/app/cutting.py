"""Cuts faces out of photos; without a finder the middle square is the face."""

import numpy as np

from hyperstyle_jax import images
from hyperstyle_jax.photos.align import Aligned, face_quad
from hyperstyle_jax.photos.face import Face
from hyperstyle_jax.photos.photo import Photo

_MIDDLE = -1.0  # the score of a face that nobody has found


def middle_face(image: np.ndarray) -> Face:
    """The face whose square is the middle of a picture [H, W, 3]."""
    height, width = image.shape[:2]
    return face_in((width - 1) / 2, (height - 1) / 2, min(height, width))


def face_in(x: float, y: float, side: float) -> Face:
    """A face of five points, of which FFHQ's square has this middle and side."""
    half = side / 8  # of the distance between the eyes, and of that to the mouth
    eyes, mouth = y - 0.2 * half, y + 1.8 * half
    points = [(x - half, eyes), (x + half, eyes), (x, y + half)]
    points += [(x - half, mouth), (x + half, mouth)]
    return Face(np.array(points), _MIDDLE)


def cut(photo: Photo, face: Face, size: int) -> Aligned:
    """A face, cut out as those of FFHQ are; the middle square as it is.

    Raises:
        ValueError: it cannot be cut out.
    """
    if face.score != _MIDDLE:
        return photo.align(face, size)
    image = images.resize(images.crop(photo.image), size, size)
    height, width = photo.image.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    square = np.array([(0, 0), (0, side), (side, side), (side, 0)], np.float64)
    return Aligned(face, image, square + (left, top), 0.0)


def boxes(faces: tuple[Face, ...]) -> list[np.ndarray]:
    """The square [4, 2] of each face, x and y in pixels of the photo."""
    return [face_quad(face.anchors) for face in faces]


def at(faces: tuple[Face, ...], x: float, y: float) -> int | None:
    """The number of the face whose square a point lies in, the nearest first."""
    found = []
    for number, quad in enumerate(boxes(faces)):
        middle = quad.mean(axis=0)
        across, down = quad[3] - quad[0], quad[1] - quad[0]
        offset = np.array([x, y]) - middle
        u, v = offset @ across / (across @ across), offset @ down / (down @ down)
        if max(abs(u), abs(v)) <= 0.5:
            found.append((float(np.hypot(u, v)), number))
    return min(found)[1] if found else None
