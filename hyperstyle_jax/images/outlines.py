"""Draws numbered squares around the faces of a photo."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from hyperstyle_jax.images.values import to_uint8

_CHOSEN, _OTHERS, _EDGE = (255, 200, 0), (255, 255, 255), (0, 0, 0)


def outlines(
    image: np.ndarray, quads: Sequence[np.ndarray], chosen: int = 0
) -> np.ndarray:
    """Draws a numbered outline for each square, the chosen one in yellow.

    Args:
        image: [H, W, 3], uint8 or float in [-1, 1].
        quads: [4, 2] each, x and y in pixels; the middle of the first pixel is (0, 0).
        chosen: the number of one of them.

    Returns:
        [H, W, 3] uint8.
    """
    picture = Image.fromarray(to_uint8(image))
    pen = ImageDraw.Draw(picture)
    width = max(1, round(max(picture.size) / 300))
    font = ImageFont.load_default(max(10, 12 * width))
    order = sorted(range(len(quads)), key=lambda number: number == chosen)
    for number in order:
        corners = [tuple(np.rint(corner)) for corner in quads[number]]
        closed = [*corners, corners[0]]
        pen.line(closed, _EDGE, 3 * width, joint="curve")
        pen.line(closed, _CHOSEN if number == chosen else _OTHERS, width, "curve")
        left, top = corners[0]
        place = max(left, 0) + 3 * width, max(top, 0) + 3 * width
        colour = _CHOSEN if number == chosen else _OTHERS
        options = {"stroke_width": width, "stroke_fill": _EDGE}
        pen.text(place, str(number + 1), colour, font, **options)
    return np.asarray(picture)
