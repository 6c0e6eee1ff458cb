"""From sources of examples to batches: shuffled, sharded, resumable, each image once.

A *source* has a length and `take(positions [B]) -> {name: array [B, ...]}` with at
least `image` (uint8) and `index` (int32); faces add `latent`, `identity`, `attributes`.
"""

import concurrent.futures
import contextlib
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from hyperstyle_jax import faces, images
from hyperstyle_jax.data import initial_inversions
from hyperstyle_jax.faces.noise import uniforms

Batch = dict[str, np.ndarray]
_FLIP_STREAM = 4
_SHOWN = 20  # unreadable examples named at a time
# What an example may hold beside its image, its index and its identity.
_VECTORS = (
    "latent",
    "attributes",
    *initial_inversions.NAMES,
    *initial_inversions.MIRRORED,
)


class Source(Protocol):
    def __len__(self) -> int: ...

    def take(self, positions: np.ndarray) -> Batch: ...


class ArraySource:
    """Examples held in memory: reading them costs nothing."""

    def __init__(self, arrays: Batch):
        lengths = {name: len(array) for name, array in arrays.items()}
        if "image" not in arrays or len(set(lengths.values())) != 1:
            raise ValueError(
                f"arrays: got {lengths}, expected `image`, all equally long"
            )
        default = {"index": np.arange(len(arrays["image"]), dtype=np.int32)}
        self._arrays = {**default, **arrays}

    def __len__(self) -> int:
        return len(self._arrays["image"])

    def take(self, positions: np.ndarray) -> Batch:
        return {name: array[positions] for name, array in self._arrays.items()}


class FaceSource:
    """Procedural faces first ≤ index < end, drawn when they are needed."""

    def __init__(
        self,
        indices: tuple[int, int],
        size: int,
        seed: int = 0,
        accessories: bool = False,
        images_per_identity: int = 1,
    ):
        self._first, self._end = indices
        self._draw = {"seed": seed, "size": size, "accessories": accessories}
        self._per_identity = images_per_identity
        if not 0 <= self._first < self._end:
            raise ValueError(
                f"indices: got {indices}, expected (first, end), first < end"
            )

    def __len__(self) -> int:
        return self._end - self._first

    def take(self, positions: np.ndarray) -> Batch:
        indices = self._first + np.asarray(positions)
        people = indices // self._per_identity
        drawn = faces.draw(indices, identities=people, **self._draw)
        drawn.pop("accessories", None)
        return drawn


class RecordSource:
    """A split of a prepared data set; opened when first used.

    `index` is what the data set stores, or else the place in the split. Examples with
    stored initial inversions have `w` and `inversion`, and perhaps those of the flipped
    image, `w_flipped` and `inversion_flipped`.
    """

    def __init__(self, path: str | Path, split: str = "train"):
        self._path, self._split, self._records = Path(path), split, None

    @property
    def records(self):
        if self._records is None:
            from hyperstyle_jax.data import builders  # seconds, so not before it is due

            self._records = builders.open_records(self._path, self._split)
        return self._records

    def __len__(self) -> int:
        return len(self.records)

    def take(self, positions: np.ndarray) -> Batch:
        """Raises ValueError where a record is damaged."""
        examples = [self._example(int(i)) for i in positions]
        batch = {"image": np.stack([e["image"] for e in examples])}
        for name in ("index", "identity"):
            if name in examples[0]:
                batch[name] = np.array([e[name] for e in examples], np.int32)
        for name in _VECTORS:
            if name in examples[0]:
                batch[name] = np.stack([e[name] for e in examples])
        batch.setdefault("index", np.asarray(positions, np.int32))
        return batch

    def names(self) -> list[str]:
        """The file each image came from (data sets made from folders only)."""
        return [record["name"].decode() for record in self.records]

    def rows(self) -> list:
        """Name and checksums of each image (`shards.Row`); [] if none are stored."""
        from hyperstyle_jax.data import shards

        stored = shards.is_data_set(self._path)
        return shards.rows(self._path, self._split) if stored else []

    @property
    def image_size(self) -> tuple[int, int]:
        """(H, W) of the first image that can be read."""
        return _next(self, 0, {})["image"].shape[1:3]

    def _example(self, i: int):
        try:
            record = self.records[i]
            return record | {"image": images.read(record["image"])}
        except (ValueError, RuntimeError) as error:  # RuntimeError: of array_record
            raise ValueError(f"{self._path}, record {i}: {error}") from None


