"""A smooth image for tests of files and sizes."""

import numpy as np


def gradient(height=24, width=32):
    """A smooth image [height, width, 3] uint8 whose corners all differ."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return np.rint(np.stack([x, y, (x + y) / 2], -1) * 200 + 20).astype(np.uint8)
