"""Saves and loads bundles: networks in a folder, whose loading is strict.

A bundle holds `bundle.json` (architectures, how it was made, checksums), one
safetensors file per network, for edit directions `directions.safetensors`, and for
people and model hubs a `README.md`, which may be edited.
"""

import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from hyperstyle_jax import trees
from hyperstyle_jax.net import Net
from hyperstyle_jax.system import atomic_folders
from hyperstyle_jax.weights import (
    calibrations,
    hub,
    manifests,
    model_card,
    provenance,
    safetensors_reader,
    specs,
    stored_arrays,
)
from hyperstyle_jax.weights.calibrations import Calibration

SHIPPED = Path(__file__).parent / "bundles"
_DIRECTIONS = "directions.safetensors"


class Bundle(NamedTuple):
    """Networks by role and edit directions.

    Roles are "generator", "encoder", "hypernet", "feature_extractor", and for other
    methods of inversion "psp", "e4e", "restyle_psp", "restyle_e4e". `directions`
    are arrays [D] or [L, D] that are added to w+, one unit of strength each.
    `calibrations` say what some of these directions do. `id` names the weights: an
    inversion fits the bundle that made it.
    """

    nets: dict[str, Net]
    info: dict[str, Any]
    directions: dict[str, np.ndarray]
    id: str
    calibrations: Mapping[str, Calibration] = {}

    @property
    def image_size(self) -> tuple[int, int]:
        """(H, W) of the images that encoder and hypernetwork take."""
        size = self.info["image_size"]
        return (size, size) if isinstance(size, int) else tuple(size)

    def require(self, *roles: str) -> list[Net]:
        """The networks of these roles.

        Raises:
            ValueError: lists what the bundle has instead.
        """
        if missing := [r for r in roles if r not in self.nets]:
            raise ValueError(
                f"bundle {self.id} has no {' and no '.join(missing)}, only "
                f"{sorted(self.nets)}: choose a bundle that has them"
            )
        return [self.nets[r] for r in roles]

    def direction(self, name: str) -> np.ndarray:
        """The named edit direction.

        Raises:
            ValueError: lists the names that the bundle has.
        """
        if name not in self.directions:
            names = ", ".join(sorted(self.directions)) or "none"
            raise ValueError(
                f"no edit direction {name!r} in the bundle; it has: {names}"
            )
        return self.directions[name]


def save(
    path: str | os.PathLike,
    nets: Mapping[str, Net],
    *,
    info: Mapping[str, Any] | None = None,
    directions: Mapping[str, Any] | None = None,
    measured: Mapping[str, Calibration] | None = None,
    inputs: Mapping[str, specs.Inputs] | None = None,
    dtype: str | Mapping[str, str] = "float32",
    extra: Mapping[str, Callable[[Path], None]] | None = None,
    made_of: Mapping[str, Any] | None = None,
) -> str:
    """Writes a bundle; the folder appears whole or not at all.

    Args:
        path: folder; an older bundle in its place is replaced.
        nets: networks by role.
        info: free JSON values: `licence`, `made_by`, `metrics`, … `image_size`, a side
            or [H, W] of the images that go in, is the generator's resolution up to
            256 unless given; `tuned_layers` are those of the hypernetwork.
        directions: edit directions by name, [D] or [L, D].
        measured: calibrations of some of them, by name.
        inputs: shapes of a network's inputs without batch axis, by role; where not
            given, what its fields say, or images of `image_size`.
        dtype: "float32" or "float16" for the parameters, one for all or by role;
            buffers and batch statistics stay float32.
        extra: writers of further files by file name, which `load` ignores.
        made_of: the bundle's provenance, as `provenance.record` gives it.

    Returns:
        The bundle's id.

    Raises:
        ValueError: the folder is something else, or a value does not fit the dtype.
    """
    path = Path(path)
    other = path.exists() and not (path / manifests.NAME).is_file()
    if other and not _is_empty_folder(path):
        raise ValueError(f"{path} exists and is not a bundle: choose another folder")
    info = {**_facts(nets), **(info or {})}
    manifests.check_image_size(info)
    inputs = _inputs(nets, info["image_size"]) | dict(inputs or {})
    with atomic_folders.replacing(path) as temporary:
        manifest = _write(temporary, nets, inputs, dtype)
        _write_directions(temporary, manifest, directions or {}, measured)
        for name, write in (extra or {}).items():
            write(temporary / name)
            manifest["files"] |= stored_arrays.record(temporary / name)
        manifest["info"] = info
        manifest["provenance"] = made_of or provenance.record("hyperstyle_jax.save")
        manifests.write(temporary, manifest)
        model_card.write_file(temporary, path.name, manifest)
    return manifests.identity(manifest)


