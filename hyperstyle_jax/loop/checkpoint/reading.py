"""Reads checkpoints: the newest readable one, the best one, or parts of one."""

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from hyperstyle_jax.loop.checkpoint import files
from hyperstyle_jax.system import errors, program


def restore(
    workdir: str | Path, like: Any, repair: bool = False
) -> tuple[int, Any, Any] | None:
    """The newest checkpoint that can be read; warns of newer ones that cannot.

    Args:
        workdir: folder of the run.
        like: the state as `jax.ShapeDtypeStruct`s with shardings.
        repair: moves the checkpoints passed over to `WORKDIR/broken_checkpoints`. Only
            the owner of the run may ask for it, who is going to do those steps again.

    Returns:
        (step, state, progress), or None if there is no checkpoint.

    Raises:
        ValueError: there are checkpoints and none can be read.
    """
    broken = {}
    for step in reversed(files.steps(workdir)):
        try:
            state, progress = _read(files.step_folder(workdir, step), like)
        except Exception as error:  # orbax raises many kinds for a damaged folder
            broken[step] = errors.first_line(error)
            continue
        for broken_step, reason in broken.items():
            print(
                f"warning: the checkpoint of step {broken_step} cannot be read "
                f"({reason}); falling back to step {step}",
                file=sys.stderr,
            )
            if repair and jax.process_index() == 0:
                files.move_aside(workdir, broken_step)
        return step, state, progress
    if broken:
        newest = max(broken)
        raise ValueError(
            f"no checkpoint in {files.folder(workdir)} can be read; the newest, step "
            f"{newest}: {broken[newest]}; delete the folder or use another --workdir "
            "to start anew"
        )
    return None


def progress(workdir: str | Path) -> Any:
    """What the newest checkpoint tells of the run besides its state.

    Returns:
        The JSON value that was saved, or None if there is no checkpoint.

    Raises:
        ValueError: the checkpoint cannot be read.
    """
    steps = files.steps(workdir)
    if not steps:
        return None
    path = files.step_folder(workdir, steps[-1])
    try:
        return _read(path)[1]
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read ({errors.first_line(error)}); move it away, and "
            "the checkpoint before it counts"
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
    path = files.step_folder(workdir, best["step"])
    try:
        return best["step"], *_read(path, like)
    except Exception as error:
        raise ValueError(
            f"the best checkpoint, {path}, cannot be read ({errors.first_line(error)});"
            " take the newest step instead"
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
    steps = files.steps(workdir)
    if not steps or (step is not None and step not in steps):
        which = "" if step is None else f" of step {step}"
        folder = files.folder(workdir)
        raise ValueError(f"no checkpoint{which} in {folder}; steps: {steps}")
    path = files.step_folder(workdir, steps[-1] if step is None else step)
    files.verify(path)
    with _stoppable():
        state = ocp.checkpointables_metadata(path).metadata["state"]
    missing = [name for name in names if name not in state]
    if missing:
        raise ValueError(f"the state in {path} has no {missing}, only {sorted(state)}")
    like = {name: jax.tree.map(_empty, state[name]) for name in names}
    context = ocp.Context()
    context.pytree.loading.partial_load = True
    with context, _stoppable():
        return ocp.load_checkpointables(path, {"state": like})["state"]


def _read(path: Path, like: Any = None) -> tuple[Any, Any]:
    """(state, progress); without `like` no state, and no check of its files."""
    if like is not None:
        files.verify(path)
    parts = {"progress": None} | ({} if like is None else {"state": like})
    with _stoppable():
        loaded = ocp.load_checkpointables(path, parts)
    progress = json.loads(np.asarray(loaded["progress"]).tobytes())
    return loaded.get("state"), progress


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Brings back a SIGTERM that orbax has caught, or made an error of.

    A good checkpoint would count as damaged, or as one without its progress.
    """
    files.hush_late_threads()
    try:
        yield
    finally:
        program.heed_stop()


def _empty(metadata: Any) -> Any:
    """An array to load into; what is no array stays as it is."""
    if hasattr(metadata, "shape"):
        return np.empty(metadata.shape, metadata.dtype)
    return metadata
