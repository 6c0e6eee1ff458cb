"""The training loop: resume, steps, evaluation, checkpoints. It knows no model.

A task is a few pure functions; `fit` drives them over one or many devices. The same
call again goes on where the last one stopped, and gives the same numbers as one run.
"""

import contextlib
import dataclasses
import functools
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax.loop import checkpoint, evaluation, logs, parallel

MAX_SKIPPED_IN_A_ROW = 20


def means(per_image: dict[str, np.ndarray]) -> dict[str, float]:
    """The default summary of an evaluation."""
    return {name: float(np.mean(values)) for name, values in per_image.items()}


class Batches(Protocol):
    """Endless batches that can go on where an earlier run stopped."""

    def __next__(self) -> dict[str, np.ndarray]: ...

    def get_state(self) -> Any: ...

    def set_state(self, state: Any) -> None: ...


@dataclasses.dataclass(frozen=True)
class Task:
    """What is trained, as pure functions.

    Attributes:
        init: key → state, a pytree of everything that training changes.
        train_step: (state, frozen, batch, key) → (update, metrics {name: scalar}).
            `update(state)` is the new state; it is left out where the metrics are not
            all finite: report the gradient's norm to cover gradients too. Sees one
            device's part of the batch; averages gradients over `parallel.AXIS` itself.
        eval_step: (state, frozen, batch, key) → {"per_image": {name: [B, …]}, "images":
            {name: [B, H, W, 3] in [−1, 1]}}.
        frozen: pytree of what the steps use and never change.
        summarize: {name: [N, …]} over all evaluation images → {name: number}.
        columns: names of "images" in the order of the grid's columns.
        phase: step → static keyword arguments of `train_step`, which is compiled once
            for each that occurs (lazy regularization without a branch on the device).
    """

    init: Callable[[jax.Array], Any]
    train_step: Callable
    eval_step: Callable
    frozen: Any = ()
    summarize: Callable[[dict[str, np.ndarray]], dict[str, float]] = means
    columns: tuple[str, ...] = ()
    phase: Callable[[int], dict[str, Any]] = lambda step: {}


def fit(
    task: Task,
    config,
    workdir: str | Path,
    train_data: Batches,
    eval_data: Callable[[], Iterator[dict[str, np.ndarray]]],
    before_first_save: Callable[[], None] = lambda: None,
) -> int:
    """Trains until `config.num_steps`, from the newest checkpoint in `workdir`.

    Args:
        task: what to train.
        config: the run, see `hyperstyle_jax.config`.
        workdir: folder for checkpoints, metrics and images.
        train_data: endless batches, with `get_state()` and `set_state(state)`, and
            perhaps `report()`: numbers to log and lines to say since the last call.
        eval_data: gives the evaluation batches anew; the last may be short.
        before_first_save: called when training has come so far.

    Returns:
        The last step done: less than `config.num_steps` after SIGTERM.

    Raises:
        ValueError: devices do not suffice, or a checkpoint cannot be read.
        FloatingPointError: a metric is not finite and `config.on_nonfinite` is "stop".
        OSError: a checkpoint cannot be written; earlier ones stay.
        KeyboardInterrupt: on Ctrl-C, after saving.
    """
    devices = parallel.devices(config.num_devices, config.batch_size)
    start, state, progress = _start(task, config, workdir, devices)
    if start >= config.num_steps:
        _tell(f"finished: step {start} of {config.num_steps} is done in {workdir}")
        return start
    if start:
        _tell(f"resuming from step {start} of {config.num_steps} in {workdir}")
        train_data.set_state(progress["data"])
    progress = progress or {}
    frozen = jax.device_put(task.frozen, parallel.replicated(devices))
    train_steps = Phases(task, devices, config.seed)
    evaluate = evaluation.Evaluation(task, config, devices, frozen, eval_data)
    best = evaluation.Best(config.best, progress.get("best"), checkpoint.steps(workdir))
    if config.best:
        best.check(evaluate.names(state))

    with (
        _Signals() as signals,
        logs.Log(
            workdir,
            config.task,
            start,
            config.num_steps,
            config.wandb,
            parallel.is_writer(),
        ) as log,
        checkpoint.Saver(workdir, config.keep, before_first_save) as saver,
    ):
        watch = _Watch(config, devices, log, train_data, progress.get("means"))
        before, began = progress.get("seconds", 0.0), time.monotonic()
        log.say(f"{_described(devices)}; compiling, so the first step takes a while")
        for step in range(start + 1, config.num_steps + 1):
            with log.waiting():
                batch = next(train_data)
            pieces = parallel.split(batch, len(parallel.local(devices)))
            state, metrics = train_steps[step](state, frozen, pieces, np.int32(step))
            watch.push(step, metrics, batch)
            stopped = parallel.stop_due(step, bool(signals.received))
            stop = stopped or step == config.num_steps

            scores = _due(step, config.eval_every, config.num_steps)
            images = _due(step, config.image_every, config.num_steps)
            better = False
            if scores or images:
                watch.settle()
                found = evaluate(state, step, log, scores, images)
                if images:
                    evaluate.show(state, step, batch, log)
                better = scores and best.update(step, found, log)
            if stop or better or step % config.save_every == 0:
                watch.settle()
                log.flush()
                data, means = train_data.get_state(), watch.means.state
                progress = {"data": data, "means": means, "best": best.state}
                progress["seconds"] = before + time.monotonic() - began
                saver.save(step, parallel.shared(state, devices), progress)
            if stop:
                break
        saver.wait()
        log.say(f"saved step {step} of {config.num_steps} in {workdir}")
    if signals.received == "SIGINT":
        raise KeyboardInterrupt(f"step {step} of {config.num_steps} is saved")
    if step < config.num_steps:
        _tell(f"stopped by SIGTERM at step {step}; the same command resumes")
    return step