class Part:
    """Some of the examples of another source, by their positions."""

    def __init__(self, source: Source, positions: Sequence[int]):
        self._source, self._positions = source, np.asarray(positions)
        good = self._positions.size and self._positions.min() >= 0
        if not good or self._positions.max() >= len(source):
            raise ValueError(
                f"part: got {positions} of {len(source)} examples, expected one or "
                "more positions from 0 on, less than the number of examples"
            )

    def __len__(self) -> int:
        return len(self._positions)

    def take(self, positions: np.ndarray) -> Batch:
        return self._source.take(self._positions[positions])


def in_memory(
    source: Source,
    problems: dict[int, str] | None = None,
    *,
    threads: int = 1,
    chunk: int = 256,
) -> ArraySource:
    """Reads a whole source once (thousand images: 12 MB at 64², 197 MB at 256²).

    Args:
        problems: takes note of examples that cannot be read, {position: why}; as in
            `batches` the next one that can takes their place.
    """
    problems = {} if problems is None else problems

    def read(positions):
        return _replacing(source, positions, problems)

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        chunks = list(_chunks(len(source), chunk))
        parts = pool.map(read, chunks)
        bar = tqdm(parts, "reading images", len(chunks), disable=None)
        return ArraySource(joined(list(bar)))


def batches(
    source: Source,
    batch_size: int,
    seed: int,
    *,
    flip: bool = False,
    shuffle: bool = True,
    shard: tuple[int, int] = (0, 1),
    epochs: int | None = None,
    threads: int = 2,
) -> "Stream":
    """Batches for training, prepared in the background.

    All hosts together see exactly the examples that one host with the sum of their
    batches would see, step by step. A flipped face comes with the mirrored latent and
    attributes, which describe it exactly (see `faces.mirror`), a flipped image with
    the initial inversion of its mirror image, if there are stored ones.

    An example that cannot be read is replaced by the next one that can: the same in
    every epoch, on every host and after every start.

    Args:
        source: where examples come from.
        batch_size: of this host.
        seed: order and flips are a pure function of it.
        flip: mirrors half of the images, chosen anew in every epoch.
        shuffle: a new order in every epoch.
        shard: (this host, number of hosts).
        epochs: passes over the source; None for ever. The last incomplete batch of a
            finite stream is left out.
        threads: background threads; 0 reads when asked.
    """
    import grain  # seconds, so not before it is due

    host, hosts = shard
    if len(source) < 1 or batch_size < 1 or not 0 <= host < hosts:
        raise ValueError(
            f"batches: got {len(source)} examples, batch_size {batch_size}, shard "
            f"{shard}; expected at least 1, at least 1, and (host, number of hosts)"
        )
    order = grain.MapDataset.range(len(source)).seed(seed)
    if shuffle:
        order = order.shuffle()
    order = order.repeat(epochs).map_with_index(lambda place, i: np.array((place, i)))
    ordered = order[host::hosts].batch(batch_size, drop_remainder=True)
    watch = Watch()

    def load(pair: np.ndarray) -> Batch:
        with watch.measured(batch_size):
            batch = _replacing(source, pair[:, 1], watch.problems)
            chosen = _coin(seed, pair[:, 0]) if flip else np.zeros(batch_size, bool)
            return _flipped(batch, chosen)

    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads + 2)
    return Stream(iter(ordered.map(load).to_iter_dataset(options)), watch)


class Stream(Iterator[Batch]):
    """Batches, and how they are doing.

    `get_state()` is a small dictionary; after `set_state(state)` the same batches
    follow as before, bit for bit.
    """

    def __init__(self, iterator, watch: "Watch"):
        self._iterator, self.watch = iterator, watch
        self.get_state, self.set_state = iterator.get_state, iterator.set_state

    def __next__(self) -> Batch:
        return next(self._iterator)

    def report(self) -> tuple[dict[str, float], list[str]]:
        """Numbers for the log and lines for the console, since the last call."""
        return self.watch.report()


