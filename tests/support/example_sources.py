"""Sources of examples for the tests of batches: some are damaged."""

import numpy as np

from hyperstyle_jax.data.examples import ArraySource


def source(n=37, size=8):
    image = np.arange(n, dtype=np.uint8)[:, None, None, None]
    ramp = np.arange(size, dtype=np.uint8)[None, None, :, None]
    return ArraySource(
        {"image": image + 0 * ramp + ramp * 5 + np.zeros((1, size, 1, 3), np.uint8)}
    )


def same(a, b):
    return a.keys() == b.keys() and all((a[k] == b[k]).all() for k in a)


class Damaged:
    """`source()` with some positions that cannot be read."""

    def __init__(self, bad):
        self._source, self._bad = source(), set(bad)

    def __len__(self):
        return len(self._source)

    def take(self, positions):
        if bad := self._bad.intersection(int(i) for i in positions):
            raise ValueError(f"record {min(bad)} is damaged")
        return self._source.take(positions)
