"""Brings the wrappings of published files to the layout of the official code.

The same generator is saved as `{"g_ema": …}`, as a bare state dict, as a whole module,
with DataParallel's `module.` before every name, or inside a trainer's `state_dict`.
`candidates` gives the layouts that a file may stand for, so the readers of `kinds` need
to know the official layouts only.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from hyperstyle_jax.torch_format.pickle_values import Module

Place = tuple[str | int, ...]  # keys of dicts, positions in lists
Tensors = dict[str, np.ndarray]

_WRAPPERS = ("module.", "_orig_mod.")  # of DataParallel and torch.compile
_MEAN_LATENTS = ("latent_avg", "mean_latent", "dlatent_avg", "w_avg")
_MAX_DEPTH, _LONGEST_LIST = 4, 16
# Where a file has several generators, the averaged one is the one that is used.
_AVERAGED = ("ema", "avg", "average", "smooth")


class Layout(NamedTuple):
    """A file's content as the official code would lay it out.

    `places` names where in the file an entry of `value` is, if it is not there under
    the same path.
    """

    value: Any
    places: dict[Place, Place]


class _Group(NamedTuple):
    """Tensors that belong to one network, and where in the file each one is."""

    place: Place
    tensors: Tensors
    names: dict[str, Place]

    def renamed(self, prefix: str) -> "_Group":
        """The tensors whose names have the prefix, without it."""
        kept = [name for name in self.tensors if name.startswith(prefix)]
        n = len(prefix)
        return _Group(
            (*self.place, prefix),
            {name[n:]: self.tensors[name] for name in kept},
            {name[n:]: self.names[name] for name in kept},
        )


def plain(value: Any) -> Any:
    """Whole networks as dicts of their tensors; everything else as it is."""
    if isinstance(value, Module):
        return value.tensors()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(plain(v) for v in value)
    return value


def names(value: Any) -> Iterator[str]:
    """The names of all tensors in a file, made `plain`."""
    for group in _groups(value, ()):
        yield from group.tensors


def candidates(value: Any) -> Iterator[Layout]:
    """Layouts that a file may stand for, the most literal one first.

    Args:
        value: the content of a file, made `plain`.
    """
    yield _without_wrappers(value)
    groups = [_unwrapped(group) for group in _groups(value, ())]
    networks = [pair for group in groups for pair in _networks(group, 0)]
    if networks:
        yield _official(value, networks)
    for group in sorted(groups, key=lambda group: not _is_averaged(group.place)):
        yield Layout(group.tensors, {(k,): place for k, place in group.names.items()})
        if inner := _without_common_prefix(group):
            places = {(k,): place for k, place in inner.names.items()}
            yield Layout(inner.tensors, places)


def _without_wrappers(value) -> Layout:
    """The same containers, without `module.` before the names of their tensors."""
    places: dict[Place, Place] = {}

    def walk(value, place, new_place):
        if not isinstance(value, dict) or len(place) > _MAX_DEPTH:
            return value
        prefix = _wrapper(value)
        result = {}
        for key, entry in value.items():
            name = key[len(prefix) :] if isinstance(key, str) else key
            result[name] = walk(entry, (*place, key), (*new_place, name))
            if (*new_place, name) != (*place, key):
                places[(*new_place, name)] = (*place, key)
        return result

    return Layout(walk(value, (), ()), places)


def _wrapper(tensors: Mapping) -> str:
    """The wrappers' prefix that all names of tensors have."""
    names = [k for k, v in tensors.items() if isinstance(v, np.ndarray)]
    if not names or not all(isinstance(k, str) for k in tensors):
        return ""
    prefix = ""
    while wrapper := next(
        (w for w in _WRAPPERS if all(k.startswith(prefix + w) for k in tensors)), ""
    ):
        prefix += wrapper
    return prefix


def _unwrapped(group: _Group) -> _Group:
    prefix = _wrapper(group.tensors)
    return group.renamed(prefix)._replace(place=group.place) if prefix else group


