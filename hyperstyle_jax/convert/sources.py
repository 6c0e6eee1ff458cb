"""What a file of official weights holds: networks, their tensors, edit directions."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from flax import linen as nn

from hyperstyle_jax.convert.layouts import Table

Tensors = Mapping[str, np.ndarray]


class Part(NamedTuple):
    """A group of tensors of one file that goes into one network.

    Attributes:
        role: of the network in a bundle.
        table: from the tensors' names to our paths.
        tensors: by official name, without `prefix`.
        root: keys of the dict that holds the tensors, in the official layout.
        prefix: of the tensors' names in that dict.
        unused: a pattern of further names, which are not read.
        optional: a pattern of our paths that the file may lack.
    """

    role: str
    table: Table
    tensors: Tensors
    root: tuple[str, ...]
    prefix: str = ""
    unused: str | None = None
    optional: str | None = None


class Source(NamedTuple):
    """What a file holds.

    Attributes:
        kind: one of `kinds.KINDS`.
        modules: networks by role.
        parts: the tensors of these networks.
        arrays: edit directions and their statistics, by name.
        channels: of the images that an encoder takes.
        opts: options of the official training, where the file has them.
        places: where in the file a tensor of the official layout is (`containers`).
    """

    kind: str
    modules: dict[str, nn.Module]
    parts: list[Part]
    arrays: dict[str, np.ndarray] = {}
    channels: int = 3
    opts: dict[str, Any] = {}
    places: dict[tuple, tuple] = {}


class Reader(NamedTuple):
    """How files of some kinds are recognized and read.

    Attributes:
        kinds: what `read` may return as `Source.kind`.
        matches: whether a file's content, in the official layout, is of these kinds.
        read: (content, kind) → Source; kind is "auto" or what the user says it is.
    """

    kinds: tuple[str, ...]
    matches: Callable[[Any], bool]
    read: Callable[[Any, str], Source]


def is_tensors(value: Any) -> bool:
    """Whether a value is a dict of arrays and nothing else."""
    return (
        isinstance(value, dict)
        and len(value) > 0
        and all(isinstance(v, np.ndarray) for v in value.values())
        and all(isinstance(k, str) for k in value)
    )


def has(value: Any, *names: str) -> bool:
    """Whether a value is a dict with all these keys."""
    return isinstance(value, dict) and all(name in value for name in names)


def has_tensors(value: Any, *names: str) -> bool:
    """Whether a value is a dict of arrays, these among them."""
    return is_tensors(value) and has(value, *names)


def has_state_dict(value: Any, *prefixes: str) -> bool:
    """Whether a value has a `state_dict` with names of all these prefixes."""
    if not (has(value, "state_dict") and is_tensors(value["state_dict"])):
        return False
    firsts = {name.partition(".")[0] for name in value["state_dict"]}
    return set(prefixes) <= firsts


def with_prefix(tensors: Tensors, prefix: str) -> dict[str, np.ndarray]:
    """The tensors whose names start with the prefix, by the rest of their names."""
    n = len(prefix)
    return {k[n:]: v for k, v in tensors.items() if k.startswith(prefix)}


def options(value: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the official training; empty where a file has none."""
    return value["opts"] if isinstance(value.get("opts"), dict) else {}
