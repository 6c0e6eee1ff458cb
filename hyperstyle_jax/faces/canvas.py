"""Anti-aliased painting of a batch of images from signed distances, in NumPy."""

import numpy as np

EXTENT = np.float32(0.9)
Window = tuple[slice, slice]


class Canvas:
    """[B, 3, H, W] colours; coordinates run from -0.9 to 0.9, x to the right, y down.

    Every shape is painted inside a window that holds it for the whole batch, and
    every mask is exactly 0 outside its shape: so an image does not depend on which
    other images share its batch.
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
        """Rows and columns that hold the boxes (centre ± radius) of all images."""
        columns = self._range(np.min(cx - rx), np.max(cx + rx))
        rows = self._range(np.min(cy - ry), np.max(cy + ry))
        return rows, columns

    def _range(self, low, high) -> slice:
        first = int(np.floor((low + EXTENT) / self.px)) - 2
        last = int(np.ceil((high + EXTENT) / self.px)) + 2
        return slice(max(first, 0), max(min(last, self.size), 0))

    def fill(self, mask, colour, window: Window | None = None) -> None:
        """Blends `colour` [B, 3, 1, 1] or [B, 3, h, w] in, by `mask` [B, h, w]."""
        view = self._view(window)
        view += (colour - view) * mask[:, None]

    def shade(self, amount, window: Window | None = None) -> None:
        """Multiplies the colours by 1 + `amount` [B, h, w]; shadows stay warm."""
        view = self._view(window)
        for channel, depth in enumerate((0.86, 1.0, 1.08)):
            view[:, channel] *= 1 + np.float32(depth) * amount

    def _view(self, window: Window | None):
        return self.rgb if window is None else self.rgb[:, :, window[0], window[1]]

    def finish(self) -> np.ndarray:
        """[B, H, W, 3] uint8, rounded."""
        levels = np.clip(self.rgb, 0, 1) * np.float32(255) + np.float32(0.5)
        return np.ascontiguousarray(levels.astype(np.uint8).transpose(0, 2, 3, 1))


def edge(distance, px):
    """Coverage of a pixel by the shape where `distance` < 0: analytic anti-aliasing."""
    return np.clip(0.5 - distance / px, 0, 1)


def bump(r2):
    """A soft spot: 1 at r2 = 0, exactly 0 from r2 = 1 on, smooth."""
    t = np.clip(1 - r2, 0, None)
    return t * t


def step(low, high, x):
    """Smooth step from 0 at `low` to 1 at `high`."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def smooth_max(a, b, k):
    """Maximum of two distances with the corner rounded by `k`."""
    h = np.clip(k - np.abs(a - b), 0, None) / k
    return np.maximum(a, b) + h * h * (k * np.float32(0.25))


def mix(a, b, t):
    return a + (b - a) * t


def palette(anchors, t):
    """Colours [B, 3, 1, 1] at `t` [B, 1, 1] in 0 to 1 along equally spaced anchors."""
    anchors = np.asarray(anchors, np.float32) / 255
    where = np.clip(t[:, 0, 0], 0, 1) * (len(anchors) - 1)
    grid = np.arange(len(anchors))
    channels = [np.interp(where, grid, anchors[:, c]) for c in range(3)]
    return np.stack(channels, axis=1).astype(np.float32)[:, :, None, None]
