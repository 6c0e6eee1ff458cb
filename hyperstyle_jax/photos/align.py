"""The alignment of the FFHQ data set: a square around the face, cut out upright.

https://arxiv.org/abs/1812.04948, appendix C. The steps and their roundings are those of
the script that HyperStyle, pSp and PTI share, so that a face lies where their networks
expect it: shrink, crop, pad (reflected, blurred, faded to the median), transform.
"""

import math
from typing import NamedTuple

import numpy as np

from hyperstyle_jax import images
from hyperstyle_jax.images import warping
from hyperstyle_jax.photos.face import Anchors, Face

_SMALLEST, _LARGEST = 8, 4096  # side of a crop
_BORDER, _PAD, _BLUR = 0.1, 0.3, 0.02  # parts of the square's side


class Aligned(NamedTuple):
    """A face, cut out.

    Attributes:
        face: in the photo.
        image: [S, S, 3] uint8.
        corners: [4, 2], where the crop's corners lie in the photo: upper left, lower
            left, lower right, upper right. Here the first pixel spans 0 to 1, and the
            roundings of the shrunk photo's size are in it.
        outside: the part of the crop, 0 to 1, that lies outside of the photo.
    """

    face: Face
    image: np.ndarray
    corners: np.ndarray
    outside: float


def face_quad(anchors: Anchors) -> np.ndarray:
    """The corners of FFHQ's square around a face.

    Returns:
        [4, 2] float64: upper left, lower left, lower right, upper right, in the pixels
        of the photo; the middle of the first pixel is (0, 0).

    Raises:
        ValueError: the points coincide.
    """
    left, right, mouth_left, mouth_right = (np.asarray(p, np.float64) for p in anchors)
    eyes = (left + right) * 0.5
    eye_to_eye = right - left
    eye_to_mouth = (mouth_left + mouth_right) * 0.5 - eyes
    x = eye_to_eye - np.flipud(eye_to_mouth) * [-1, 1]
    length = np.hypot(*x)
    if not length > 0:
        raise ValueError("eyes and mouth are at one point; is this a face?")
    x /= length
    x *= max(np.hypot(*eye_to_eye) * 2.0, np.hypot(*eye_to_mouth) * 1.8)
    y = np.flipud(x) * [-1, 1]
    center = eyes + eye_to_mouth * 0.1
    corners = (center - x - y, center - x + y, center + x + y, center + x - y)
    return np.stack(corners)


def align_face(
    photo: np.ndarray, face: Face, size: int, supersampled: int | None = None
) -> Aligned:
    """Cuts a face out of a photo and turns it upright.

    Args:
        photo: [H, W, 3] uint8.
        face: in the photo.
        size: side of the crop in pixels.
        supersampled: side at which it is sampled before it is scaled to `size`: 4096
            for FFHQ's own images, not given for HyperStyle's and PTI's.

    Raises:
        ValueError: a senseless size, or a square that does not meet the photo.
    """
    quad = face_quad(face.anchors)
    _check(photo, quad, size)
    outside = _part_outside(quad, photo.shape)
    image, quad, scale = _shrink(photo, quad, size)
    image, quad, offset = _crop(image, quad)
    image, quad, pad = _pad(image, quad)
    corners = (quad + 0.5 + offset - pad) * scale
    sampled = warping.sample_quad(image, quad + 0.5, supersampled or size)
    if sampled.shape[0] != size:
        sampled = images.resize(sampled, size, size)
    return Aligned(face, sampled, corners, outside)


def side(quad: np.ndarray) -> float:
    """The length of the square's side in pixels of the photo."""
    return float(np.hypot(*(quad[3] - quad[0])))


def check_size(size: int) -> None:
    """Raises ValueError for a senseless side of a crop."""
    if not _SMALLEST <= size <= _LARGEST:
        raise ValueError(
            f"size {size}: expected a number from {_SMALLEST} to {_LARGEST}"
        )


