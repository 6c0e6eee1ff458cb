"""Reads the metrics of training steps, logs them, and stops a run that diverges."""

import math
from typing import Any

import jax
import numpy as np

from hyperstyle_jax.loop import logs, memory, parallel

MAX_SKIPPED_IN_A_ROW = 20


class StepMetrics:
    """Reads the metrics of each step one step later, so that the device never waits."""

    def __init__(self, config, devices, log: logs.Log, data, means: dict | None):
        self._config, self._local, self._log = config, parallel.local(devices), log
        self._data_report = getattr(data, "report", lambda: ({}, []))
        self._pending: tuple[int, dict[str, jax.Array], Any] | None = None
        self._skipped_in_a_row = 0
        self.means = logs.Means(means)

    def push(self, step: int, metrics: dict[str, jax.Array], batch: dict) -> None:
        """Takes the metrics of a step that may still run; reads those of the last one.

        Raises:
            FloatingPointError: as `settle`.
        """
        self.settle()
        self._pending = step, metrics, batch.get("index")

    def settle(self) -> None:
        """Waits for the last step, and takes its metrics into the means and the log.

        Raises:
            FloatingPointError: a metric is not finite, and the config says to stop, or
                this has happened in too many steps in a row.
        """
        if self._pending is None:
            return
        step, metrics, indices = self._pending
        self._pending = None
        values = {k: float(v) for k, v in jax.device_get(metrics).items()}
        nonfinite = {k: v for k, v in values.items() if not math.isfinite(v)}
        if nonfinite:
            self._skip(step, nonfinite, indices)
        else:
            self._skipped_in_a_row = 0
            self.means.add(values)
        self._log.step(step)
        self._report(step)

    def _report(self, step: int) -> None:
        c = self._config
        logged = is_due(step, c.log_every, c.num_steps)
        if logged or is_due(step, c.eval_every, c.num_steps):
            numbers, lines = self._data_report()
            for line in lines:
                self._log.say(line)
            numbers["memory_gib"] = memory.peak_bytes(self._local) / 2**30
            self._log.train(step, self.means.values() | numbers)
        if step % c.log_every == 0:
            self.means = logs.Means()

    def _skip(self, step: int, nonfinite: dict[str, float], indices) -> None:
        what = ", ".join(f"{k} is {v}" for k, v in nonfinite.items())
        where = f"step {step}: {what} (batch {_listed(indices)})"
        self._skipped_in_a_row += 1
        self.means.skip()
        if self._config.on_nonfinite == "stop":
            raise FloatingPointError(
                f"{where}; the step was not applied; lower optim.lr, set optim.clip "
                "or go on with --config.on_nonfinite=skip"
            )
        if self._skipped_in_a_row >= MAX_SKIPPED_IN_A_ROW:
            raise FloatingPointError(
                f"{where}, the {self._skipped_in_a_row}th such step in a row; lower "
                "optim.lr or set optim.clip"
            )
        self._log.say(f"warning: {where}; step skipped")


def is_due(step: int, every: int, last: int) -> bool:
    """Whether something is due that happens each `every` steps (0: never) and last."""
    return every > 0 and (step % every == 0 or step == last)


def _listed(indices) -> str:
    if indices is None:
        return "without indices"
    everyones = parallel.everyones(np.asarray(indices)).ravel()  # in the batch's order
    listed = ", ".join(str(int(i)) for i in everyones[:16])
    return f"indices {listed}{', …' if len(everyones) > 16 else ''}"
