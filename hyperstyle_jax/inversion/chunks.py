"""Images with weights of their own, searched a few at a time."""

from collections.abc import Callable, Iterator
from typing import Any

import jax

from hyperstyle_jax import offsets


def chunks(batch: int) -> Iterator[slice]:
    """The images that are searched together, as slices of the batch."""
    size = offsets.images_at_once()
    return (slice(i, i + size) for i in range(0, batch, size))


def count(batch: int) -> int:
    """How many `chunks` a batch has."""
    return len([*chunks(batch)])


def each(function: Callable[..., Any], *args: Any) -> Any:
    """`function` of each image of arrays [B, …]; a single one is no batch."""
    if len(jax.tree.leaves(args)[0]) > 1:
        return jax.vmap(function)(*args)
    single = function(*jax.tree.map(lambda v: v[0], args))
    return jax.tree.map(lambda v: v[None], single)
