"""Reading examples of a source, with an account of those that cannot be read."""

import concurrent.futures
import contextlib
import time
from collections import deque
from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from hyperstyle_jax.data.examples import ArraySource, Batch, Source

_SHOWN = 20  # unreadable examples named at a time


class ReadingLog:
    """Measures how fast examples are read, and notes those that cannot be read.

    `problems` of training and `held_out` of evaluation are {position: text}.
    """

    def __init__(self):
        self.problems: dict[int, str] = {}
        self.held_out: dict[int, str] = {}
        self._reported, self._measurements = set(), deque()

    @contextlib.contextmanager
    def measured(self, count: int) -> Iterator[None]:
        """Measures the processor time of the work on `count` examples."""
        start = time.thread_time()
        yield
        self._measurements.append((count, time.thread_time() - start))

    def report(self) -> tuple[dict[str, float], list[str]]:
        """Numbers for the log and lines for the console, since the last call."""
        # Threads go on adding to the right of the deque while this takes from the left.
        measurements = [
            self._measurements.popleft() for _ in range(len(self._measurements))
        ]
        seconds = sum(s for _, s in measurements)
        numbers = {}
        if seconds:
            rate = sum(count for count, _ in measurements) / seconds
            numbers["data_images_per_second_per_core"] = rate
        problems = [*self.problems.copy().values(), *self.held_out.values()]
        if problems:
            numbers["data_unreadable"] = len(problems)
        new = [text for text in problems if text not in self._reported]
        self._reported |= set(new)
        lines = [f"warning: {problem}; left out" for problem in new[:_SHOWN]]
        if len(new) > _SHOWN:
            lines.append(f"warning: {len(new) - _SHOWN} more could not be read")
        return numbers, lines


def in_memory(
    source: Source,
    problems: dict[int, str] | None = None,
    *,
    threads: int = 1,
    chunk: int = 256,
) -> ArraySource:
    """Reads a whole source once (a thousand images: 12 MB at 64², 197 MB at 256²).

    Args:
        problems: the examples that cannot be read are noted here, {position: why};
            each is replaced by the next one that can, as in `pipeline.batches`.
        threads: how many threads read.
        chunk: examples that a thread reads at a time.

    Raises:
        ValueError: no example can be read.
    """
    problems = {} if problems is None else problems

    def read(positions):
        return read_full_batch(source, positions, problems)

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        chunks = list(chunked(len(source), chunk))
        batches = pool.map(read, chunks)
        bar = tqdm(batches, "reading images", len(chunks), disable=None)
        return ArraySource(concatenate(list(bar)))


def read_full_batch(
    source: Source, positions: np.ndarray, problems: dict[int, str]
) -> Batch:
    """The examples at `positions` [B]; the next readable one replaces an unreadable.

    Args:
        problems: the unreadable examples are noted here, {position: why}.

    Raises:
        ValueError: no example of the source can be read.
    """
    try:
        return source.take(positions)
    except ValueError:
        examples = [_next_readable(source, int(i), problems) for i in positions]
        return concatenate(examples)


def readable_batches(
    source: Source, positions: np.ndarray, problems: dict[int, str]
) -> list[Batch]:
    """The examples that can be read, all in one batch if each of them can.

    Args:
        positions: [B].
        problems: the unreadable examples are noted here, {position: why}.
    """
    try:
        return [source.take(positions)]
    except ValueError as error:
        if len(positions) == 1:
            problems[int(positions[0])] = str(error)
            return []
    return [
        batch
        for position in positions
        for batch in readable_batches(source, np.array([position]), problems)
    ]


def image_size(source: Source) -> tuple[int, int]:
    """(height, width) of the first image that can be read.

    Raises:
        ValueError: no image can be read.
    """
    return _next_readable(source, 0, {})["image"].shape[1:3]


def concatenate(batches: list[Batch]) -> Batch:
    """Several batches as one."""
    return {k: np.concatenate([batch[k] for batch in batches]) for k in batches[0]}


def chunked(length: int, size: int) -> Iterator[np.ndarray]:
    """The positions 0 … `length` − 1 in arrays of `size`; the last may be shorter."""
    for start in range(0, length, size):
        yield np.arange(start, min(start + size, length))


def _next_readable(source: Source, start: int, problems: dict[int, str]) -> Batch:
    """A batch of the first readable example at or after `start`, around the end."""
    for i in range(start, start + len(source)):
        batches = readable_batches(source, np.array([i % len(source)]), problems)
        if batches:
            return batches[0]
    raise ValueError(f"no example can be read; the first problem: {problems[start]}")
