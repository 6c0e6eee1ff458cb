"""Quadrilaterals of images cut out and laid back, polygons filled.

Coordinates are continuous here: the first pixel spans 0 to 1.
"""

import numpy as np
from PIL import Image, ImageDraw


def resize_bilinear(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear, anti-aliased when shrinking: [H, W, 3] uint8, as MTCNN was trained."""
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def sample_quad(image: np.ndarray, corners: np.ndarray, size: int) -> np.ndarray:
    """A quadrilateral of an image as a square, bilinear, rounded down.

    Args:
        image: [H, W, 3] uint8.
        corners: [4, 2]: upper left, lower left, lower right, upper right.
        size: side of the square.

    Returns:
        [size, size, 3] uint8.
    """
    out = Image.fromarray(image).transform(
        (size, size),
        Image.Transform.QUAD,
        np.asarray(corners, np.float64).ravel().tolist(),
        Image.Resampling.BILINEAR,
    )
    return np.asarray(out)


def lay_over(
    image: np.ndarray, corners: np.ndarray, height: int, width: int, order: int = 3
) -> np.ndarray:
    """The inverse of `sample_quad`: a square laid into its quadrilateral.

    Args:
        image: [S, S] or [S, S, 3] uint8 or float32. It should not have many more
            pixels than the place where it goes: scale it down first.
        corners: [4, 2] of a parallelogram in the result.
        height, width: of the result.
        order: of the interpolating splines: 1 is linear, 3 cubic.

    Returns:
        [height, width(, 3)] float32; edge pixels are continued outwards.
    """
    from scipy import ndimage

    to_crop = image.shape[0] * _to_square(corners)[::-1, ::-1]  # rows first
    middle = np.array([0.5, 0.5])
    offset = to_crop @ (middle - corners[0][::-1]) - middle
    channels = [
        ndimage.affine_transform(
            np.asarray(channel, np.float32), to_crop, offset, (height, width),
            order=order, mode="nearest",
        )
        for channel in np.moveaxis(np.atleast_3d(image), -1, 0)
    ]  # fmt: skip
    return np.stack(channels, -1).reshape(height, width, *image.shape[2:])


def inside(corners: np.ndarray, height: int, width: int) -> np.ndarray:
    """Which pixels of [height, width] have their middle in a parallelogram."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    places = np.stack([x, y], axis=-1) - corners[0]
    parts = places @ _to_square(corners).T
    return ((parts >= 0) & (parts <= 1)).all(axis=-1)


def _to_square(corners) -> np.ndarray:
    """[2, 2]: x, y from the first corner on → parts of the parallelogram's sides."""
    axes = np.stack([corners[3] - corners[0], corners[1] - corners[0]], axis=1)
    return np.linalg.inv(axes)


def polygon(corners: np.ndarray, height: int, width: int) -> np.ndarray:
    """A filled polygon: [N, 2] → [height, width] float32, 1 inside and 0 outside."""
    image = Image.new("L", (width, height))
    # Pillow's drawing counts from the middle of the first pixel.
    points = [tuple(p) for p in (np.asarray(corners) - 0.5).tolist()]
    ImageDraw.Draw(image).polygon(points, fill=255)
    return np.asarray(image, np.float32) / 255
