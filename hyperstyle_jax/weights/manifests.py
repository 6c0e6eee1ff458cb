"""Reads and writes bundle.json: a bundle's networks, their making, their checksums."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hyperstyle_jax.system import atomic_files
from hyperstyle_jax.weights import calibrations, specs

NAME = "bundle.json"
VERSION = 1


def read(folder: Path) -> dict[str, Any]:
    """The content of bundle.json, checked for completeness; reads no weights.

    Raises:
        ValueError: it is damaged, incomplete, or of a newer version.
    """
    try:
        manifest = json.loads((folder / NAME).read_text(encoding="utf-8"))
        _check(manifest)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{folder / NAME} is not valid: {why}") from None
    return manifest


def write(folder: Path, manifest: Mapping[str, Any]) -> None:
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


def _check(manifest: Mapping[str, Any]):
    """Refuses what `read`'s callers could not use."""
    if manifest["version"] > VERSION:
        raise ValueError(
            f"version {manifest['version']}, this program reads up to {VERSION}: "
            "update hyperstyle_jax"
        )
    for name, recorded in manifest["files"].items():
        _check_file(name, recorded)
    for entry in manifest["networks"].values():
        _check_weights(entry["file"], manifest)
        specs.module_from_spec(entry["module"])
        _check_inputs(entry["inputs"])
        _check_type(f"parameters of {entry['file']}", entry["parameters"], int)
    if directions := manifest["directions"]:
        _check_weights(directions["file"], manifest)
        names = _check_type("names of directions", directions["names"], list)
        for name in names:
            _check_type("a direction's name", name, str)
        _check_calibrations(directions.get("calibrations", {}), names)
    check_image_size(_check_type("info", manifest["info"], dict))
    made_of = _check_type("provenance", manifest.get("provenance", {}), dict)
    _check_type("versions", made_of.get("versions", {}), dict)
    for source in _check_type("sources", made_of.get("sources", []), list):
        _check_type("a source", source, dict)


def _check_calibrations(measured, names):
    """Refuses calibrations of no direction, or of another form than we write."""
    for name, value in _check_type("calibrations", measured, dict).items():
        try:
            calibrations.from_json(value)
        except ValueError as error:
            raise ValueError(f"the calibration of {name!r:.60}: {error}") from None
        if name not in names:
            raise ValueError(f"a calibration of {name!r:.60}, but no such direction")


def _check_type(title: str, value, kind: type):
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{title}: {value!r:.60} is no {kind.__name__}")
    return value


def _check_file(name: str, recorded):
    """Only plain names inside the folder: no separators, no drive, no dot files."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise ValueError(f"refused the file name {name!r:.60}")
    if not re.fullmatch(r"[0-9a-f]{64}", recorded["sha256"]):
        raise ValueError(f"the sha256 of {name}: expected 64 hexadecimal digits")
    _check_type(f"bytes of {name}", recorded["bytes"], int)


def _check_weights(name: str, manifest):
    if name not in manifest["files"] or not name.endswith(".safetensors"):
        raise ValueError(f"no sha256 for the weights {name!r:.60}")


def _check_inputs(inputs):
    if not all(isinstance(n, int) and 0 < n < 2**16 for s in inputs for n in s):
        raise ValueError(f"inputs {inputs!r:.80}: expected lists of sizes")


def check_image_size(info: Mapping[str, Any]) -> None:
    """Refuses an `image_size` that is no side and no [H, W]."""
    size = info["image_size"]
    pair = [size, size] if isinstance(size, int) else list(size)
    if len(pair) != 2 or not all(isinstance(n, int) and 8 <= n < 2**16 for n in pair):
        raise ValueError(f"image_size {size!r:.80}: expected a side or [H, W]")
