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
    from hyperstyle_jax.data.entries import File
    from hyperstyle_jax.weights.bundle import Bundle

_BATCHES_AHEAD = 3


class _Launched(NamedTuple):
    """A batch on the device; `results` are arrays that may still be computed."""

    batch: list[Target]
    results: tuple
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
        num_iters: int,
        until: dict[str, float],
        aligner: Aligner | None,
        args: Namespace,
        done: Inverted,
    ):
        """
        Args:
            args: with `out`, `batch_size` and `precision`.
            done: gets a row of measures for each picture.
        """
        self._model, self._num_iters, self._until = model, num_iters, until
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

        from hyperstyle_jax.inversion import pipeline

        start, model, dtype = time.perf_counter(), self._model, self._args.precision
        x = np.stack([target.x for target in batch])
        x = np.concatenate([x, np.repeat(x[:1], size - len(x), axis=0)])
        if self._until:
            result = pipeline.refine_until(
                model, x, self._num_iters, self._until, dtype
            )
            refinement, iterations = result
        else:
            result = refinement = pipeline.refine(model, x, self._num_iters, dtype)
            iterations = np.full(size, self._num_iters)
        measures = pipeline.measure_on_device(model, x, refinement.images)
        rendered = pipeline.full_size(model, result, dtype)
        return _Launched(batch, (refinement, iterations, measures, rendered), start)

    def _write(self, launched: _Launched) -> None:
        import jax

        results = jax.device_get(launched.results)
        now = time.perf_counter()
        took = now - max(launched.start, self._finished)
        self._finished = now
        for i, target in enumerate(launched.batch):
            row = self._write_picture(target, i, *results)
            seconds = {"seconds": round(took / len(launched.batch), 4)}
            self._done.add(row | seconds | {"key": target.key})
            self.remarks += [(target.path, line) for line in target.remarks]

    def _write_picture(self, target, i, refinement, iterations, measures, rendered):
        """Writes one picture's files; returns its row of measures."""
        from hyperstyle_jax.inversion import familiarity, stopping, storage

        count = int(iterations[i])
        one = stopping.of_image(refinement, i, count)
        stem = self._args.out / target.name
        _save_images(stem, target.x, one.images[:, 0], rendered[i])
        storage.save(f"{stem}.npz", one, 0, self._model)
        row: dict[str, Any] = {"file": target.path, "name": target.name}
        if self._aligner:
            row |= {"photo": target.photo, "crops": target.crops}
        if self._until:
            row["num_iters"] = count
        for name, values in measures.items():
            row[name] = [round(float(v), 6) for v in values[: count + 1, i]]
        if line := familiarity.unlike(self._model, row):
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


def _save_images(stem: Path, target, images_of_iterations, reconstruction) -> None:
    from hyperstyle_jax import images

    row = [images.to_uint8(image) for image in (target, *images_of_iterations)]
    row.append(images.error_map(target, row[-1]))
    iterations = [str(t) for t in range(1, len(images_of_iterations))]
    labels = ["target", "initial", *iterations, "error"]
    scale = max(1, 96 // target.shape[0])
    images.save_png(f"{stem}_iterations.png", images.grid([row], labels, scale=scale))
    images.save_png(f"{stem}.png", reconstruction)
