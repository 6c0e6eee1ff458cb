"""What a benchmark compares: methods, images, networks that measure, and a folder.

The folder keeps every result by itself, so that a stop loses none and repeats none:

    targets/NAME.png          the images
    METHOD/NAME.npz, .json    an inversion, and what it depended on
    METHOD/NAME.png           its picture
    METHOD/quality.json, edits_DIRECTION.json, cost.json
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from hyperstyle_jax import images
from hyperstyle_jax.evaluation.networks import Measuring
from hyperstyle_jax.inversion import methods
from hyperstyle_jax.system import atomic_files
from hyperstyle_jax.weights.bundle import Bundle

PARTS = ("quality", "cost", "edits")
# Where the identity's networks are from: those of the first row trained no method.
INDEPENDENT = ("independent", "curricularface")
IDENTITIES = (*INDEPENDENT, "feature_extractor", "arcface", "moco")


class Meter(NamedTuple):
    """A feature extractor, whose it is, and the attributes that it reads."""

    measuring: Measuring
    attributes: tuple[str, ...]


class Plan(NamedTuple):
    """A benchmark.

    Attributes:
        source: where the bundle is, for the processes that measure costs.
        model: the bundle.
        out: the folder.
        methods: {name: settings that differ from its defaults}. A method is there
            twice with other settings as NAME@LABEL.
        x: targets by name, [h, w, 3] uint8 of the bundle's image size.
        nets: that measure, by the roles of `results.measure`.
        meter: reads attributes; None where nothing does.
        directions: along which inversions are edited.
        reference: () → real images [M, h, w, 3] uint8, of which those with an
            attribute are compared with edited ones; None: the targets.
        reference_name: of them; names their content.
        batch_size: images that are inverted together.
        parts: of `PARTS`, what is measured.
    """

    source: str
    model: Bundle
    out: Path
    methods: Mapping[str, Mapping[str, Any]]
    x: Mapping[str, np.ndarray]
    nets: Mapping[str, Measuring]
    meter: Meter | None = None
    directions: tuple[str, ...] = ()
    reference: Callable[[], np.ndarray] | None = None
    reference_name: str = "the targets"
    batch_size: int = 8
    parts: tuple[str, ...] = PARTS

    @property
    def names(self) -> list[str]:
        """Of the images, in their order."""
        return list(self.x)

    def title(self, method: str) -> str:
        """A method's name in tables."""
        label = method.partition("@")[2]
        return methods.METHODS[base(method)].title + (f" ({label})" if label else "")

    def settings(self, method: str) -> dict[str, Any]:
        """All settings of a method."""
        return {**methods.METHODS[base(method)].settings, **self.methods[method]}

    def file(self, method: str, name: str) -> Path:
        """A file of a method, as "face_1000000.npz"."""
        return self.out / method / name

    def target(self, name: str) -> Path:
        """The file of a target."""
        return self.out / "targets" / f"{name}.png"

    def identity(self) -> str | None:
        """The network of `nets` that measures identity, an independent one first."""
        return next((role for role in IDENTITIES if role in self.nets), None)


def base(method: str) -> str:
    """The name in `methods.METHODS`: "pti" of "pti" and of "pti@100 steps"."""
    return method.partition("@")[0]


def write_targets(plan: Plan) -> None:
    """Writes the targets that are not there yet, as they are."""
    for name, image in plan.x.items():
        data, path = images.encode_png(image), plan.target(name)
        if not path.is_file() or path.read_bytes() != data:
            atomic_files.write_whole(path, data)


def key(*parts: Any) -> str:
    """Names everything that a result depends on: JSON values, bytes and arrays."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            part = f"{part.dtype}{part.shape}".encode() + part.tobytes()
        if not isinstance(part, bytes):
            part = json.dumps(part, sort_keys=True, default=str).encode()
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:16]


def nets_key(plan: Plan) -> str:
    """Names the networks that measure, by their weights."""
    found = []
    for role, measuring in sorted(plan.nets.items()):
        leaves = jax.tree.leaves(measuring.net.variables)
        arrays = [np.asarray(leaf) for leaf in leaves]
        found.append([role, str(measuring.net.module), key(*arrays)])
    return key(found)


def kept(path: Path, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A result that is on disk under this key; otherwise it is made and written.

    Args:
        path: of the JSON file.
        name: of `key`.
        make: → JSON values.
    """
    if found := read(path, name):
        return found
    made = json.loads(json.dumps({"key": name} | make()))
    atomic_files.write_json(path, made)
    return made


def read(path: Path, name: str) -> dict[str, Any] | None:
    """A result that `kept` wrote under this key; None for another or a damaged one."""
    try:
        found = json.loads(path.read_bytes())
        return dict(found) if found["key"] == name else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
