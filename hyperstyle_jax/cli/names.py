"""Names output files: names are short, and no two inputs get the same one."""

import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

_MOST = 200  # bytes of a name


def unique_names(files: Iterable[Path], suffixes: Sequence[str] = ("",)) -> list[str]:
    """One name per file: its stem, or more of its path where that is taken.

    `x.png, b/x.png, x.jpg` become `x, b_x, x_jpg`.

    Args:
        files: input files.
        suffixes: what is appended to a name for further outputs, e.g. "_steps"; those
            names do not collide either (nor on file systems without upper case).
    """
    taken, names = set(), []
    for file in files:
        for name in map(_short, _candidates(file)):
            outputs = {(name + suffix).casefold() for suffix in suffixes}
            if not outputs & taken:
                break
        taken |= outputs
        names.append(name)
    return names


def _short(name: str) -> str:
    """A name with room for endings, where file systems allow 255 bytes."""
    data = os.fsencode(name)
    if len(data) <= _MOST:
        return name
    start = data[: _MOST - 9].decode(errors="ignore")
    return f"{start}-{zlib.crc32(data):08x}"


def _candidates(file: Path):
    stem, kind, folder = file.stem, file.suffix.lstrip("."), file.absolute().parent.name
    yield stem
    yield from [f"{stem}_{kind}"] if kind.lower() not in ("", "npz", "png") else []
    yield from [f"{folder}_{stem}", f"{folder}_{stem}_{kind}"] if folder else []
    number = 2
    while True:
        yield f"{stem}-{number}"
        number += 1
