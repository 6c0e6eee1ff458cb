"""The folders of a run's checkpoints, and the checksums of the files in them."""

import functools
import shutil
import sys
from pathlib import Path

from hyperstyle_jax.system import atomic_files

_SUMS = "sha256sums"


def folder(workdir: str | Path) -> Path:
    """The folder that has one folder for each checkpoint of a run."""
    return Path(workdir).absolute() / "checkpoints"


def step_folder(workdir: str | Path, step: int) -> Path:
    """The folder of one checkpoint."""
    return folder(workdir) / str(step)


def steps(workdir: str | Path) -> list[int]:
    """The steps with a checkpoint, ascending."""
    if not folder(workdir).is_dir():
        return []
    names = [path.name for path in folder(workdir).iterdir()]
    return sorted(int(name) for name in names if name.isdecimal())


def move_aside(workdir: str | Path, step: int) -> None:
    """Moves a checkpoint to `WORKDIR/broken_checkpoints/STEP`, replacing that one."""
    aside = Path(workdir) / "broken_checkpoints" / str(step)
    shutil.rmtree(aside, ignore_errors=True)
    aside.parent.mkdir(exist_ok=True)
    step_folder(workdir, step).rename(aside)


def write_checksums(path: Path) -> None:
    """Writes `sha256sums` with the checksums of all files of a checkpoint.

    Args:
        path: of `step_folder`.

    Raises:
        OSError: the file cannot be written.
    """
    files = (p for p in path.rglob("*") if p.is_file() and p.name != _SUMS)
    names = sorted(str(p.relative_to(path)) for p in files)
    lines = [f"{atomic_files.sha256(path / name)}  {name}\n" for name in names]
    atomic_files.write_whole(path / _SUMS, "".join(lines).encode())


def verify(path: Path) -> None:
    """Compares a checkpoint's files with their checksums.

    A checkpoint without checksums passes: its run was killed before it wrote them, or
    is older than they are.

    Args:
        path: of `step_folder`.

    Raises:
        ValueError: a file is gone or has changed.
    """
    if not (path / _SUMS).exists():
        return
    for line in (path / _SUMS).read_text().splitlines():
        checksum, _, name = line.partition("  ")
        if not (path / name).is_file():
            raise ValueError(f"its file {name} is gone")
        if atomic_files.sha256(path / name) != checksum:
            raise ValueError(f"its file {name} has changed since it was saved")


@functools.cache
def hush_late_threads() -> None:
    """Hides the errors of threads that go on after one of them has failed or stopped.

    These threads belong to tensorstore. Each reports its own failure to an event loop
    that orbax has closed by then.
    """
    show = sys.unraisablehook

    def hook(unraisable):
        error = unraisable.exc_value
        if not (isinstance(error, RuntimeError) and "loop is closed" in str(error)):
            show(unraisable)

    sys.unraisablehook = hook