def abstract_state(task: Task, seed: int, devices: list[jax.Device]) -> Any:
    """The state's shapes, dtypes and shardings; nothing is computed."""
    return parallel.abstract(jax.eval_shape(task.init, jax.random.key(seed)), devices)


def fresh_state(task: Task, seed: int, devices: list[jax.Device]) -> Any:
    """The state before the first step, on all devices.

    Copied, because it is donated and may hold one array twice (as its EMA), and one
    array at a time, because two whole states may be more than there is memory.
    """
    leaves, tree = jax.tree.flatten(task.init(jax.random.key(seed)))
    for i, leaf in enumerate(leaves):
        leaves[i] = jax.block_until_ready(jnp.copy(leaf))
    state = jax.tree.unflatten(tree, leaves)
    return jax.device_put(state, parallel.replicated(devices))


def _start(task, config, workdir, devices) -> tuple[int, Any, Any]:
    found = None
    if checkpoint.steps(workdir):
        like = abstract_state(task, config.seed, devices)
        found = checkpoint.restore(workdir, like, repair=True)
    if found:
        return found
    return 0, fresh_state(task, config.seed, devices), None


def guarded(train_step: Callable) -> Callable:
    """(state, frozen, batch, key) → (state, metrics): a task's step and its update.

    The old state stays if a metric is not finite. A branch, where a choice between two
    whole states would need memory for both.
    """

    def step(state, frozen, batch, key):
        update, metrics = train_step(state, frozen, batch, key)
        metrics = jax.lax.pmean(metrics, parallel.AXIS)
        good = jnp.all(jnp.stack([jnp.isfinite(m) for m in metrics.values()]))
        return jax.lax.cond(good, update, lambda state: state, state), metrics

    return step


class Phases:
    """The compiled step of each phase, by step number."""

    def __init__(self, task: Task, devices, seed: int):
        self._task, self._devices, self._seed, self._steps = task, devices, seed, {}

    def __getitem__(self, step: int) -> Callable:
        flags = self._task.phase(step)
        key = tuple(sorted(flags.items()))
        if key not in self._steps:
            run = functools.partial(self._task.train_step, **flags)
            run = parallel.train_step(guarded(run), self._devices, self._seed)
            self._steps[key] = run
        return self._steps[key]