class Watch:
    """Counts what the threads of a stream do, and notes what cannot be read.

    `problems` of training and `held_out` of evaluation are {position: text}.
    """

    def __init__(self):
        self.problems: dict[int, str] = {}
        self.held_out: dict[int, str] = {}
        self._told, self._measures = set(), deque()

    @contextlib.contextmanager
    def measured(self, count: int):
        """Around the work on `count` examples: seconds that the processor worked."""
        start = time.thread_time()
        yield
        self._measures.append((count, time.thread_time() - start))

    def report(self) -> tuple[dict[str, float], list[str]]:
        """See `Stream.report`."""
        taken = [self._measures.popleft() for _ in range(len(self._measures))]
        seconds = sum(s for _, s in taken)
        numbers = {}
        if seconds:
            rate = sum(n for n, _ in taken) / seconds
            numbers["data_images_per_second_per_core"] = rate
        problems = [*self.problems.copy().values(), *self.held_out.values()]
        if problems:
            numbers["data_unreadable"] = len(problems)
        new = [text for text in problems if text not in self._told]
        self._told |= set(new)
        lines = [f"warning: {problem}; left out" for problem in new[:_SHOWN]]
        if len(new) > _SHOWN:
            lines.append(f"warning: {len(new) - _SHOWN} more could not be read")
        return numbers, lines


def each_once(
    source: Source,
    batch_size: int,
    shard: tuple[int, int] = (0, 1),
    problems: dict[int, str] | None = None,
) -> Iterator[Batch]:
    """Every example exactly once and in order, for evaluation; the last batch is short.

    Args:
        source: where examples come from.
        batch_size: of this host.
        shard: (this host, number of hosts); hosts take turns.
        problems: takes note of examples that cannot be read, which are left out;
            without, they are an error.
    """
    host, hosts = shard
    mine = np.arange(host, len(source), hosts)
    for positions in _chunks(len(mine), batch_size):
        if problems is None:
            yield source.take(mine[positions])
        elif found := readable(source, mine[positions], problems):
            yield joined(found)


def readable(source: Source, positions, problems: dict[int, str]) -> list[Batch]:
    """The examples that can be read, all in one batch if nothing is wrong.

    Args:
        problems: takes note of the others, {position: why}.
    """
    try:
        return [source.take(positions)]
    except ValueError as error:
        if len(positions) == 1:
            problems[int(positions[0])] = str(error)
            return []
    return [b for i in positions for b in readable(source, np.array([i]), problems)]


def _replacing(source: Source, positions, problems: dict[int, str]) -> Batch:
    """A full batch, whatever can be read."""
    try:
        return source.take(positions)
    except ValueError:
        return joined([_next(source, int(i), problems) for i in positions])


def _next(source: Source, start: int, problems: dict[int, str]) -> Batch:
    for i in range(start, start + len(source)):
        found = readable(source, np.array([i % len(source)]), problems)
        if found:
            return found[0]
    raise ValueError(f"no example can be read; the first problem: {problems[start]}")


def joined(parts: list[Batch]) -> Batch:
    """Several batches as one."""
    return {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}


def padded(batch: Batch, size: int) -> Batch:
    """A batch filled up to `size` by repetition; `valid` [size] marks its own."""
    have = len(batch["image"])
    places = np.arange(size) % have
    full = {name: array[places] for name, array in batch.items()}
    return {**full, "valid": np.arange(size) < have}


def _chunks(length: int, size: int) -> Iterator[np.ndarray]:
    for start in range(0, length, size):
        yield np.arange(start, min(start + size, length))


def _coin(seed: int, places: np.ndarray) -> np.ndarray:
    """[B] bool; by the place in the whole stream, so it does not depend on the host."""
    return uniforms(seed, _FLIP_STREAM, places, 1)[:, 0] < 0.5


def _flipped(batch: Batch, chosen: np.ndarray) -> Batch:
    """Mirrors the chosen examples: images, latents, attributes, initial inversions."""
    names = zip(initial_inversions.NAMES, initial_inversions.MIRRORED, strict=True)
    mirrored = {name: batch[other] for name, other in names if other in batch}
    batch = {k: v for k, v in batch.items() if k not in initial_inversions.MIRRORED}
    if not chosen.any():
        return batch
    mirrored["image"] = batch["image"][:, :, ::-1]
    if "latent" in batch:
        mirrored["latent"] = faces.mirror(batch["latent"])
    if "attributes" in batch:
        mirrored["attributes"] = faces.mirror_attributes(batch["attributes"])
    for name, values in mirrored.items():
        here = chosen.reshape(-1, *[1] * (values.ndim - 1))
        batch[name] = np.where(here, values, batch[name])
    return batch
