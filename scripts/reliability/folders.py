"""What is in the folders that commands have filled, or have begun to."""

import hashlib
import json
import os
import re
import zipfile
from pathlib import Path

# Endings of the names of values that differ between runs, or between places.
_CHANGING = (
    "source",
    "seconds",
    "seconds_waited",
    "per_second",
    "data_wait",
    "memory_gib",
    "date",
)


def rows(out: Path) -> list[dict]:
    """Whole rows of metrics.jsonl; a last line that was cut short is none."""
    try:
        lines = (out / "metrics.jsonl").read_text().splitlines()
    except OSError:
        return []
    whole = []
    for line in lines:
        try:
            whole.append(json.loads(line))
        except ValueError:
            continue
    return whole


def digests(out: Path) -> dict[str, str]:
    """A checksum of each file, or of the one file, without times."""
    files = [f for f in sorted(out.rglob("*")) if f.is_file()] or [out]
    return {str(f.relative_to(out.parent)): _digest(f) for f in files if f.is_file()}


def _digest(file: Path) -> str:
    data = file.read_bytes()
    if file.suffix == ".jsonl":
        data = json.dumps([timeless(r) for r in rows(file.parent)]).encode()
    elif file.suffix == ".json":
        data = json.dumps(timeless(json.loads(data))).encode()
    elif file.suffix == ".md":  # its numbers, and more of them, are in JSON beside it
        data = re.sub(rb"[\d.]+", b"0", data)
    return hashlib.sha256(data).hexdigest()


def timeless(value):
    """JSON without what a clock has said, and without the way to another folder."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if not k.endswith(_CHANGING)}
        return {k: timeless(v) for k, v in kept.items()}
    return [timeless(v) for v in value] if isinstance(value, list) else value


def half_written(out: Path) -> list[str]:
    """Files in place under their own names that cannot be whole."""
    inside = [p for p in sorted(out.rglob("*")) if p.is_file()]
    files = inside or ([out] if out.is_file() else [])
    visible = [f for f in files if not hidden(f.relative_to(out.parent))]
    return [str(f.relative_to(out.parent)) for f in visible if not _is_whole(f)]


def _is_whole(file: Path) -> bool:
    data = file.read_bytes()
    if file.suffix == ".json":
        try:
            json.loads(data)
        except ValueError:
            return False
    if file.suffix in (".npz", ".pt"):
        return zipfile.is_zipfile(file)
    return file.suffix != ".png" or data.endswith(b"IEND\xaeB`\x82")


def hidden(path: Path) -> bool:
    """Whether it is a lock or a temporary: nothing of it may stay."""
    marks = ("tmp", "incomplete")
    return any(p.startswith(".") or any(m in p for m in marks) for p in path.parts)


def leftovers(place: Path) -> list[str]:
    """Locks and temporaries below a folder."""
    below = [p.relative_to(place) for p in sorted(place.rglob("*"))]
    return [str(p) for p in below if hidden(p)]


def size(out: Path) -> int:
    """Bytes that a result takes in memory's pages, on a tmpfs."""
    files = [p for p in [out, *out.rglob("*")] if p.is_file()]
    return sum(-(-os.path.getsize(f) // 4096) * 4096 for f in files)
