"""The training loop resumes, steps, evaluates and saves. It knows no model.

A task is a few pure functions; `fit` runs them on one or many devices. The same call
again continues where the last one stopped, and gives the same numbers as one run.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax.loop import checkpoint, evaluation, logs, parallel
from hyperstyle_jax.loop.step_metrics import StepMetrics, is_due
from hyperstyle_jax.loop.stop_signals import StopSignals


def means(per_image: dict[str, np.ndarray]) -> dict[str, float]:
    """{name: [N, …]} → {name: mean}: the default summary of an evaluation."""
    return {name: float(np.mean(values)) for name, values in per_image.items()}


class Batches(Protocol):
    """Endless batches whose position can be saved and restored."""

    def __next__(self) -> dict[str, np.ndarray]: ...

    def get_state(self) -> Any:
        """The position, a JSON value."""
        ...

    def set_state(self, state: Any) -> None:
        """Continues at a position of `get_state`."""
        ...


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
            perhaps `report()`: numbers to log and lines to print since the last call.
        eval_data: starts the evaluation batches anew; the last may be short.
        before_first_save: called before the first checkpoint is saved.

    Returns:
        The last step done: less than `config.num_steps` after SIGTERM.

    Raises:
        ValueError: there are too few devices, or a checkpoint cannot be read.
        FloatingPointError: a metric is not finite and `config.on_nonfinite` is "stop".
        OSError: a checkpoint cannot be written; earlier ones stay.
        KeyboardInterrupt: on Ctrl-C, after saving.
    """
    devices = parallel.devices(config.num_devices, config.batch_size)
    start, state, progress = _initial(task, config, workdir, devices)
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
        StopSignals() as signals,
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
        step_metrics = StepMetrics(
            config, devices, log, train_data, progress.get("means")
        )
        earlier_seconds, start_time = progress.get("seconds", 0.0), time.monotonic()
        log.say(f"{_described(devices)}; compiling, so the first step takes a while")
        for step in range(start + 1, config.num_steps + 1):
            with log.waiting():
                batch = next(train_data)
            pieces = parallel.split(batch, len(parallel.local(devices)))
            state, metrics = train_steps[step](state, frozen, pieces, np.int32(step))
            step_metrics.push(step, metrics, batch)
            stopped = parallel.stop_due(step, bool(signals.received))
            stop = stopped or step == config.num_steps

            scores = is_due(step, config.eval_every, config.num_steps)
            images = is_due(step, config.image_every, config.num_steps)
            best_so_far = False
            if scores or images:
                step_metrics.settle()
                summary = evaluate(state, step, log, scores, images)
                if images:
                    evaluate.show(state, step, batch, log)
                best_so_far = scores and best.update(step, summary, log)
            if stop or best_so_far or step % config.save_every == 0:
                step_metrics.settle()
                log.flush()
                progress = {
                    "data": train_data.get_state(),
                    "means": step_metrics.means.state,
                    "best": best.state,
                    "seconds": earlier_seconds + time.monotonic() - start_time,
                }
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
    """The shapes, dtypes and shardings of a task's state; nothing is computed."""
    return parallel.abstract(jax.eval_shape(task.init, jax.random.key(seed)), devices)


def fresh_state(task: Task, seed: int, devices: list[jax.Device]) -> Any:
    """The state before the first step, on all devices.

    Its arrays are copied, because the state is donated and may hold one array twice (as
    its EMA). They are copied one at a time, because two whole states may not fit into
    memory.
    """
    leaves, tree = jax.tree.flatten(task.init(jax.random.key(seed)))
    for i, leaf in enumerate(leaves):
        leaves[i] = jax.block_until_ready(jnp.copy(leaf))
    state = jax.tree.unflatten(tree, leaves)
    return jax.device_put(state, parallel.replicated(devices))


def _initial(task, config, workdir, devices) -> tuple[int, Any, Any]:
    """(step, state, progress) of the newest checkpoint, or of a new run."""
    if checkpoint.steps(workdir):
        like = abstract_state(task, config.seed, devices)
        restored = checkpoint.restore(workdir, like, repair=True)
        if restored:
            return restored
    return 0, fresh_state(task, config.seed, devices), None


def guarded(train_step: Callable) -> Callable:
    """Applies the update of a task's step, unless a metric is not finite.

    Args:
        train_step: of a `Task`.

    Returns:
        (state, frozen, batch, key) → (state, metrics). It branches, because a choice
        between two whole states would need memory for both.
    """

    def step(state, frozen, batch, key):
        update, metrics = train_step(state, frozen, batch, key)
        metrics = jax.lax.pmean(metrics, parallel.AXIS)
        finite = jnp.all(jnp.stack([jnp.isfinite(m) for m in metrics.values()]))
        return jax.lax.cond(finite, update, lambda state: state, state), metrics

    return step


class Phases:
    """The compiled training steps of a task, by step number."""

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


def _described(devices: list[jax.Device]) -> str:
    return f"training on {len(devices)} x {devices[0].device_kind}"


def _tell(text: str) -> None:
    if parallel.is_writer():
        print(text, flush=True)  # in order with stderr, also into a file
