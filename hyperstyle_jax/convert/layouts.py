"""Follows tables of parameter names in both directions.

A row is (official name, our path, change of layout); the change is written once, from
the official layout to ours, and followed in both directions:

    "o i h w -> h w i o"        axes change places
    "e (c h w) -> (h w c) e"    axes are split and joined; sizes are given in the row
    "1 c 1 1 -> c"              axes of length one
    "l* d -> d"                 all l rows are equal
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

SAME = ""


class Rule(NamedTuple):
    """A row for one tensor; rows of one path and several names are aliases."""

    name: str
    path: str
    layout: str = SAME
    sizes: dict[str, int] = {}


class Constant(NamedTuple):
    """A tensor that our networks do not need and what it normally is.

    It may be missing. `matters` if another value would change the network's answer.
    """

    name: str
    value: np.ndarray
    matters: bool = False


Table = Sequence[Rule | Constant]


def apply(
    table: Table,
    shapes: Mapping[str, tuple[int, ...]],
    tensors: Mapping[str, np.ndarray],
    title: str,
    unused: str | None = None,
    optional: str | None = None,
) -> dict[str, np.ndarray]:
    """Official tensors in our layout, as views where that is possible.

    Args:
        table: rows of the network.
        shapes: our paths and shapes.
        tensors: by official name.
        title: of the network, for errors.
        unused: a pattern of further official names that are let pass.
        optional: a pattern of our paths that may be missing.

    Returns:
        {our path: array}.

    Raises:
        ValueError: lists missing (−), unexpected (+), misshapen (≠) tensors by their
            official names; or aliases that differ.
    """
    may_lack = {
        row.name
        for row in table
        if isinstance(row, Constant) or (optional and re.fullmatch(optional, row.path))
    }
    _check_names(table, shapes, tensors, title, unused, may_lack)
    rules = [row for row in table if isinstance(row, Rule) and row.name in tensors]
    arrays: dict[str, np.ndarray] = {}
    sources: dict[str, tuple[str, np.ndarray]] = {}
    for rule in rules:
        tensor = tensors[rule.name]
        if rule.path in sources:
            first, other = sources[rule.path]
            if not same(other, tensor):
                raise ValueError(f"{title}: {first} and {rule.name} should be equal")
            continue
        sources[rule.path] = rule.name, tensor
        arrays[rule.path] = _Layout(rule, shapes[rule.path]).ours(tensor)
    return arrays


def invert(table: Table, variables: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Our arrays under official names; aliases are the same array object."""
    tensors: dict[str, np.ndarray] = {}
    by_path: dict[str, np.ndarray] = {}
    for row in table:
        if isinstance(row, Constant):
            tensors[row.name] = row.value
            continue
        if row.path not in by_path:
            array = np.asarray(variables[row.path])
            by_path[row.path] = _Layout(row, array.shape).official(array)
        tensors[row.name] = by_path[row.path]
    return tensors


def official_shapes(
    table: Table, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[int, ...]]:
    """{official name: shape} of all rows."""
    return {
        row.name: row.value.shape
        if isinstance(row, Constant)
        else _Layout(row, shapes[row.path]).shape
        for row in table
    }


def _check_names(table, shapes, tensors, title, unused, may_lack):
    expected = official_shapes(table, shapes)
    missing = [k for k in expected if k not in tensors and k not in may_lack]
    unexpected = [
        k
        for k in tensors
        if k not in expected and not (unused and re.fullmatch(unused, k))
    ]
    misshapen = [
        k for k in expected if k in tensors and tensors[k].shape != expected[k]
    ]
    lines = [f"− {k} {expected[k]}" for k in missing]
    lines += [f"+ {k} {tensors[k].shape}" for k in unexpected]
    lines += [f"≠ {k} {tensors[k].shape}, expected {expected[k]}" for k in misshapen]
    if lines:
        more = [f"… and {len(lines) - 20} more"] if len(lines) > 20 else []
        raise ValueError(
            f"{title}: tensors do not fit (− missing, + unexpected, ≠ shape):\n  "
            + "\n  ".join(lines[:20] + more)
        )


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal bits; two zeros of different sign are not."""
    if a is b:
        return True
    alike = a.dtype == b.dtype and a.shape == b.shape
    if not alike or a.dtype.kind != "f":
        return alike and np.array_equal(a, b)
    return np.array_equal(a, b) and np.array_equal(np.signbit(a), np.signbit(b))


class _Layout:
    """A row's change of layout for our shape, in both directions."""

    def __init__(self, rule: Rule, shape: tuple[int, ...]):
        self.name, self.ours_shape = rule.name, tuple(shape)
        if rule.layout == SAME:
            self.shape = self.view = self.ours_shape
            self.order = tuple(range(len(shape)))
            self.repeated: tuple[int, ...] = ()
            return
        left, right = (_groups(side) for side in rule.layout.split("->"))
        sizes = dict(rule.sizes)
        for group, size in zip(right, shape, strict=True):
            known = math.prod(sizes.get(axis, 1) for axis in group)
            for axis in group:
                sizes.setdefault(axis, size // known)
        plain = [[axis.rstrip("*") for axis in group] for group in left]
        self.shape = tuple(math.prod(sizes[a] for a in group) for group in plain)
        axes = [axis for group in left for axis in group if not axis.endswith("*")]
        self.repeated = tuple(
            i for i, group in enumerate(left) if group and group[0].endswith("*")
        )
        self.view = tuple(sizes[axis] for axis in axes)
        self.order = tuple(axes.index(axis) for group in right for axis in group)

    def ours(self, official: np.ndarray) -> np.ndarray:
        """An official tensor in our layout."""
        for axis in self.repeated:
            first = official.take([0], axis)
            if not same(official, np.broadcast_to(first, official.shape)):
                raise ValueError(f"{self.name}: rows that should be equal differ")
            official = first.squeeze(axis)
        return (
            official.reshape(self.view).transpose(self.order).reshape(self.ours_shape)
        )

    def official(self, ours: np.ndarray) -> np.ndarray:
        """Our array in the official layout."""
        split = ours.reshape([self.view[i] for i in self.order])
        array = split.transpose(np.argsort(self.order))
        for axis in self.repeated:
            array = np.expand_dims(array, axis)
        if self.repeated:
            return np.broadcast_to(array, self.shape)
        return array.reshape(self.shape)


def _groups(side: str) -> list[list[str]]:
    """ "e (c h w)" → [[e], [c, h, w]]; an axis "1" is an empty group."""
    groups = re.findall(r"\(([^)]*)\)|(\S+)", side)
    return [
        (joined or single).split() if single != "1" else [] for joined, single in groups
    ]
