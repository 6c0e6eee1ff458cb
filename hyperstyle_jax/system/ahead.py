"""Does work ahead of what takes its results, so that a device need not wait."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Value = TypeVar("Value")


def ahead(
    work: Callable[[Item], Value],
    items: Iterable[Item],
    most: int,
    workers: int | None = None,
) -> Iterator[Future[Value]]:
    """Does `work` for items in threads, and gives the results in the items' order.

    Decoding and finding faces free Python's lock, so threads run side by side.

    Args:
        work: called in threads.
        items: read as they are needed.
        most: how many results may be there, or in the making, before they are taken.
        workers: threads; by default one for each processor, four at most.

    Yields:
        The future of each item, which may still be running; its `result` waits, and
        raises what `work` raised.
    """
    waiting: deque[Future[Value]] = deque()
    with ThreadPoolExecutor(workers or min(4, os.cpu_count() or 1)) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= most:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:
            for future in waiting:
                future.cancel()