def _check(photo, quad, size):
    check_size(size)
    height, width = photo.shape[:2]
    low, high = quad.min(axis=0), quad.max(axis=0)
    if (high <= 0).any() or (low >= (width - 1, height - 1)).any():
        raise ValueError(
            f"the face lies outside of the photo of {width} x {height} pixels; are the "
            "landmarks of another photo, or of one that is not turned upright?"
        )
    if not side(quad) >= _SMALLEST:
        raise ValueError(
            f"the face is {side(quad):.1f} pixels wide, expected at least {_SMALLEST}; "
            "use a larger photo"
        )
    if side(quad) > 8 * max(height, width):
        raise ValueError(
            f"the face is {side(quad):.0f} pixels wide in a photo of {width} x "
            f"{height}; are the landmarks of another photo?"
        )


def _part_outside(quad, shape) -> float:
    """By a grid of 64 × 64 points of the square."""
    u, v = np.meshgrid(*2 * [(np.arange(64) + 0.5) / 64])
    x, y = (
        quad[0, i] + u * (quad[3, i] - quad[0, i]) + v * (quad[1, i] - quad[0, i])
        for i in (0, 1)
    )
    inside = (x >= -0.5) & (x <= shape[1] - 0.5) & (y >= -0.5) & (y <= shape[0] - 0.5)
    return float(1 - inside.mean())


def _shrink(image, quad, size):
    """A photo of far more pixels than needed is scaled down first.

    Returns:
        The image, the quad in it, and the factors (x, y) back to the photo.
    """
    shrink = int(np.floor(side(quad) / size * 0.5))
    if shrink <= 1:
        return image, quad, np.ones(2)
    height, width = image.shape[:2]
    rows, columns = (int(np.rint(float(n) / shrink)) for n in (height, width))
    small = images.resize(image, rows, columns)
    return small, quad / shrink, np.array([width / columns, height / rows])


def _border(quad) -> int:
    return max(int(np.rint(side(quad) * _BORDER)), 3)


def _crop(image, quad):
    """What is needed of the photo, the quad in it, and where its first pixel was."""
    border, (height, width) = _border(quad), image.shape[:2]
    left, top = (math.floor(v) - border for v in quad.min(axis=0))
    right, bottom = (math.ceil(v) + border for v in quad.max(axis=0))
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, width), min(bottom, height)
    offset = np.array([left, top])
    return image[top:bottom, left:right], quad - offset, offset


def _pad(image, quad):
    """Continues a photo beyond its edges, the farther the less distinctly.

    Returns:
        The image, the quad in it, and the pixels added on the left and on top.
    """
    border, (height, width) = _border(quad), image.shape[:2]
    left, top = (max(-math.floor(v) + border, 0) for v in quad.min(axis=0))
    beyond = np.ceil(quad.max(axis=0)).astype(int) - (width, height) + border
    right, bottom = (max(int(v), 0) for v in beyond)
    if max(left, top, right, bottom) <= border - 4:
        return image, quad, np.zeros(2)
    least = int(np.rint(side(quad) * _PAD))
    left, top, right, bottom = (max(n, least) for n in (left, top, right, bottom))
    edges = ((top, bottom), (left, right), (0, 0))
    padded = np.pad(np.float32(image), edges, "reflect")
    faded = _fade(padded, (left, top, right, bottom), side(quad) * _BLUR)
    return faded, quad + (left, top), np.array([left, top])


def _fade(image, pad, blur) -> np.ndarray:
    """[H, W, 3] float32 → uint8, blurred and faded to the median towards the edges."""
    from scipy import ndimage

    left, top, right, bottom = pad
    height, width = image.shape[:2]
    y, x, _ = np.ogrid[:height, :width, :1]
    # 1 at the outermost pixel, 0 where the photo begins, negative inside.
    distance = np.maximum(
        1.0 - np.minimum(np.float32(x) / left, np.float32(width - 1 - x) / right),
        1.0 - np.minimum(np.float32(y) / top, np.float32(height - 1 - y) / bottom),
    )
    blurred = ndimage.gaussian_filter(image, [blur, blur, 0])
    image = image + (blurred - image) * np.clip(distance * 3.0 + 1.0, 0.0, 1.0)
    median = np.median(image, axis=(0, 1))
    image += (median - image) * np.clip(distance, 0.0, 1.0)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