class _Watch:
    """Reads the metrics of each step one step later, so that the device never waits."""

    def __init__(self, config, devices, log: logs.Log, data, means: dict | None):
        self._config, self._local, self._log = config, parallel.local(devices), log
        self._data_report = getattr(data, "report", lambda: ({}, []))
        self._pending: tuple[int, dict[str, jax.Array], Any] | None = None
        self._bad = 0
        self.means = logs.Means(means)

    def push(self, step: int, metrics: dict[str, jax.Array], batch: dict) -> None:
        self.settle()
        self._pending = step, metrics, batch.get("index")

    def settle(self) -> None:
        """Takes note of the step that is still under way, waiting for it."""
        if self._pending is None:
            return
        step, metrics, indices = self._pending
        self._pending = None
        values = {k: float(v) for k, v in jax.device_get(metrics).items()}
        bad = {k: v for k, v in values.items() if not math.isfinite(v)}
        if bad:
            self._nonfinite(step, bad, indices)
        else:
            self._bad = 0
            self.means.add(values)
        self._log.step(step)
        self._report(step)

    def _report(self, step: int) -> None:
        c = self._config
        every = _due(step, c.log_every, c.num_steps)
        if every or _due(step, c.eval_every, c.num_steps):
            numbers, lines = self._data_report()
            for line in lines:
                self._log.say(line)
            numbers["memory_gib"] = parallel.memory_in_use(self._local) / 2**30
            self._log.train(step, self.means.values() | numbers)
        if step % c.log_every == 0:
            self.means = logs.Means()

    def _nonfinite(self, step: int, bad: dict[str, float], indices) -> None:
        what = ", ".join(f"{k} is {v}" for k, v in bad.items())
        where = f"step {step}: {what} (batch {_shown(indices)})"
        self._bad += 1
        self.means.skip()
        if self._config.on_nonfinite == "stop":
            raise FloatingPointError(
                f"{where}; the step was not applied; lower optim.lr, set optim.clip "
                "or go on with --config.on_nonfinite=skip"
            )
        if self._bad >= MAX_SKIPPED_IN_A_ROW:
            raise FloatingPointError(
                f"{where}, the {self._bad}th such step in a row; lower optim.lr or set "
                "optim.clip"
            )
        self._log.say(f"warning: {where}; step skipped")


class _Signals(contextlib.AbstractContextManager):
    """Turns SIGTERM and the first Ctrl-C into a wish to stop after the current step.

    Where several processes train, SIGTERM is JAX's (`parallel.stop_due`), and Ctrl-C is
    handed on as one.
    """

    def __init__(self):
        self.received, self._old = None, {}

    def __enter__(self):
        ours = [signal.SIGINT] + [signal.SIGTERM] * (jax.process_count() == 1)
        if threading.current_thread() is threading.main_thread():
            for number in ours:
                self._old[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_):
        for number, old in self._old.items():
            signal.signal(number, old)

    def _handle(self, number, _):
        if number == signal.SIGINT and self.received:
            raise KeyboardInterrupt
        self.received = signal.Signals(number).name
        if jax.process_count() > 1:
            os.kill(os.getpid(), signal.SIGTERM)


def _described(devices: list[jax.Device]) -> str:
    return f"training on {len(devices)} x {devices[0].device_kind}"


def _tell(text: str) -> None:
    if parallel.is_writer():
        print(text, flush=True)  # in order with stderr, also into a file


def _due(step: int, every: int, last: int) -> bool:
    return every > 0 and (step % every == 0 or step == last)


def _shown(indices) -> str:
    if indices is None:
        return "without indices"
    everyones = parallel.everyones(np.asarray(indices)).ravel()  # in the batch's order
    shown = ", ".join(str(int(i)) for i in everyones[:16])
    return f"indices {shown}{', …' if len(everyones) > 16 else ''}"
