"""Images with weights of their own, searched a few at a time."""

from collections.abc import Callable, Iterator
from typing import Any

import jax

# A batch of images, each with kernels of its own, is a grouped convolution: on a CPU
# slower than one image after another, and slow to compile.
_AT_ONCE = {"cpu": 1}
_AT_ONCE_ELSEWHERE = 8


def chunks(batch: int) -> Iterator[slice]:
    """The images that are searched together, as slices of the batch."""
    size = _AT_ONCE.get(jax.default_backend(), _AT_ONCE_ELSEWHERE)
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
