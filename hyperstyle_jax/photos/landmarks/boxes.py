"""Boxes of faces as MTCNN counts them: x1, y1, x2, y2, both ends included."""

import numpy as np


def suppress(
    boxes: np.ndarray, scores: np.ndarray, most: float, within: bool = False
) -> np.ndarray:
    """Of boxes that overlap only the best is kept.

    Args:
        boxes: [N, 4]. scores: [N].
        most: how much two boxes may overlap: intersection over union, or with `within`
            over the smaller one.

    Returns:
        Indices of the boxes that are kept, the best first.
    """
    areas = np.prod(boxes[:, 2:] - boxes[:, :2] + 1, axis=1)
    order, kept = np.argsort(-scores, kind="stable"), []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[order, :2])
        high = np.minimum(boxes[best, 2:], boxes[order, 2:])
        shared = np.prod(np.maximum(high - low + 1, 0), axis=1)
        whole = areas[best] + areas[order] - shared
        if within:
            whole = np.minimum(areas[best], areas[order])
        order = order[shared <= most * whole]
    return np.array(kept, int)


def shift(boxes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Boxes [N, 4] moved by offsets [N, 4] in parts of their width and height."""
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    return boxes + np.tile(sides, 2) * offsets


def squares(boxes: np.ndarray) -> np.ndarray:
    """The squares around the middles of boxes, in whole pixels: [N, 4]."""
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    largest = sides.max(axis=1, keepdims=True)
    low = boxes[:, :2] + sides * 0.5 - largest * 0.5
    return np.round(np.concatenate([low, low + largest - 1], axis=1))


def cut(photo: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The pixels in a box of whole numbers; black outside of the photo."""
    left, top, right, bottom = (int(v) for v in box)
    height, width = photo.shape[:2]
    part = np.zeros((bottom - top + 1, right - left + 1, 3), np.uint8)
    y0, y1, x0, x1 = max(top, 0), min(bottom + 1, height), max(left, 0), right + 1
    inside = photo[y0:y1, x0 : min(x1, width)]
    y, x = y0 - top, x0 - left
    part[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return part
