"""Paints a batch of images from signed distances, with smooth edges, in NumPy."""

import numpy as np

EXTENT = np.float32(0.9)
Window = tuple[slice, slice]


class Canvas:
    """The colours [B, 3, H, W] of a batch of square images.

    Coordinates run from -0.9 to 0.9, x to the right, y down. A shape is painted inside
    a window that holds it in all images of the batch, and its mask is exactly 0
    outside: an image does not depend on the others in its batch.
    """

    def __init__(self, batch: int, size: int):
        self.px = np.float32(2 * EXTENT / size)
        axis = (
            np.arange(size, dtype=np.float32) + np.float32(0.5 - size / 2)
        ) * self.px
        self.x, self.y = axis[None, None, :], axis[None, :, None]
        self.rgb = np.empty((batch, 3, size, size), np.float32)
        self.size = size

    def window(self, cx, cy, rx, ry) -> Window:
        """The rows and columns that hold the boxes (centre ± radius) of all images."""
        columns = self._range(np.min(cx - rx), np.max(cx + rx))
        rows = self._range(np.min(cy - ry), np.max(cy + ry))
        return rows, columns

    def _range(self, low, high) -> slice:
        start = int(np.floor((low + EXTENT) / self.px)) - 2
        stop = int(np.ceil((high + EXTENT) / self.px)) + 2
        return slice(max(start, 0), max(min(stop, self.size), 0))

    def fill(
        self, mask, colour, window: Window | None = None, outlined: bool = False
    ) -> None:
        """Blends `colour` [B, 3, 1, 1] or [B, 3, h, w] in, by `mask` [B, h, w].

        With `outlined`, a canvas that draws lines draws one around this shape.
        """
        view = self._view(window)
        view += (colour - view) * mask[:, None]

    def shade(self, amount, window: Window | None = None) -> None:
        """Multiplies the colours by 1 + `amount` [B, h, w]; shadows turn warm."""
        view = self._view(window)
        for channel, depth in enumerate((0.86, 1.0, 1.08)):
            view[:, channel] *= 1 + np.float32(depth) * amount

    def _view(self, window: Window | None):
        return self.rgb if window is None else self.rgb[:, :, window[0], window[1]]

    def finish(self) -> np.ndarray:
        """The images, rounded: [B, H, W, 3] uint8."""
        levels = np.clip(self.rgb, 0, 1) * np.float32(255) + np.float32(0.5)
        return np.ascontiguousarray(levels.astype(np.uint8).transpose(0, 2, 3, 1))


def edge(distance, px):
    """The coverage 0 to 1 of pixels of width `px` by the shape where `distance` < 0."""
    return np.clip(0.5 - distance / px, 0, 1)


def bump(r2):
    """A soft spot of the squared distance `r2`: 1 at 0, exactly 0 from 1 on."""
    t = np.clip(1 - r2, 0, None)
    return t * t


def smoothstep(low, high, x):
    """A smooth step from 0 at `low` to 1 at `high`."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def smooth_max(a, b, k):
    """The maximum of two distances, with the corner rounded by `k`."""
    h = np.clip(k - np.abs(a - b), 0, None) / k
    return np.maximum(a, b) + h * h * (k * np.float32(0.25))


def lerp(a, b, t):
    """Linear interpolation from `a` at t = 0 to `b` at t = 1."""
    return a + (b - a) * t


def palette(anchors, t):
    """Interpolates between equally spaced colours.

    Args:
        anchors: N colours (red, green, blue) from 0 to 255.
        t: [B, 1, 1], 0 for the first colour to 1 for the last.

    Returns:
        [B, 3, 1, 1], from 0 to 1.
    """
    anchors = np.asarray(anchors, np.float32) / 255
    position = np.clip(t[:, 0, 0], 0, 1) * (len(anchors) - 1)
    grid = np.arange(len(anchors))
    channels = [np.interp(position, grid, anchors[:, c]) for c in range(3)]
    return np.stack(channels, axis=1).astype(np.float32)[:, :, None, None]
