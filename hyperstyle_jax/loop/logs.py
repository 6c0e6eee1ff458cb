"""Logs a run: a progress bar, metrics.jsonl, images, TensorBoard and W&B."""

import contextlib
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from hyperstyle_jax.loop import boards
from hyperstyle_jax.system import atomic_files, errors

METRICS = "metrics.jsonl"


class Log(contextlib.AbstractContextManager):
    """Reports the steps of one run.

    `metrics.jsonl` gets one JSON object per logged step: `step`, the mean of every
    metric since the previous logged step, and, where the run was evaluated, `eval/…`.
    """

    def __init__(
        self,
        workdir: str | Path,
        name: str,
        start: int,
        num_steps: int,
        wandb: str = "",
        is_writer: bool = True,
    ):
        """
        Args:
            workdir: folder of the run. name: for the progress bar.
            start, num_steps: the step from which the run continues, and the last one.
            wandb: project of Weights & Biases, or "".
            is_writer: whether this process writes files and the console; of several
                processes one does.
        """
        self._is_writer = is_writer
        self._workdir = Path(workdir)
        if is_writer:
            _drop_rows_after(self._workdir / METRICS, start)
        self._row: dict[str, Any] = {}
        self._boards = (
            boards.open_boards(self._workdir, start, wandb) if is_writer else []
        )
        self._bar = _Bar(name, start, num_steps, is_writer)
        self._clock = Clock()

    def step(self, step: int) -> None:
        """Moves the progress bar."""
        self._bar.move(step)

    def train(self, step: int, values: dict[str, float]) -> None:
        """Logs the mean metrics up to a step, with the speed."""
        values = values | self._clock.rates(step)
        self._bar.show(step, values)
        self._add(step, values)

    def evaluation(self, step: int, values: dict[str, float]) -> None:
        """Logs the scores of an evaluation, and prints them."""
        self._add(step, {f"eval/{k}": v for k, v in values.items()})
        self.say(f"evaluation at step {step}: {_shown(values)}")

    def images(self, step: int, columns: dict[str, np.ndarray], kind: str = "") -> None:
        """Saves a grid of images, one column per name, as `images/STEP.png`.

        Args:
            columns: {name: [N, H, W, 3] in [−1, 1]}.
            kind: "train" for `images/train_STEP.png`.
        """
        from hyperstyle_jax import images

        if not self._is_writer:
            return
        image = _grid(columns)
        name = f"{kind}_{step:08d}.png" if kind else f"{step:08d}.png"
        images.save_png(self._workdir / "images" / name, image)
        title = " | ".join(columns)
        for board in self._boards:
            board.image(step, f"{kind}: {title}" if kind else title, image)

    def say(self, text: str) -> None:
        """Prints a line without disturbing the progress bar."""
        self._bar.say(text)

    def waiting(self) -> contextlib.AbstractContextManager:
        """A context around the wait for data, whose share of the time is logged."""
        return self._clock.waiting()

    def flush(self) -> None:
        """Writes the row of the last logged step to `metrics.jsonl` and the boards."""
        if not self._row:
            return
        row, self._row = self._row, {}
        if not self._is_writer:
            return
        path = self._workdir / METRICS
        with errors.about(path), open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        for board in self._boards:
            board.row(row)

    def __exit__(self, *_) -> None:
        self.flush()
        self._bar.close()
        for board in self._boards:
            board.close()

    def _add(self, step: int, values: dict[str, float]) -> None:
        if self._row.get("step") != step:
            self.flush()
            self._row = {"step": step}
        self._row |= {k: v for k, v in values.items() if math.isfinite(v)}


