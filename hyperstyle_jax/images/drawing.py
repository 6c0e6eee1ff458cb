"""Draws grids of images with labels, and the error between two images as heat."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from hyperstyle_jax.images.values import to_uint8

# Dark to bright, readable without colour too.
_HEAT = ((0, 0, 4), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10))


def grid(
    rows: Sequence[Sequence[np.ndarray]] | np.ndarray,
    column_labels: Sequence[str] | None = None,
    row_labels: Sequence[str] | None = None,
    scale: int = 1,
    gap: int = 2,
) -> np.ndarray:
    """Draws many images into one, in rows and columns.

    Args:
        rows: images [H, W, 3] of one size, uint8 or float in [-1, 1]; rows may be of
            different length. An array [R, C, H, W, 3] works too.
        column_labels: text above each column. row_labels: text left of each row.
        scale: enlarges every image this many times, without smoothing.
        gap: white pixels between images.

    Returns:
        [height, width, 3] uint8.
    """
    rows = [[to_uint8(image) for image in row] for row in rows]
    shapes = {image.shape for row in rows for image in row}
    if len(shapes) != 1:
        raise ValueError(
            f"grid: got images of {sorted(shapes) or 'no size'}, expected one size"
        )
    height, width = (side * scale for side in shapes.pop()[:2])
    font = ImageFont.load_default(max(10, min(20, width // 7)))
    left = top = gap
    if row_labels:
        left += 2 * gap + max(_text_width(font, text) for text in row_labels)
    if column_labels:
        top += 2 * gap + round(font.size)
    columns = max(len(row) for row in rows)
    canvas = np.full(
        (top + len(rows) * (height + gap), left + columns * (width + gap), 3),
        255,
        np.uint8,
    )
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            y, x = top + i * (height + gap), left + j * (width + gap)
            big = image.repeat(scale, axis=0).repeat(scale, axis=1)
            canvas[y : y + height, x : x + width] = big
    labelled = Image.fromarray(canvas)
    pen = ImageDraw.Draw(labelled)
    for j, text in enumerate(column_labels or ()):
        middle = left + j * (width + gap) + width // 2
        pen.text((middle, gap), _fit(font, text, width), "black", font, anchor="ma")
    for i, text in enumerate(row_labels or ()):
        middle = top + i * (height + gap) + height // 2
        pen.text((left - 2 * gap, middle), text, "black", font, anchor="rm")
    return np.asarray(labelled)


def error_map(target: np.ndarray, image: np.ndarray, limit: float = 0.25) -> np.ndarray:
    """Draws where two images differ, as heat.

    Args:
        target, image: [..., H, W, 3] uint8 or float in [-1, 1].
        limit: the difference shown brightest, as a part of the full range.

    Returns:
        [..., H, W, 3] uint8: the mean over the channels of |target − image|.
    """
    a, b = (to_uint8(x).astype(np.float32) for x in (target, image))
    if a.shape != b.shape:
        raise ValueError(f"error map: got {a.shape} and {b.shape}, expected one size")
    heat = np.clip(np.abs(a - b).mean(-1) / (255 * limit), 0, 1) * (len(_HEAT) - 1)
    anchors = np.array(_HEAT, np.float32)
    channels = [np.interp(heat, range(len(_HEAT)), anchors[:, c]) for c in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def _text_width(font, text: str) -> int:
    return int(np.ceil(font.getlength(text)))


def _fit(font, text: str, width: int) -> str:
    while text and _text_width(font, text) > width:
        text = text[:-1]
    return text
