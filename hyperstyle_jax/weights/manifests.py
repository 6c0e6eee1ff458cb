"""bundle.json: what networks a bundle has, how they were made, their checksums."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hyperstyle_jax.system import atomic_files
from hyperstyle_jax.weights import specs

NAME = "bundle.json"
VERSION = 1


def read(folder: Path) -> dict[str, Any]:
    """The content of bundle.json, checked for completeness; reads no weights.

    Raises:
        ValueError: it is damaged, incomplete, or of a newer version.
    """
    try:
        manifest = json.loads((folder / NAME).read_text(encoding="utf-8"))
        if manifest["version"] > VERSION:
            raise ValueError(
                f"version {manifest['version']}, this program reads up to {VERSION}: "
                "update hyperstyle_jax"
            )
        entries = [*manifest["networks"].values(), manifest["directions"] or None]
        for entry in filter(None, entries):
            _check_name(entry["file"])
            manifest["files"][entry["file"]]["sha256"].encode()
        for entry in manifest["networks"].values():
            specs.module_from_spec(entry["module"])
            _check_inputs(entry["inputs"])
        check_image_size(manifest["info"])
    except (
        ValueError, KeyError, TypeError, AttributeError, RecursionError
    ) as error:
        why = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{folder / NAME} is not valid: {why}") from None
    return manifest


def write(folder: Path, manifest: Mapping[str, Any]):
    """Writes bundle.json."""
    (folder / NAME).write_text(json.dumps(manifest, indent=1) + "\n")


def identity(manifest: Mapping[str, Any]) -> str:
    """A bundle's id: it names the networks' weights; edit directions may change."""
    files = sorted(entry["file"] for entry in manifest["networks"].values())
    lines = "".join(f"{f} {manifest['files'][f]['sha256']}\n" for f in files)
    return hashlib.sha256(lines.encode()).hexdigest()[:12]


def checksum(folder: Path) -> str:
    """The sha256 of bundle.json, which has those of all other files."""
    return atomic_files.sha256(folder / NAME)


def _check_name(name: str):
    """Only plain names inside the folder: no separators, no drive, no dot files."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.safetensors", name):
        raise ValueError(f"refused the file name {name!r}")


def _check_inputs(inputs):
    if not all(isinstance(n, int) and 0 < n < 2**16 for s in inputs for n in s):
        raise ValueError(f"inputs {inputs!r:.80}: expected lists of sizes")


def check_image_size(info: Mapping[str, Any]):
    """Refuses an `image_size` that is no side and no [H, W]."""
    size = info["image_size"]
    pair = [size, size] if isinstance(size, int) else list(size)
    if len(pair) != 2 or not all(isinstance(n, int) and 8 <= n < 2**16 for n in pair):
        raise ValueError(f"image_size {size!r:.80}: expected a side or [H, W]")
