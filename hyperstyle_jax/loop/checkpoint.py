"""Training state on disk: saved in the background, restored exactly.

A run keeps `WORKDIR/checkpoints/STEP/`, each with two parts: `state`, the pytree that
training changes, and `progress`, a JSON value (position in the data, running means,
best evaluation so far). Beside them `sha256sums` lists the files: what changes on disk
afterwards is found when it is read, here or by `sha256sum --check`.
"""

import concurrent.futures
import contextlib
import errno
import functools
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from hyperstyle_jax.system import atomic_files, errors

_SUMS = "sha256sums"
_TEMPORARY = "*.orbax-checkpoint-tmp*"
# Seconds that a save may take where several processes wait for one another, and after
# which one that cannot write says so. Orbax's 1200 are long; this is 6 GB at 20 MB/s.
PATIENCE = 300


def steps(workdir: str | Path) -> list[int]:
    """The steps with a checkpoint, ascending."""
    folder = _folder(workdir)
    if not folder.is_dir():
        return []
    return sorted(int(p.name) for p in folder.iterdir() if p.name.isdecimal())


def restore(
    workdir: str | Path, like: Any, repair: bool = False
) -> tuple[int, Any, Any] | None:
    """The newest checkpoint that can be read; says on stderr which it had to pass over.

    Args:
        workdir: folder of the run.
        like: the state as `jax.ShapeDtypeStruct`s with shardings.
        repair: moves the checkpoints passed over to `WORKDIR/broken_checkpoints`. For
            the run's owner, who is going to do those steps again.

    Returns:
        (step, state, progress), or None if there is no checkpoint.

    Raises:
        ValueError: there are checkpoints and none can be read.
    """
    broken = {}
    for step in reversed(steps(workdir)):
        try:
            found, progress = _read(_folder(workdir) / str(step), like)
        except Exception as error:  # orbax raises many kinds for a damaged folder
            broken[step] = _first_line(error)
            continue
        for bad, why in broken.items():
            print(
                f"warning: the checkpoint of step {bad} cannot be read ({why}); "
                f"falling back to step {step}",
                file=sys.stderr,
            )
            if repair and jax.process_index() == 0:
                _put_aside(workdir, bad)
        return step, found, progress
    if broken:
        newest = max(broken)
        raise ValueError(
            f"no checkpoint in {_folder(workdir)} can be read; the newest, step "
            f"{newest}: {broken[newest]}; delete the folder or use another --workdir "
            "to start anew"
        )
    return None


def progress(workdir: str | Path) -> Any:
    """What the newest checkpoint tells of the run besides its state, or None.

    Raises:
        ValueError: the checkpoint cannot be read.
    """
    newest = steps(workdir)[-1:]
    if not newest:
        return None
    path = _folder(workdir) / str(newest[0])
    try:
        return _read(path)[1]
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read ({_first_line(error)}); move it away, and the "
            "checkpoint before it counts"
        ) from error


def restore_best(workdir: str | Path, like: Any) -> tuple[int, Any, Any]:
    """The checkpoint of the best evaluation so far.

    Args and result as of `restore`.

    Raises:
        ValueError: the run keeps no best checkpoint, or it cannot be read.
    """
    best = (progress(workdir) or {}).get("best")
    if not best:
        raise ValueError(
            f"{workdir} has no best checkpoint: none of its evaluations was compared; "
            "set config.best (as eval/loss) when training, or take the newest step"
        )
    path = _folder(workdir) / str(best["step"])
    try:
        return best["step"], *_read(path, like)
    except Exception as error:
        raise ValueError(
            f"the best checkpoint, {path}, cannot be read ({_first_line(error)}); "
            "take the newest step instead"
        ) from error