def _groups(value, place) -> Iterator[_Group]:
    """All dicts with tensors in a file."""
    if len(place) > _MAX_DEPTH:
        return
    if isinstance(value, (list, tuple)) and len(value) <= _LONGEST_LIST:
        for i, entry in enumerate(value):
            yield from _groups(entry, (*place, i))
    if not isinstance(value, dict):
        return
    tensors = {
        k: v
        for k, v in value.items()
        if isinstance(k, str) and isinstance(v, np.ndarray)
    }
    if tensors:
        yield _Group(place, tensors, {k: (*place, k) for k in tensors})
    for key, entry in value.items():
        if isinstance(key, str):
            yield from _groups(entry, (*place, key))


def _networks(group: _Group, depth: int) -> list[tuple[str, _Group]]:
    """(official name, tensors) of every StyleGAN2 network or encoder in a group.

    Names with a first component that they do not share, as `G.` and `D.` of a trainer,
    are several networks.
    """
    if name := official_name(group.tensors):
        return [(name, group)]
    firsts = dict.fromkeys(k.partition(".")[0] for k in group.tensors)
    if depth > _MAX_DEPTH or len(firsts) > 100:
        return []
    return [
        network
        for first in firsts
        if any(k.startswith(f"{first}.") for k in group.tensors)
        for network in _networks(_unwrapped(group.renamed(f"{first}.")), depth + 1)
    ]


def official_name(tensors: Tensors) -> str | None:
    """The name under which official files hold a network with such tensors."""
    for name, needed in _SIGNATURES:
        if all(any(k.startswith(part) for k in tensors) for part in needed):
            return name
    return None


_SIGNATURES = (
    ("state_dict", ("decoder.conv1.conv.weight", "encoder.")),
    ("state_dict", ("decoder.conv1.conv.weight", "hypernet.")),
    ("g", ("style.1.weight", "conv1.conv.weight", "convs.0.conv.weight")),
    ("G", ("mapping.fc0.weight", "synthesis.b4.const")),
    ("d", ("convs.0.0.weight", "final_linear.0.weight")),
    ("D", ("b4.conv.weight", "b4.out.weight")),
)


def _official(value, networks) -> Layout:
    """Several networks under the names of the official files."""
    result: dict[str, Any] = {}
    places: dict[Place, Place] = {}
    ordered = sorted(networks, key=lambda pair: not _is_averaged(pair[1].place))
    for name, group in ordered:
        if name in ("g", "G") and f"{name}_ema" not in result:
            name = f"{name}_ema"
        if name in result:
            continue
        inner = {k: v for k, v in group.tensors.items() if k not in _MEAN_LATENTS}
        result[name] = inner
        places |= {(name, k): group.names[k] for k in inner}
    for key, entry, place in _side_values(value):
        if key not in result:
            result[key], places[(key,)] = entry, place
    return Layout(result, places)


def _side_values(value) -> Iterator[tuple[str, Any, Place]]:
    """The mean latent and the training's options, wherever they are."""
    stack: list[tuple[Any, Place]] = [(value, ())]
    while stack:
        entry, place = stack.pop(0)
        if not isinstance(entry, dict) or len(place) > _MAX_DEPTH:
            continue
        for key, inner in entry.items():
            last = key.rpartition(".")[2] if isinstance(key, str) else ""
            if last in _MEAN_LATENTS and isinstance(inner, np.ndarray):
                yield "latent_avg", inner, (*place, key)
            elif key in ("opts", "args") and isinstance(inner, dict):
                yield "opts", inner, (*place, key)
            stack.append((inner, (*place, key)))


def _is_averaged(place: Place) -> bool:
    return any(word in str(part).lower() for part in place for word in _AVERAGED)


def _without_common_prefix(group: _Group) -> _Group | None:
    """A group whose names share their first component, without it."""
    firsts = {k.partition(".")[0] for k in group.tensors}
    if len(firsts) != 1 or any("." not in k for k in group.tensors):
        return None
    return group.renamed(f"{firsts.pop()}.")
