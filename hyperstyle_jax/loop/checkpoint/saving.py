"""Saves the state of a run in the background, and keeps the newest and the best."""

import concurrent.futures
import contextlib
import errno
import functools
import json
import shutil
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from hyperstyle_jax.loop.checkpoint import files
from hyperstyle_jax.system import errors

_TEMPORARY = "*.orbax-checkpoint-tmp*"
# Where several processes wait for one another, a save may take this many seconds;
# afterwards a process that cannot write says so. Orbax's 1200 seconds are long; 300
# suffice for 6 GB at 20 MB/s.
TIMEOUT = 300
# Modules of orbax that measure with the clock of the day how long they have waited;
# not every version has all of them.
_WAITING = (
    "_src.checkpointers.async_checkpointer",
    "_src.futures.future",
    "_src.futures.signaling_client",
    "experimental.v1._src.handlers.pytree_handler",
    "experimental.v1._src.synchronization.compatibility",
)


class Saver(contextlib.AbstractContextManager):
    """Writes checkpoints in the background; keeps the newest `keep` and the best."""

    def __init__(
        self,
        workdir: str | Path,
        keep: int,
        before_first: Callable[[], None] = lambda: None,
    ):
        """
        Args:
            workdir: folder of the run, which this process holds (`folder_lock`): what
                an earlier process has left half-written is removed.
            keep: how many of the newest checkpoints stay.
            before_first: called before the first save.

        Raises:
            OSError: the folder cannot be written.
        """
        training = ocp.training
        files.hush_late_threads()
        _use_a_steady_clock()
        self._policy = _NewestAndBest(keep)
        self._workdir = workdir
        self._before_first = before_first
        self._step: int | None = None  # the step that is being saved
        self._background = concurrent.futures.ThreadPoolExecutor(1)
        context = ocp.Context()
        if jax.process_count() > 1:
            context.asynchronous.timeout_secs = TIMEOUT
        every_step = training.save_decision_policies.FixedIntervalPolicy(1)
        with errors.about(files.folder(workdir)):
            self._checkpointer = training.Checkpointer(
                files.folder(workdir),
                context=context,
                # Our caller decides when to save. Orbax's own default would skip a
                # save while another one is still being written.
                save_decision_policy=every_step,
                preservation_policy=self._policy,
                cleanup_tmp_directories=True,
            )

    def save(self, step: int, state: Any, progress: Any) -> None:
        """Starts to write `state`; waits for the previous save if there is one.

        Args:
            step: number of the checkpoint.
            state: pytree of arrays.
            progress: JSON value; where it has `progress["best"]["step"]`, that
                checkpoint is kept although it is not among the newest.

        Raises:
            OSError: this save or the previous one failed (a full disk, for example).
        """
        self.wait()
        self._before_first()
        self._before_first = lambda: None
        self._step = step
        self._policy.best = (progress.get("best") or {}).get("step")
        text = np.frombuffer(json.dumps(progress).encode(), np.uint8)
        parts = {"state": state, "progress": text}
        with self._readable_errors():
            _check_space(files.folder(self._workdir), state)
            response = self._checkpointer.save_checkpointables_async(
                step, parts, force=True
            )
        folder = files.step_folder(self._workdir, step)
        self._saved = self._background.submit(_finish, response, folder)

    def wait(self) -> None:
        """Returns when the last save is complete on disk, or raises its error."""
        if self._step is None:
            return
        with self._readable_errors():
            self._saved.result()
        self._step = None

    def __exit__(self, kind, error, trace) -> None:
        try:
            self.wait()
        except OSError:
            if error is None:
                raise
        finally:
            # After a failed save, closing repeats its error.
            with contextlib.suppress(Exception):
                self._checkpointer.close()
            self._background.shutdown()

    @contextlib.contextmanager
    def _readable_errors(self):
        try:
            yield
        except Exception as error:
            step, self._step = self._step, None
            for path in files.folder(self._workdir).glob(_TEMPORARY):
                shutil.rmtree(path, ignore_errors=True)
            raise _save_error(error, step, self._workdir) from error


class _NewestAndBest:
    """Tells orbax to keep the newest `keep` checkpoints, and that of step `best`."""

    def __init__(self, keep: int):
        self._keep = keep
        self.best: int | None = None

    def should_preserve(self, checkpoints, *, context) -> list[bool]:
        newest = len(checkpoints) - self._keep
        return [
            i >= newest or checkpoint.step == self.best
            for i, checkpoint in enumerate(checkpoints)
        ]


def _check_space(folder: Path, state: Any) -> None:
    """Refuses a save for which the disk is too small, where several processes save.

    Orbax would let the others wait `TIMEOUT` seconds for the one whose disk is full.

    Raises:
        OSError: the disk has not enough space.
    """
    if jax.process_count() == 1:
        return
    needed = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state))
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"{free:,} bytes free, {needed:,} needed")


def _finish(response: Any, path: Path) -> None:
    """Waits until a checkpoint is complete, and writes its checksums."""
    response.result()
    if jax.process_index() == 0:  # of several processes one writes
        files.write_checksums(path)


def _save_error(error: BaseException, step: int, workdir: str | Path) -> OSError:
    others = [s for s in files.steps(workdir) if s != step]
    after = f"earlier checkpoints stay: {others}" if others else "there is none earlier"
    if errors.is_disk_full(error):
        what = "the disk is full; free some space and run the same command again"
        return OSError(errno.ENOSPC, f"saving step {step} failed: {what} ({after})")
    what = f"{errors.first_line(error)}; fix it and run the same command again"
    return OSError(errno.EIO, f"saving step {step} failed: {what} ({after})")


@functools.cache
def _use_a_steady_clock() -> None:
    """Lets orbax wait by a clock that never jumps.

    A clock of the day that is set right during a save would end it as timed out.
    """
    steady = types.SimpleNamespace(**(vars(time) | {"time": time.monotonic}))
    for name in _WAITING:
        if module := sys.modules.get(f"orbax.checkpoint.{name}"):
            module.time = steady  # type: ignore[attr-defined]