class Means:
    """Keeps running means of metrics; `state` goes into the checkpoint."""

    def __init__(self, state: dict[str, Any] | None = None):
        self.state = state or {"skipped": 0, "sums": {}}

    def add(self, values: dict[str, float]) -> None:
        """Adds the metrics of a step; not every step needs to have all of them."""
        sums = self.state["sums"]
        for name, value in values.items():
            total, count = sums.get(name, (0.0, 0))
            sums[name] = (total + value, count + 1)

    def skip(self) -> None:
        """Counts a step that was not applied."""
        self.state["skipped"] += 1

    def values(self) -> dict[str, float]:
        """The mean of each metric, and `skipped_steps` if there were any."""
        means = {k: total / count for k, (total, count) in self.state["sums"].items()}
        skipped = self.state["skipped"]
        return means | ({"skipped_steps": skipped} if skipped else {})


class Clock:
    """Measures the steps per second and the share of time spent waiting for data."""

    def __init__(self):
        self._last_report = None  # (step, time)
        self._waited = 0.0

    @contextlib.contextmanager
    def waiting(self):
        """Counts the time inside this context as waiting."""
        start = time.perf_counter()
        yield
        self._waited += time.perf_counter() - start

    def rates(self, step: int) -> dict[str, float]:
        """The rates since the last call.

        The first call returns {}, because the time before it includes compilation.
        """
        now, waited, last = time.perf_counter(), self._waited, self._last_report
        self._last_report, self._waited = (step, now), 0.0
        if last is None or step <= last[0]:
            return {}
        seconds = max(now - last[1], 1e-9)
        return {
            "steps_per_second": (step - last[0]) / seconds,
            "data_wait": waited / seconds,
        }


def read(workdir: str | Path) -> list[dict[str, float]]:
    """The rows of `metrics.jsonl`, without lines that a crash has cut short."""
    path = Path(workdir) / METRICS
    rows = []
    for line in path.read_text().splitlines() if path.exists() else ():
        with contextlib.suppress(json.JSONDecodeError):
            rows.append(json.loads(line))
    return rows


class _Bar:
    """tqdm on a terminal; elsewhere the same line once per logged step."""

    def __init__(self, name: str, start: int, num_steps: int, is_writer: bool):
        self._is_writer = is_writer
        self._start, self._start_time, self._total = start, time.time(), num_steps
        self._name, self._live = name, is_writer and sys.stderr.isatty()
        self._tqdm = tqdm(
            desc=name,
            total=num_steps,
            initial=start,
            unit="step",
            dynamic_ncols=True,
            disable=not self._live,
        )

    def move(self, step: int) -> None:
        if self._live:
            self._tqdm.update(step - self._tqdm.n)

    def show(self, step: int, values: dict[str, float]) -> None:
        text = _shown(values)
        if self._live:
            self._tqdm.set_postfix_str(text)
            return
        line = tqdm.format_meter(
            step,
            self._total,
            time.time() - self._start_time,
            initial=self._start,
            prefix=self._name,
            unit="step",
            postfix=text,
        )
        self.say(line)

    def say(self, text: str) -> None:
        if self._live:
            self._tqdm.write(text, file=sys.stderr)
        elif self._is_writer:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        self._tqdm.close()


def _shown(values: dict[str, float]) -> str:
    """Metrics for the console, without parts of a metric such as `l2/iteration1`."""
    return ", ".join(f"{k}={v:.4g}" for k, v in values.items() if "/" not in k)


def _grid(columns: dict[str, np.ndarray]) -> np.ndarray:
    """`{name: [N, H, W, 3]}` → one uint8 image; a single column becomes a square."""
    from hyperstyle_jax import images

    stacks = [images.to_uint8(np.nan_to_num(x)) for x in columns.values()]
    scale = max(1, 96 // stacks[0].shape[1])
    if len(stacks) == 1:
        width = math.isqrt(len(stacks[0]))
        rows = stacks[0][: width**2].reshape(width, width, *stacks[0].shape[1:])
        return images.grid(rows, scale=scale)
    return images.grid(np.stack(stacks, 1), tuple(columns), scale=scale)


def _drop_rows_after(path: Path, step: int) -> None:
    """Removes the rows of steps that a resumed run is going to do again."""
    rows = [row for row in read(path.parent) if row["step"] <= step]
    if path.exists():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        atomic_files.write_whole(path, text.encode())
