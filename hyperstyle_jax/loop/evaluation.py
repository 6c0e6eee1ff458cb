"""Evaluation during training: every image once on all devices, and the best so far."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from hyperstyle_jax.loop import logs, parallel


class Evaluation:
    """Every evaluation image exactly once, on all devices."""

    def __init__(self, task, config, devices, frozen, data: Callable):
        self._task, self._data, self._frozen = task, data, frozen
        self._count = len(parallel.local(devices))
        self._batch_size = config.batch_size
        self._step = parallel.eval_step(task.eval_step, devices, config.seed)

    def names(self, state: Any) -> list[str]:
        """The scores there are, found without computing any."""
        full, _ = _padded(next(self._data()), self._batch_size)
        pieces = parallel.split(parallel.part(full), self._count)
        shapes = jax.eval_shape(self._step, state, self._frozen, pieces, np.int32(0))
        zeros = {k: np.zeros((2, *v.shape[2:])) for k, v in shapes["per_image"].items()}
        with np.errstate(all="ignore"):
            return sorted(self._task.summarize(zeros))

    def show(self, state, step: int, batch: dict, log: logs.Log) -> None:
        """The images of a training batch, where a task's images have targets."""
        if "target" not in self._task.columns:
            return
        found = self._step(
            state, self._frozen, parallel.split(batch, self._count), np.int32(0)
        )
        images = _joined(found["images"], self._rows(found))
        log.images(step, {name: images[name] for name in self._task.columns}, "train")

    def __call__(
        self, state, step: int, log: logs.Log, scores: bool, with_images: bool
    ) -> dict[str, float]:
        """Scores over all the data; images of the first images alone."""
        per_image, images, shown = [], [], 0
        for number, batch in enumerate(self._data()):
            full, size = _padded(batch, self._batch_size)
            pieces = parallel.split(parallel.part(full), self._count)
            found = self._step(state, self._frozen, pieces, np.int32(number))
            if scores:
                per_image.append(_joined(found["per_image"], size))
            if with_images and shown < self._rows(found):
                images.append(_joined(found["images"], size))
                shown += size
            elif not scores:
                break
        summary = {}
        if scores:
            summary = self._task.summarize(_concatenated(per_image))
            log.evaluation(step, summary)
        if with_images and images:
            columns = _concatenated(images)
            rows = self._rows({"images": columns})
            names = self._task.columns or sorted(columns)
            log.images(step, {name: columns[name][:rows] for name in names})
        return summary

    def _rows(self, found) -> int:
        return 8 if len(found["images"]) > 1 else 64


class Best:
    """The least value of one score so far; `state` goes into the checkpoint."""

    def __init__(self, metric: str, state: dict | None, steps: Sequence[int]):
        """
        Args:
            metric: as "eval/loss"; "" for none.
            state: of the checkpoint that the run goes on from.
            steps: the checkpoints there are; a best one that is gone does not count.
        """
        known = state and state["metric"] == metric and state["step"] in steps
        self._metric, self.state = metric, state if known else None

    def check(self, names: Sequence[str]) -> None:
        """
        Raises:
            ValueError: no evaluation has this score.
        """
        known = [f"eval/{name}" for name in names]
        if self._metric not in known:
            raise ValueError(
                f"config.best is {self._metric!r}, expected one of the evaluation's "
                f"scores: {', '.join(known)}"
            )

    def update(self, step: int, scores: dict[str, float], log: logs.Log) -> bool:
        """Whether this evaluation is the best; one that is not finite never is."""
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


def _padded(batch: dict[str, np.ndarray], size: int) -> tuple[dict, int]:
    """The batch repeated up to `size` entries, and how many of them are its own."""
    have = len(next(iter(batch.values())))
    places = np.arange(size) % have
    return {k: np.asarray(v)[places] for k, v in batch.items()}, have


def _joined(pieces: dict[str, jax.Array], size: int) -> dict[str, np.ndarray]:
    """`[count, b, …]` → the first `size` of `[count · b, …]`."""
    arrays = parallel.gathered(pieces)
    return {k: v.reshape(-1, *v.shape[2:])[:size] for k, v in arrays.items()}


def _concatenated(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}
