"""The type of what `speed` times."""

import dataclasses
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Item:
    """Something to time.

    Attributes:
        make: () → (function to be jitted, its arguments); None: `stream` is timed.
        images: how many one call makes or reads.
        stream: () → a function that does the work of one call on the host.
        renews: the first result of a call is the next call's first argument.
        devices: how many CPU devices there are, where there is no other kind.
        dtype: of the feature maps.
    """

    make: Callable[[], tuple[Callable, tuple]] | None
    images: int
    stream: Callable[[], Callable[[], Any]] | None = None
    renews: bool = False
    devices: int = 1
    dtype: str = "float32"
