"""Draws arrows and points on images."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from hyperstyle_jax.images.values import to_uint8

_FROM, _TO, _SHAFT = (220, 40, 50), (40, 110, 230), (255, 255, 255)


def arrows(
    image: np.ndarray,
    points: Sequence[Sequence[float]] | np.ndarray,
    targets: Sequence[Sequence[float]] | np.ndarray,
    scale: int = 1,
) -> np.ndarray:
    """Enlarges an image and draws an arrow from each point (red) to its target (blue).

    Args:
        image: [H, W, 3], uint8 or float in [-1, 1].
        points, targets: [P, 2], x and y in pixels of the image before it is enlarged.
        scale: how many times it is enlarged, without smoothing.

    Returns:
        [scale·H, scale·W, 3] uint8.
    """
    big = to_uint8(image).repeat(scale, axis=0).repeat(scale, axis=1)
    picture = Image.fromarray(big)
    pen = ImageDraw.Draw(picture)
    radius = max(2.0, min(big.shape[:2]) / 70)
    for point, target in zip(points, targets, strict=True):
        start, end = ((np.asarray(p, float) + 0.5) * scale for p in (point, target))
        pen.line([*start, *end], _SHAFT, round(radius * 0.8))
        for place, colour in ((end, _TO), (start, _FROM)):
            box = [*(place - radius), *(place + radius)]
            pen.ellipse(box, colour, _SHAFT)
    return np.asarray(picture)
