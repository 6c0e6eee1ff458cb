"""Files of any kind: written whole or not at all, and known by their checksums."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any


def write_whole(path: str | Path, data: bytes) -> Path:
    """Writes a file so that nobody ever sees half of it, not even on a full disk."""
    path = Path(path)
    temporary = path.with_name(f".part-{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        if temporary.exists():
            temporary.unlink()
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


def sha256(file: Path) -> str:
    """Of a file's content, in hexadecimal digits."""
    with open(file, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
