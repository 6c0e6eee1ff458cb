"""Writes folders as a whole or not at all."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from hyperstyle_jax.system import errors, folder_lock


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Gives a new folder, which replaces the one at `path` when it is finished.

    Other processes cannot write it at the same time. What a killed process left is
    removed, and a folder that it had moved aside is put back.

    Args:
        path: the folder; an older one stays in its place until the new one is finished.

    Raises:
        OSError: names `path`, also where the unfinished folder is meant.
        ValueError: another process writes it.
    """
    path = Path(os.path.realpath(path))
    with folder_lock.hold(path, beside=True):
        stem = folder_lock.beside_file(path)
        new, old = stem.with_suffix(".new"), stem.with_suffix(".old")
        if old.exists() and not path.exists():
            old.rename(path)  # a process was killed within `_replace`
        shutil.rmtree(new, ignore_errors=True)
        try:
            with errors.about(path), _naming(path, new):
                new.mkdir()
                yield new
                _replace(new, path, old)
        finally:
            shutil.rmtree(new, ignore_errors=True)
            if path.exists():
                shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _naming(path: Path, new: Path):
    """Gives errors about files in the unfinished folder the name of the bundle."""
    try:
        yield
    except OSError as error:
        if not str(error.filename or "").startswith(str(new)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _replace(new: Path, path: Path, old: Path):
    """Puts the finished folder in place; the old one stays until then."""
    if not path.exists():
        new.rename(path)
        return
    path.rename(old)
    try:
        new.rename(path)
    except OSError:
        old.rename(path)
        raise
