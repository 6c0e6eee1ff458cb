"""The way of `hyperstyle invert` through its photos: threads, batches, files."""

import time
from argparse import Namespace
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hyperstyle_jax.cli import targets
from hyperstyle_jax.cli.inverted import Inverted
from hyperstyle_jax.cli.targets import Aligner, Target
from hyperstyle_jax.system import errors
from hyperstyle_jax.system.ahead import ahead

if TYPE_CHECKING:  # they take long to import
    from hyperstyle_jax.cli.ways import Results, Way
    from hyperstyle_jax.data.entries import File
    from hyperstyle_jax.weights.bundle import Bundle

_BATCHES_AHEAD = 3


class _Launched(NamedTuple):
    """A batch on the device; arrays of the results may still be computed."""

    batch: list[Target]
    results: "Results"
    start: float


class Inverting:
    """Inverts photos with one compiled program.

    While the device computes a batch, threads prepare the next ones, and the files of
    the batch before are written.

    Attributes:
        failed: {path: why}.
        remarks: [(path, line)], what a person should know.
        kept: how many pictures an earlier run had inverted.
        waited: seconds in which no photo was ready for the device.
    """

    def __init__(
        self,
        model: "Bundle",
        way: "Way",
        aligner: Aligner | None,
        args: Namespace,
        done: Inverted,
    ):
        """
        Args:
            way: how a batch is inverted.
            args: with `out` and `batch_size`.
            done: gets a row of measures for each picture.
        """
        self._model, self._way = model, way
        self._aligner, self._args, self._done = aligner, args, done
        self._finished = 0.0
        self.failed: dict[str, str] = {}
        self.remarks: list[tuple[str, str]] = []
        self.kept, self.waited = 0, 0.0

    def go(self, files: list[tuple[int, "File", str]]) -> None:
        """Does all photos: (number, file, name of the results)."""
        from tqdm import tqdm

        size, before = self._args.batch_size, None
        with tqdm(total=len(files), unit="photo", disable=None) as progress:
            for batch, is_last in _batches(self._targets(files, progress), size):
                if is_last and before is None:
                    size = len(batch)  # there is no other batch to be alike
                launched = self._launch(batch, size)
                if before:
                    self._write(before)
                before = launched
            if before:
                self._write(before)

    def _targets(self, files, progress) -> Iterator[Target]:
        most = _BATCHES_AHEAD * self._args.batch_size
        read = partial(targets.read, self._model, self._aligner, self._done)
        for (_, file, _), future in zip(files, ahead(read, files, most), strict=True):
            start = time.perf_counter()
            try:
                found = future.result()
            except (ValueError, OSError, MemoryError) as error:
                if errors.is_disk_full(error):
                    raise
                self.failed[file.path] = str(error)
                found = []
            self.waited += time.perf_counter() - start
            rows = [row for row in found if isinstance(row, dict)]
            self._done.take_over(rows)
            self.kept += len(rows)
            yield from (target for target in found if isinstance(target, Target))
            progress.update()

    def _launch(self, batch: list[Target], size: int) -> _Launched:
        """Starts a batch, filled up with its first picture to the size of the others.

        All batches have one size, so one compiled program serves them.
        """
        import numpy as np

        start = time.perf_counter()
        x = np.stack([target.x for target in batch])
        if self._way.same_size:
            x = np.concatenate([x, np.repeat(x[:1], size - len(x), axis=0)])
        return _Launched(batch, self._way.run(x), start)

    def _write(self, launched: _Launched) -> None:
        import jax

        results = jax.device_get(launched.results)
        now = time.perf_counter()
        took = now - max(launched.start, self._finished)
        self._finished = now
        for i, target in enumerate(launched.batch):
            row = self._write_picture(target, i, results)
            seconds = {"seconds": round(took / len(launched.batch), 4)}
            self._done.add(row | seconds | {"key": target.key})
            self.remarks += [(target.path, line) for line in target.remarks]

    def _write_picture(self, target: Target, i: int, results: "Results"):
        """Writes one picture's files; returns its row of measures."""
        from hyperstyle_jax.inversion import familiarity, storage

        last, way = int(results.last[i]), self._way
        stem = self._args.out / target.name
        images = results.images[: last + 1, i]
        _save_images(stem, target.x, images, way.labels(last), results.rendered[i])
        storage.save(f"{stem}.npz", *way.stored(results, i), self._model)
        row: dict[str, Any] = {"file": target.path, "name": target.name}
        if self._aligner:
            row |= {"photo": target.photo, "crops": target.crops}
        row |= way.row(last)
        for name, values in results.measures.items():
            row[name] = [round(float(v), 6) for v in values[: last + 1, i]]
        line = familiarity.unlike(self._model, row) if way.starts_with_encoder else ""
        if line:
            row["unlike"] = True
            self.remarks.append((target.path, line))
        return row | {"position": target.position}


def _batches(items: Iterator[Target], size: int) -> Iterator[tuple[list[Target], bool]]:
    """Batches of at most `size`, and whether each is the last."""
    batch: list[Target] = []
    for item in items:
        if len(batch) == size:
            yield batch, False
            batch = []
        batch.append(item)
    if batch:
        yield batch, True


def _save_images(stem: Path, target, steps, labels, reconstruction) -> None:
    from hyperstyle_jax import images

    row = [images.to_uint8(image) for image in (target, *steps)]
    row.append(images.error_map(target, row[-1]))
    labels = ["target", *labels, "error"]
    scale = max(1, 96 // target.shape[0])
    images.save_png(f"{stem}_iterations.png", images.grid([row], labels, scale=scale))
    images.save_png(f"{stem}.png", reconstruction)
