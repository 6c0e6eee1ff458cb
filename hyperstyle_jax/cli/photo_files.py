"""Finds the photos in files, folders and zip files that a command is given."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # it takes long to import
    from hyperstyle_jax.data.entries import File


class Photos(NamedTuple):
    """What is to be read, and what cannot or will not be."""

    files: "list[File]"
    failed: dict[str, str]  # {path: why}
    left_out: dict[str, int]  # {".heic": 6}: images of kinds that are not read


def collect(inputs: Iterable[Path], out: Path) -> Photos:
    """Finds the photos, each once.

    Args:
        inputs: files, folders and zip files.
        out: the folder of results; what an earlier run wrote there is no photo, unless
            it is named itself.

    Raises:
        ValueError: there is nothing to read at all; says why.
    """
    from hyperstyle_jax.data import walking
    from hyperstyle_jax.data.entries import left_out_line, shown

    walk, failed = walking.Walk(), {}
    for path in inputs:
        try:
            walk.add(path)
        except (ValueError, OSError) as error:
            failed[shown(str(path))] = str(error)
    listing = walk.finish()
    failed |= {source: walking.no_image(source, {}) for source in listing.empty}
    named = {str(path) for path in inputs}
    files = [f for f in listing.files if f.path in named or not _is_in(f.path, out)]
    if listing.files and not files:
        failed[str(out)] = "only images of this folder of results; name the photos"
    failed |= {file.path: file.problem for file in files if file.problem}
    files = [file for file in files if not file.problem]
    if not files:
        reasons = [*map(_with_path, failed.items()), left_out_line(listing.left_out)]
        raise ValueError("; ".join(filter(None, reasons)))
    return Photos(files, failed, listing.left_out)


def _is_in(path: str | Path, folder: Path) -> bool:
    """Whether a file stands in a folder (not in one below it), links followed."""
    return os.path.realpath(os.path.dirname(path)) == os.path.realpath(folder)


def _with_path(failure: tuple[str, str]) -> str:
    path, why = failure
    return f"{path}: {why.removeprefix(f'{path}: ')}"
