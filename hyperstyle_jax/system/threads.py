"""Work in threads whose results come in order."""

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


def map_in_order(
    pool: Executor, work: Callable[[T], U], items: Iterable[T]
) -> Iterator[U]:
    """Maps like `pool.map`, but works only a few items ahead: images are large."""
    items, ahead = iter(items), 4 * (os.cpu_count() or 1)
    pending = deque(pool.submit(work, i) for i in itertools.islice(items, ahead))
    while pending:
        yield pending.popleft().result()
        pending.extend(pool.submit(work, i) for i in itertools.islice(items, 1))
