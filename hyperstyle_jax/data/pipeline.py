"""Batches of examples: shuffled, sharded over hosts, flipped and resumable."""

from collections.abc import Iterator

import numpy as np

from hyperstyle_jax import faces
from hyperstyle_jax.data import initial_inversions, reading
from hyperstyle_jax.data.examples import Batch, Source
from hyperstyle_jax.faces.noise import uniforms

_FLIP_STREAM = 4


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
    attributes (see `faces.mirror`), a flipped image with the initial inversion of its
    mirror image, if there are stored ones. Labels of a table stay as they are.

    An example that cannot be read is replaced by the next one that can: the same in
    every epoch, on every host and after every start.

    Args:
        source: where examples come from.
        batch_size: examples of this host in each batch.
        seed: order and flips are a pure function of it.
        flip: mirrors half of the images, chosen anew in every epoch.
        shuffle: chooses a new order in every epoch.
        shard: (this host, number of hosts).
        epochs: how often the source is repeated; None for ever. The last incomplete
            batch of a finite stream is left out.
        threads: background threads; 0 reads each batch when it is asked for.

    Raises:
        ValueError: an empty source, batch size or shard; or, when batches are taken,
            no example can be read.
    """
    import grain  # takes seconds, which only programs that read batches should wait

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
    log = reading.ReadingLog()

    def load(pairs: np.ndarray) -> Batch:
        """Reads examples, given as (place in the stream, position in the source)."""
        with log.measured(batch_size):
            batch = reading.read_full_batch(source, pairs[:, 1], log.problems)
            flips = _flips(seed, pairs[:, 0]) if flip else np.zeros(batch_size, bool)
            return _flipped(batch, flips)

    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads + 2)
    return Stream(iter(ordered.map(load).to_iter_dataset(options)), log)


class Stream(Iterator[Batch]):
    """An iterator over batches that can be resumed, with a log of the reading.

    `get_state()` is a small dictionary; after `set_state(state)` the same batches
    follow as before, bit for bit.
    """

    def __init__(self, iterator, reading_log: reading.ReadingLog):
        self._iterator, self.reading_log = iterator, reading_log
        self.get_state, self.set_state = iterator.get_state, iterator.set_state

    def __next__(self) -> Batch:
        return next(self._iterator)

    def report(self) -> tuple[dict[str, float], list[str]]:
        """Numbers for the log and lines for the console, since the last call."""
        return self.reading_log.report()


def each_once(
    source: Source,
    batch_size: int,
    shard: tuple[int, int] = (0, 1),
    problems: dict[int, str] | None = None,
) -> Iterator[Batch]:
    """Every example exactly once and in order, for evaluation; the last batch is short.

    Args:
        source: where examples come from.
        batch_size: examples of this host in each batch.
        shard: (this host, number of hosts); hosts take turns.
        problems: the examples that cannot be read are noted here, {position: why}, and
            left out; where it is None, they are an error.

    Raises:
        ValueError: an example cannot be read, and `problems` is None.
    """
    host, hosts = shard
    positions = np.arange(host, len(source), hosts)
    for chunk in reading.chunked(len(positions), batch_size):
        if problems is None:
            yield source.take(positions[chunk])
        elif parts := reading.readable_batches(source, positions[chunk], problems):
            yield reading.concatenate(parts)


def padded(batch: Batch, size: int) -> Batch:
    """A batch filled up to `size` by repetition; `valid` [size] marks its own."""
    length = len(batch["image"])
    places = np.arange(size) % length
    full = {name: array[places] for name, array in batch.items()}
    return {**full, "valid": np.arange(size) < length}


def _flips(seed: int, places: np.ndarray) -> np.ndarray:
    """Which examples are flipped, [B] bool, by their places in the whole stream.

    The place is the same however many hosts share the stream.
    """
    return uniforms(seed, _FLIP_STREAM, places, 1)[:, 0] < 0.5


def _flipped(batch: Batch, flips: np.ndarray) -> Batch:
    """Mirrors images, latents, attributes and initial inversions where `flips` [B]."""
    names = zip(initial_inversions.NAMES, initial_inversions.MIRRORED, strict=True)
    mirrored = {name: batch[other] for name, other in names if other in batch}
    batch = {k: v for k, v in batch.items() if k not in initial_inversions.MIRRORED}
    if not flips.any():
        return batch
    mirrored["image"] = batch["image"][:, :, ::-1]
    if "latent" in batch:
        mirrored["latent"] = faces.mirror(batch["latent"])
    if "latent" in batch and "attributes" in batch:  # of a drawn face
        mirrored["attributes"] = faces.mirror_attributes(batch["attributes"])
    for name, values in mirrored.items():
        mask = flips.reshape(-1, *[1] * (values.ndim - 1))
        batch[name] = np.where(mask, values, batch[name])
    return batch
