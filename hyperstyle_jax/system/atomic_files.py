"""Writes files as a whole or not at all, and computes their checksums."""

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
    """Writes a file of which nobody ever sees a half, not even on a full disk.

    Raises:
        OSError: names the file and says why it could not be written.
    """
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
    """A temporary path beside a file or folder; it is short for any name."""
    return path.with_name(f"{_PART}{os.getpid()}-{secrets.token_hex(4)}")


def sweep(folder: Path) -> None:
    """Removes what dead processes left half-written in a folder and its subfolders.

    Only the process that fills the folder calls this. Temporary files of a running
    process stay: it may write a single file, which needs no lock.
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
    """The sha256 of a file's content, in hexadecimal digits."""
    with open(file, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
