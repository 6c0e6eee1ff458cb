"""Evaluates a run on every image of its evaluation set, and keeps the best score."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from hyperstyle_jax.loop import logs, parallel


class Evaluation:
    """Evaluates a task on every evaluation image exactly once, on all devices."""

    def __init__(self, task, config, devices, frozen, data: Callable):
        self._task, self._data, self._frozen = task, data, frozen
        self._count = len(parallel.local(devices))
        self._batch_size = config.batch_size
        self._step = parallel.eval_step(task.eval_step, devices, config.seed)

    def names(self, state: Any) -> list[str]:
        """The names of the scores of an evaluation, without computing any of them."""
        full, _ = _padded(next(self._data()), self._batch_size)
        pieces = parallel.split(parallel.part(full), self._count)
        shapes = jax.eval_shape(self._step, state, self._frozen, pieces, np.int32(0))
        zeros = {k: np.zeros((2, *v.shape[2:])) for k, v in shapes["per_image"].items()}
        with np.errstate(all="ignore"):
            return sorted(self._task.summarize(zeros))

    def show(self, state, step: int, batch: dict, log: logs.Log) -> None:
        """Logs the images of a training batch, if the task's images have targets."""
        if "target" not in self._task.columns:
            return
        pieces = parallel.split(batch, self._count)
        results = self._step(state, self._frozen, pieces, np.int32(0))
        images = _joined(results["images"], _num_rows(results["images"]))
        log.images(step, {name: images[name] for name in self._task.columns}, "train")

    def __call__(
        self, state, step: int, log: logs.Log, scores: bool, with_images: bool
    ) -> dict[str, float]:
        """Evaluates and logs: scores of all images, and the first few as images.

        Args:
            scores: whether to compute scores.
            with_images: whether to log a grid of images.

        Returns:
            {score: value}; {} without `scores`.
        """
        per_image, images, shown = [], [], 0
        for number, batch in enumerate(self._data()):
            full, size = _padded(batch, self._batch_size)
            pieces = parallel.split(parallel.part(full), self._count)
            results = self._step(state, self._frozen, pieces, np.int32(number))
            if scores:
                per_image.append(_joined(results["per_image"], size))
            if with_images and shown < _num_rows(results["images"]):
                images.append(_joined(results["images"], size))
                shown += size
            elif not scores:
                break
        summary = {}
        if scores:
            summary = self._task.summarize(_concatenated(per_image))
            log.evaluation(step, summary)
        if with_images and images:
            columns = _concatenated(images)
            rows = _num_rows(columns)
            names = self._task.columns or sorted(columns)
            log.images(step, {name: columns[name][:rows] for name in names})
        return summary


class Best:
    """Keeps the lowest value of one score so far; `state` goes into the checkpoint."""

    def __init__(self, metric: str, state: dict | None, steps: Sequence[int]):
        """
        Args:
            metric: as "eval/loss"; "" for none.
            state: of the checkpoint from which the run continues.
            steps: the steps with a checkpoint; a best one that is gone does not count.
        """
        valid = state and state["metric"] == metric and state["step"] in steps
        self._metric, self.state = metric, state if valid else None

    def check(self, names: Sequence[str]) -> None:
        """Checks that the evaluation has this score.

        Raises:
            ValueError: it has none of this name.
        """
        known = [f"eval/{name}" for name in names]
        if self._metric not in known:
            raise ValueError(
                f"config.best is {self._metric!r}, expected one of the evaluation's "
                f"scores: {', '.join(known)}"
            )

    def update(self, step: int, scores: dict[str, float], log: logs.Log) -> bool:
        """Notes an evaluation if it is the best so far, and says whether it is.

        A score that is not finite is never the best.
        """
        if not self._metric:
            return False
        self.check(sorted(scores))
        value = float(scores[self._metric.removeprefix("eval/")])
        before = self.state
        if not math.isfinite(value) or (before and value >= before["value"]):
            return False
        self.state = {"metric": self._metric, "value": value, "step": step}
        than = f", before {before['value']:.4g} at {before['step']}" if before else ""
        log.say(f"best {self._metric} so far: {value:.4g} at step {step}{than}")
        return True


def _num_rows(columns: dict) -> int:
    """How many images of each column a grid shows; a single column becomes a square."""
    return 8 if len(columns) > 1 else 64


def _padded(batch: dict[str, np.ndarray], size: int) -> tuple[dict, int]:
    """The batch repeated up to `size` entries, and how many of them are its own."""
    length = len(next(iter(batch.values())))
    places = np.arange(size) % length
    return {k: np.asarray(v)[places] for k, v in batch.items()}, length


def _joined(pieces: dict[str, jax.Array], size: int) -> dict[str, np.ndarray]:
    """Results `[count, b, …]` as their first `size` values `[size, …]`."""
    arrays = parallel.gathered(pieces)
    return {k: v.reshape(-1, *v.shape[2:])[:size] for k, v in arrays.items()}


def _concatenated(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}