def load_arrays(workdir: str | Path, *names: str, step: int | None = None) -> dict:
    """Some parts of a run's state as NumPy arrays, whatever devices it ran on.

    Args:
        workdir: folder of the run.
        names: keys of the state, for example "ema".
        step: which checkpoint; the newest by default.

    Returns:
        `{name: pytree}` for the names given.

    Raises:
        ValueError: no checkpoint, or a name that its state does not have.
    """
    have = steps(workdir)
    if not have or (step is not None and step not in have):
        wanted = "" if step is None else f" of step {step}"
        raise ValueError(f"no checkpoint{wanted} in {_folder(workdir)}; steps: {have}")
    path = _folder(workdir) / str(have[-1] if step is None else step)
    _verify(path)
    state = ocp.checkpointables_metadata(path).metadata["state"]
    missing = [name for name in names if name not in state]
    if missing:
        raise ValueError(f"the state in {path} has no {missing}, only {sorted(state)}")
    like = {name: jax.tree.map(_empty, state[name]) for name in names}
    context = ocp.Context()
    context.pytree.loading.partial_load = True
    with context:
        return ocp.load_checkpointables(path, {"state": like})["state"]


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
                an earlier one has left half-written is removed.
            keep: so many of the newest.
            before_first: called before the first save.

        Raises:
            OSError: the folder cannot be written.
        """
        training = ocp.training
        _hush_late_writers()
        self._kept = _Kept(keep)
        self._workdir = workdir
        self._before_first = before_first
        self._step: int | None = None  # of the save under way
        self._background = concurrent.futures.ThreadPoolExecutor(1)
        context = ocp.Context()
        if jax.process_count() > 1:
            context.asynchronous.timeout_secs = PATIENCE
        policy = training.save_decision_policies.FixedIntervalPolicy(1)
        with errors.about(_folder(workdir)):
            self._checkpointer = training.Checkpointer(
                _folder(workdir),
                context=context,
                # Ours decide when to save; orbax's own default skips a save while
                # another one is still being written.
                save_decision_policy=policy,
                preservation_policy=self._kept,
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
        self._kept.best = (progress.get("best") or {}).get("step")
        text = np.frombuffer(json.dumps(progress).encode(), np.uint8)
        parts = {"state": state, "progress": text}
        with self._readable_errors():
            _check_space(_folder(self._workdir), state)
            response = self._checkpointer.save_checkpointables_async(
                step, parts, force=True
            )
        folder = _folder(self._workdir) / str(step)
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
            for path in _folder(self._workdir).glob(_TEMPORARY):
                shutil.rmtree(path, ignore_errors=True)
            raise _save_error(error, step, self._workdir) from error


class _Kept:
    """Orbax's protocol of what to keep: the newest `keep`, and step `best`."""

    def __init__(self, keep: int):
        self._keep = keep
        self.best: int | None = None

    def should_preserve(self, checkpoints, *, context) -> list[bool]:
        newest = len(checkpoints) - self._keep
        return [
            i >= newest or found.step == self.best
            for i, found in enumerate(checkpoints)
        ]


def _read(path: Path, like: Any = None) -> tuple[Any, Any]:
    """(state, progress); without `like`, no state, and no check of its files."""
    if like is not None:
        _verify(path)
    parts = {"progress": None} | ({} if like is None else {"state": like})
    loaded = ocp.load_checkpointables(path, parts)
    progress = json.loads(np.asarray(loaded["progress"]).tobytes())
    return loaded.get("state"), progress


def _check_space(folder: Path, state: Any) -> None:
    """Of several processes each refuses what one could not write.

    Orbax would let them wait `PATIENCE` seconds for one whose disk is full.
    """
    if jax.process_count() == 1:
        return
    needed = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state))
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"{free:,} bytes free, {needed:,} needed")


def _finish(response: Any, path: Path) -> None:
    """Waits until a checkpoint is complete and writes down its sums."""
    response.result()
    if jax.process_index():  # of several processes one writes
        return
    lines = [f"{atomic_files.sha256(path / name)}  {name}\n" for name in _files(path)]
    atomic_files.write_whole(path / _SUMS, "".join(lines).encode())


def _verify(path: Path) -> None:
    """Compares a checkpoint's files with its sums.

    One without sums is taken as it is: its run was killed between the two, or is older.

    Raises:
        ValueError: a file is gone or has changed.
    """
    if not (path / _SUMS).exists():
        return
    for line in (path / _SUMS).read_text().splitlines():
        wanted, _, name = line.partition("  ")
        if not (path / name).is_file():
            raise ValueError(f"its file {name} is gone")
        if atomic_files.sha256(path / name) != wanted:
            raise ValueError(f"its file {name} has changed since it was saved")


def _files(path: Path) -> list[str]:
    found = (p for p in path.rglob("*") if p.is_file() and p.name != _SUMS)
    return sorted(str(p.relative_to(path)) for p in found)


def _save_error(error: BaseException, step: int, workdir: str | Path) -> OSError:
    left = [s for s in steps(workdir) if s != step]
    after = f"earlier checkpoints stay: {left}" if left else "there is none earlier"
    if errors.is_disk_full(error):
        what = "the disk is full; free some space and run the same command again"
        return OSError(errno.ENOSPC, f"saving step {step} failed: {what} ({after})")
    what = f"{_first_line(error)}; fix it and run the same command again"
    return OSError(errno.EIO, f"saving step {step} failed: {what} ({after})")


@functools.cache
def _hush_late_writers() -> None:
    """Keeps threads of tensorstore quiet that go on after one of them has failed.

    Orbax has closed the loop by then to which each of them reports its own failure.
    """
    show = sys.unraisablehook

    def hook(unraisable):
        error = unraisable.exc_value
        if not (isinstance(error, RuntimeError) and "loop is closed" in str(error)):
            show(unraisable)

    sys.unraisablehook = hook


def _put_aside(workdir: str | Path, step: int) -> None:
    aside = Path(workdir) / "broken_checkpoints" / str(step)
    shutil.rmtree(aside, ignore_errors=True)
    aside.parent.mkdir(exist_ok=True)
    (_folder(workdir) / str(step)).rename(aside)


def _empty(metadata: Any) -> Any:
    if hasattr(metadata, "shape"):
        return np.empty(metadata.shape, metadata.dtype)
    return metadata


def _folder(workdir: str | Path) -> Path:
    return Path(workdir).absolute() / "checkpoints"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:400]}"
