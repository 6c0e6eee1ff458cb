"""Sends the metrics and images of a run to TensorBoard and Weights & Biases."""

import contextlib
import json
import secrets
import time
from pathlib import Path
from typing import Any

import numpy as np

from hyperstyle_jax.system import errors


def open_boards(workdir: Path, start: int, project: str) -> list[Any]:
    """Opens TensorBoard if it is installed, Weights & Biases if there is a `project`.

    Args:
        workdir: folder of the run. start: the step from which it continues.
        project: `config.wandb`.

    Raises:
        ValueError: wandb is asked for and not installed.
        OSError: the folder of TensorBoard cannot be written.
    """
    boards: list[Any] = []
    try:
        boards.append(_TensorBoard(workdir, start))
    except ImportError:  # the extra "tensorboard" is not installed
        pass
    if project:
        boards.append(_WandB(workdir, project))
    return boards


class _TensorBoard:
    """Writes events without tensorboardX's thread, which hangs on a full disk."""

    def __init__(self, workdir: Path, start: int):
        from tensorboardX import summary
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        self._folder, self._event, self._summary = (
            workdir / "tensorboard",
            Event,
            summary,
        )
        with errors.about(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._writer = EventsWriter(str(self._folder / "events"))
        # These events hide points of later steps, which a resumed run does again.
        self._add(start + 1, file_version="brain.Event:2")
        self._add(start + 1, session_log=SessionLog(status=SessionLog.START))

    def row(self, row: dict[str, float]) -> None:
        for name, value in row.items():
            self._add(int(row["step"]), summary=self._summary.scalar(name, value))
        with errors.about(self._folder):
            self._writer.flush()

    def image(self, step: int, title: str, image: np.ndarray) -> None:
        self._add(step, summary=self._summary.image(title, image, dataformats="HWC"))

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it was raised when the event was written
            self._writer.close()

    def _add(self, step: int, **content) -> None:
        event = self._event(wall_time=time.time(), step=step, **content)
        with errors.about(self._folder):
            self._writer.write_event(event)


class _WandB:
    """Logs to one W&B run per workdir, which resumes when the run does."""

    def __init__(self, workdir: Path, project: str):
        try:
            import wandb
        except ImportError as error:
            raise ValueError(
                f"config.wandb is {project!r}, but wandb is not installed; "
                "pip install 'hyperstyle_jax[wandb]', or leave config.wandb empty"
            ) from error
        path, config = workdir / "wandb_id", workdir / "config.json"
        if not path.exists():
            path.write_text(secrets.token_hex(8))
        self._image = wandb.Image
        self._run = wandb.init(
            project=project,
            name=workdir.absolute().name,
            id=path.read_text(),
            resume="allow",
            dir=str(workdir),
            config=json.loads(config.read_text()) if config.exists() else {},
        )
        # W&B's own step counter cannot go back, as a resumed run does.
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def row(self, row: dict[str, float]) -> None:
        self._run.log(row)

    def image(self, step: int, title: str, image: np.ndarray) -> None:
        self._run.log({"step": step, title: self._image(image)})

    def close(self) -> None:
        self._run.finish()