def set_directions(
    path: str | os.PathLike,
    directions: Mapping[str, Any],
    measured: Mapping[str, Calibration] | None = None,
) -> str:
    """Gives a bundle other edit directions; its networks stay as they are.

    Args:
        path: of the bundle.
        directions: all that it shall have, by name, [D] or [L, D].
        measured: calibrations of some of them.

    Returns:
        The bundle's id, which is the same as before.

    Raises:
        ValueError: not a bundle, or one at an address.
    """
    if hub.is_address(path):
        raise ValueError(f"{path} is not yours to change: copy the bundle to a folder")

    def change(folder: Path, manifest: dict[str, Any]):
        manifest["files"].pop(_DIRECTIONS, None)
        _write_directions(folder, manifest, directions, measured)

    return _rewrite(find(path), change, leave=(_DIRECTIONS,))


def set_info(path: str | os.PathLike, **values: Any) -> str:
    """Gives a bundle other facts in `info`; its networks stay as they are.

    Returns:
        The bundle's id, which is the same as before.

    Raises:
        ValueError: not a bundle, or one at an address.
    """
    if hub.is_address(path):
        raise ValueError(f"{path} is not yours to change: copy the bundle to a folder")
    return _rewrite(find(path), lambda _, manifest: manifest["info"].update(values))


def _rewrite(
    path: Path,
    change: Callable[[Path, dict[str, Any]], None],
    leave: tuple[str, ...] = (),
) -> str:
    """Puts a changed copy of a bundle in its place; `leave` is not copied."""
    manifest = manifests.read(path)
    with atomic_folders.replacing(path) as temporary:
        for file in path.iterdir():
            if file.is_file() and file.name not in (manifests.NAME, *leave):
                shutil.copy2(file, temporary)
        edited = model_card.is_edited(path, manifest)
        change(temporary, manifest)
        manifests.write(temporary, manifest)
        if not edited:
            model_card.write_file(temporary, path.name, manifest)
    return manifests.identity(manifest)


def load(path: str | os.PathLike = "demo", *, sha256: str | None = None) -> Bundle:
    """Reads a bundle with every array in float32.

    Args:
        path: a folder, "demo" for the bundle that is shipped, or an address:
            hf://OWNER/NAME@REVISION, https://… (see `hub.fetch`).
        sha256: of the bundle's bundle.json, as `hyperstyle verify` prints it; needed
            for an address, where it may also be given as `#sha256=…`.

    Raises:
        ValueError: not a bundle, a damaged file, weights of another architecture, or
            another checksum.
    """
    path = find(path, sha256)
    manifest = manifests.read(path)
    nets = {}
    for role, entry in manifest["networks"].items():
        arrays = stored_arrays.read(path / entry["file"], manifest)
        nets[role] = _assemble(path / entry["file"], entry, arrays)
    directions = {}
    if manifest["directions"]:
        file = path / manifest["directions"]["file"]
        directions = stored_arrays.read(file, manifest)
        directions = {k: v.astype(np.float32) for k, v in directions.items()}
    stored = (manifest["directions"] or {}).get("calibrations", {})
    measured = {name: calibrations.from_json(value) for name, value in stored.items()}
    identity = manifests.identity(manifest)
    return Bundle(nets, manifest["info"], directions, identity, measured)


