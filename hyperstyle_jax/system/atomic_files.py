"""Files of any kind: written whole or not at all, and known by their checksums."""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from pathlib import Path
from typing import Any

from hyperstyle_jax.system import processes

_PART = ".part-"


def write_whole(path: str | os.PathLike, data: bytes) -> Path:
    """Writes a file so that nobody ever sees half of it, not even on a full disk."""
    path = Path(path)
    part = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        os.replace(part, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink()
        if not isinstance(error, OSError):
            raise
        reason = error.strerror or str(error)
        raise OSError(
            error.errno,
            f"could not write ({reason}); free some space or choose another folder",
            str(path),
        ) from error
    return path


def write_json(path: str | Path, value: Any) -> Path:
    """Writes a JSON value as indented text, as `write_whole` does."""
    return write_whole(path, (json.dumps(value, indent=1) + "\n").encode())


def part_of(path: Path) -> Path:
    """Where to write a file or folder before it takes its place; short for any name."""
    return path.with_name(f"{_PART}{os.getpid()}-{secrets.token_hex(4)}")


def sweep(folder: Path) -> None:
    """Removes what dead processes have left half-written in a folder and just below.

    To be called by the one process that fills the folder. Parts of a process that runs
    stay: it may write a single file, which needs no lock.
    """
    for part in [*folder.glob(f"{_PART}*"), *folder.glob(f"*/{_PART}*")]:
        pid = part.name.split("-")[1]
        if pid.isdecimal() and int(pid) != os.getpid():
            if processes.is_running(int(pid)):
                continue
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def sha256(file: Path) -> str:
    """Of a file's content, in hexadecimal digits."""
    with open(file, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
