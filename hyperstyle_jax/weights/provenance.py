"""Records what a bundle was made with and made of, so that this can be checked."""

import os
import platform
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from hyperstyle_jax.system import atomic_files

_PACKAGES = ("hyperstyle_jax", "jax", "jaxlib", "flax", "numpy")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that determine the numbers."""
    result = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            result[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            result[package] = "not installed"
    return result


def of_files(files: Iterable[tuple[str | os.PathLike, str]]) -> list[dict[str, Any]]:
    """Name, kind, size and checksum of source files.

    Args:
        files: (path, kind of weights).
    """
    return [
        {
            "name": Path(path).name,
            "kind": kind,
            "bytes": os.path.getsize(path),
            "sha256": atomic_files.sha256(Path(path)),
        }
        for path, kind in files
    ]


def record(made_by: str, sources: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """The value of `provenance` in bundle.json.

    Args:
        made_by: the program.
        sources: files or runs, each with its `name`, `kind` and `sha256`.
    """
    return {
        "made_by": made_by,
        "versions": versions(),
        "sources": [dict(source) for source in sources],
    }
