"""From sources of examples to batches: shuffled, sharded, resumable, each image once.

A *source* has a length and `take(positions [B]) -> {name: array [B, ...]}` with at
least `image` (uint8) and `index` (int32); faces add `latent`, `identity`, `attributes`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from hyperstyle_jax import images
from hyperstyle_jax.data import faces
from hyperstyle_jax.data.noise import uniforms

Batch = dict[str, np.ndarray]
_FLIP_STREAM = 4
# First inversions worked out beforehand, of the picture and of its mirror image.
STORED = ("w", "inversion", "w_flipped", "inversion_flipped")


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
    stored first inversions have `w` and `inversion`, and perhaps those of the flipped
    picture, `w_flipped` and `inversion_flipped`.
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
        batch = {"image": np.stack([images.read(e["image"]) for e in examples])}
        for name in ("index", "identity"):
            if name in examples[0]:
                batch[name] = np.array([e[name] for e in examples], np.int32)
        for name in ("latent", "attributes", *STORED):
            if name in examples[0]:
                batch[name] = np.stack([e[name] for e in examples])
        batch.setdefault("index", np.asarray(positions, np.int32))
        return batch

    def names(self) -> list[str]:
        """The file each picture came from (data sets made from folders only)."""
        return [record["name"].decode() for record in self.records]

    def _example(self, i: int):
        try:
            return self.records[i]
        except RuntimeError as error:  # of the checksums of array_record
            raise ValueError(f"{self._path}: record {i}: {error}") from None


class Part:
    """The examples first ≤ position < end of another source."""

    def __init__(self, source: Source, first: int, end: int):
        if not 0 <= first < end <= len(source):
            raise ValueError(
                f"part: got {first} to {end} of {len(source)} examples, expected "
                "0 <= first < end <= number of examples"
            )
        self._source, self._first, self._end = source, first, end

    def __len__(self) -> int:
        return self._end - self._first

    def take(self, positions: np.ndarray) -> Batch:
        return self._source.take(self._first + np.asarray(positions))


def in_memory(source: Source, chunk: int = 256) -> ArraySource:
    """Reads a whole source once (64² pictures: 12 MB per thousand)."""
    parts = [source.take(positions) for positions in _chunks(len(source), chunk)]
    return ArraySource(
        {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}
    )


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
):
    """Batches for training, prepared in the background.

    All hosts together see exactly the examples that one host with the sum of their
    batches would see, step by step. A flipped face comes with the mirrored latent and
    attributes, which describe it exactly (see `faces.mirror`).

    Args:
        source: where examples come from.
        batch_size: of this host.
        seed: order and flips are a pure function of it.
        flip: mirrors half of the pictures, chosen anew in every epoch.
        shuffle: a new order in every epoch.
        shard: (this host, number of hosts).
        epochs: passes over the source; None for ever. The last incomplete batch of a
            finite stream is left out.
        threads: background threads; 0 reads when asked.

    Returns:
        A grain iterator. `get_state()` is a small dictionary; after `set_state(state)`
        the same batches follow as before, bit for bit.
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

    def load(pair: np.ndarray) -> Batch:
        batch = source.take(pair[:, 1])
        return _flipped(batch, _coin(seed, pair[:, 0])) if flip else batch

    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
    return iter(ordered.map(load).to_iter_dataset(options))


def each_once(
    source: Source, batch_size: int, shard: tuple[int, int] = (0, 1)
) -> Iterator[Batch]:
    """Every example exactly once and in order, for evaluation; the last batch is short.

    Args:
        source: where examples come from.
        batch_size: of this host.
        shard: (this host, number of hosts); hosts take turns.
    """
    host, hosts = shard
    mine = np.arange(host, len(source), hosts)
    for positions in _chunks(len(mine), batch_size):
        yield source.take(mine[positions])


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
    """Mirrors the chosen examples: their pictures, latents and attributes."""
    mirrored = {"image": batch["image"][:, :, ::-1]}
    if "latent" in batch:
        mirrored["latent"] = faces.mirror(batch["latent"])
    if "attributes" in batch:
        mirrored["attributes"] = faces.mirror_attributes(batch["attributes"])
    chosen = {
        name: chosen.reshape(-1, *[1] * (batch[name].ndim - 1)) for name in mirrored
    }
    changed = {k: np.where(chosen[k], mirrored[k], batch[k]) for k in mirrored}
    return {**batch, **changed}
