"""Sources of examples: arrays in memory, drawn faces, records of prepared data sets.

A *source* has a length and `take(positions [B]) -> {name: array [B, ...]}`. Its
examples have at least `image` (uint8) and `index` (int32); those of faces also have
`latent`, `identity` and `attributes`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from hyperstyle_jax import faces, images
from hyperstyle_jax.data import initial_inversions, shard_files

Batch = dict[str, np.ndarray]
# What an example may hold beside its image, its index and its identity.
_VECTORS = (
    "latent",
    "attributes",
    *initial_inversions.NAMES,
    *initial_inversions.MIRRORED,
)


class Source(Protocol):
    """A sequence of examples from which batches are taken by position."""

    def __len__(self) -> int: ...

    def take(self, positions: np.ndarray) -> Batch:
        """The examples at some positions.

        Args:
            positions: [B] integers from 0 to the number of examples − 1.

        Returns:
            {"image": [B, H, W, 3] uint8, "index": [B] int32, …}.

        Raises:
            ValueError: an example cannot be read.
        """
        ...


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
        """The examples at `positions` [B]; see `Source.take`."""
        return {name: array[positions] for name, array in self._arrays.items()}


class FaceSource:
    """Procedural faces first ≤ index < end, drawn when they are taken."""

    def __init__(
        self,
        indices: tuple[int, int],
        size: int,
        seed: int = 0,
        accessories: bool = False,
        images_per_identity: int = 1,
        style: str = "portrait",
    ):
        self._first, self._end = indices
        self._options = {"seed": seed, "size": size, "accessories": accessories}
        self._options["style"] = style
        self._images_per_identity = images_per_identity
        if not 0 <= self._first < self._end:
            raise ValueError(
                f"indices: got {indices}, expected (first, end), first < end"
            )

    def __len__(self) -> int:
        return self._end - self._first

    def take(self, positions: np.ndarray) -> Batch:
        """Draws the faces at `positions` [B]; see `Source.take`."""
        indices = self._first + np.asarray(positions)
        identities = indices // self._images_per_identity
        batch = faces.draw(indices, identities=identities, **self._options)
        batch.pop("accessories", None)
        return batch


class RecordSource:
    """A split of a prepared data set; it is opened when it is first used.

    `index` is what the data set stores, or else the position in the split. Examples
    with stored initial inversions have `w` and `inversion`, and perhaps those of the
    flipped image, `w_flipped` and `inversion_flipped`.
    """

    def __init__(self, path: str | Path, split: str = "train"):
        self._path, self._split, self._records = Path(path), split, None

    @property
    def records(self) -> Sequence[dict]:
        """The stored examples; their images are still encoded.

        Raises:
            ValueError: `builders.open_records` refuses the data set.
        """
        if self._records is None:
            # This import takes seconds, which a program without records need not wait.
            from hyperstyle_jax.data import builders

            self._records = builders.open_records(self._path, self._split)
        return self._records

    def __len__(self) -> int:
        return len(self.records)

    def take(self, positions: np.ndarray) -> Batch:
        """Reads the examples at `positions` [B]; see `Source.take`.

        Raises:
            ValueError: a record is damaged.
        """
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
        """The file of each image; only data sets made from folders store it."""
        return [record["name"].decode() for record in self.records]

    def image_sums(self) -> list[shard_files.ImageSums]:
        """The name and the checksums of each image; [] where none are stored."""
        if not shard_files.is_finished(self._path):
            return []
        return shard_files.image_sums(self._path, self._split)

    def _example(self, position: int) -> dict:
        try:
            record = self.records[position]
            return record | {"image": images.read(record["image"])}
        except (ValueError, RuntimeError) as error:  # array_record: RuntimeError
            raise ValueError(f"{self._path}, record {position}: {error}") from None


class Subset:
    """Some of the examples of another source, chosen by their positions."""

    def __init__(self, source: Source, positions: Sequence[int]):
        self._source, self._positions = source, np.asarray(positions)
        valid = self._positions.size and self._positions.min() >= 0
        if not valid or self._positions.max() >= len(source):
            raise ValueError(
                f"subset: got {positions} of {len(source)} examples, expected one or "
                "more positions from 0 on, less than the number of examples"
            )

    def __len__(self) -> int:
        return len(self._positions)

    def take(self, positions: np.ndarray) -> Batch:
        """The examples at `positions` [B] of this subset; see `Source.take`."""
        return self._source.take(self._positions[positions])


class Labelled:
    """The examples of another source with further arrays, as their labels."""

    def __init__(self, source: Source, arrays: Batch):
        lengths = {name: len(array) for name, array in arrays.items()}
        if any(length != len(source) for length in lengths.values()):
            raise ValueError(
                f"labels: got {lengths}, expected {len(source)} of each, one for every "
                "example"
            )
        self._source, self._arrays = source, arrays

    def __len__(self) -> int:
        return len(self._source)

    def take(self, positions: np.ndarray) -> Batch:
        """The examples at `positions` [B] with their labels; see `Source.take`."""
        labels = {name: array[positions] for name, array in self._arrays.items()}
        return self._source.take(positions) | labels