def find(path: str | os.PathLike, sha256: str | None = None) -> Path:
    """The folder of a bundle given by path, by address, or by a shipped one's name.

    Raises:
        ValueError: no bundle is there, or its bundle.json has another sha256.
    """
    if hub.is_address(path):
        return hub.fetch(str(path), sha256)
    folder = _find_folder(path)
    if sha256 and sha256.lower() != (actual := manifests.checksum(folder)):
        raise ValueError(
            f"{path}: the sha256 of {manifests.NAME} is {actual[:12]}…, expected "
            f"{sha256[:12]}…: it is another bundle, or was changed"
        )
    return folder


def _find_folder(path: str | os.PathLike) -> Path:
    shipped = SHIPPED / str(path)
    if re.fullmatch(r"\w+", str(path)) and (shipped / manifests.NAME).is_file():
        return shipped
    if not (Path(path) / manifests.NAME).is_file():
        names = sorted(p.parent.name for p in SHIPPED.glob(f"*/{manifests.NAME}"))
        raise ValueError(
            f"{path} is not a bundle: expected a folder with {manifests.NAME}"
            + (f", or one of the shipped: {', '.join(names)}" if names else "")
        )
    return Path(path)


def tensor_shapes(folder: Path, role: str) -> dict[str, list[int]]:
    """Names and shapes of one network's arrays, without reading them."""
    file = folder / manifests.read(folder)["networks"][role]["file"]
    return safetensors_reader.shapes(file)


def _write(folder, nets, inputs, dtype) -> dict[str, Any]:
    manifest: dict[str, Any] = {
        "format": "hyperstyle_jax bundle",
        "version": manifests.VERSION,
        "networks": {},
        "directions": None,
        "files": {},
    }
    for role, net in nets.items():
        if not re.fullmatch(r"[a-z]\w*", role) or role == "directions":
            raise ValueError(f"a network cannot be called {role!r}: use lower case a-z")
        stored = dtype if isinstance(dtype, str) else dtype.get(role, "float32")
        arrays = stored_arrays.of_network(role, net, inputs[role], stored)
        manifest["networks"][role] = {
            "file": f"{role}.safetensors",
            "parameters": trees.count(net.params) if "params" in net.variables else 0,
            "dtype": stored,
            "inputs": [list(map(int, s)) for s in inputs[role]],
            "module": specs.spec(net.module),
        }
        manifest["files"] |= stored_arrays.write(folder / f"{role}.safetensors", arrays)
    return manifest


def _write_directions(folder, manifest, directions, measured=None):
    manifest["directions"] = None
    if directions:
        arrays = stored_arrays.of_directions(directions)
        manifest["directions"] = {"file": _DIRECTIONS, "names": sorted(arrays)}
        kept = {k: v.to_json() for k, v in (measured or {}).items() if k in arrays}
        if kept:
            manifest["directions"]["calibrations"] = kept
        manifest["files"] |= stored_arrays.write(folder / _DIRECTIONS, arrays)


def _inputs(nets, image_size) -> dict[str, specs.Inputs]:
    return {k: specs.default_inputs(n.module, image_size) for k, n in nets.items()}


def _assemble(file: Path, entry: dict[str, Any], arrays) -> Net:
    module = specs.module_from_spec(entry["module"])
    variables = trees.merge(network_shapes(file, entry), arrays, str(file))
    return Net(module, jax.tree.map(jax.numpy.asarray, variables))


def network_shapes(file: Path, entry: dict[str, Any]) -> dict[str, Any]:
    """Shapes of a network's arrays, by what bundle.json says of it.

    Args:
        file: named in errors.
        entry: of `networks` in bundle.json.

    Raises:
        ValueError: there is no such network.
    """
    module = specs.module_from_spec(entry["module"])
    try:
        return specs.shapes(module, entry["inputs"])
    except Exception as error:  # whatever a senseless field makes flax or jax raise
        name = entry["module"]["class"]
        raise ValueError(f"{file}: cannot build {name}: {error}") from None


def _facts(nets: Mapping[str, Net]) -> dict[str, Any]:
    facts: dict[str, Any] = {"image_size": 256}
    if "generator" in nets:
        facts["image_size"] = min(nets["generator"].module.resolution, 256)
    if "hypernet" in nets:
        facts["tuned_layers"] = [
            layer.path for layer in nets["hypernet"].module.tuned_layers
        ]
    return facts


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
