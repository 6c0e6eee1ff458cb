"""Which size of images a network was made for, read off the number of its tensors.

A style block halves its map until one position is left: how many convolutions it has
tells the size of the images that go in.
"""

import functools
from collections.abc import Iterator

from flax import linen as nn

from hyperstyle_jax import trees
from hyperstyle_jax.convert import layouts
from hyperstyle_jax.convert.kinds import Part
from hyperstyle_jax.convert.layouts import Rule
from hyperstyle_jax.weights import specs

_SIDES = (256, 512, 1024, 128, 64, 32, 16)
_CANDIDATES = (*((side, side) for side in _SIDES), (192, 256), (384, 512))
_MADE = "buffers/latent_avg"  # need not be in a file


def advice(part: Part, module: nn.Module, size: tuple[int, int], channels: int) -> str:
    """What to add to an error of a network that does not fit; "" if no size would.

    Args:
        part: the network's tensors.
        module: what they were taken for.
        size: height and width of the images that were assumed.
        channels: of an encoder's input.
    """
    if part.role not in ("encoder", "hypernet"):
        return ""
    fitting = next(_fitting(part, module, channels), None)
    if fitting in (None, size):
        return ""
    return (
        f"; its tensors fit images of {fitting[0]}x{fitting[1]}: give the size of the "
        f"images that go in, as --image-size {fitting[0]}x{fitting[1]}"
    )


def inputs(part_role: str, module: nn.Module, size: tuple[int, int], channels: int):
    """Shapes of a network's inputs without the batch axis, for images of a size."""
    if part_role == "encoder":
        return [(*size, channels)]
    return specs.default_inputs(module, size)


def shapes(module: nn.Module, inputs: specs.Inputs) -> dict[str, tuple[int, ...]]:
    """{our path: shape} of all arrays of a network."""
    return _shapes(module, tuple(map(tuple, inputs)))


@functools.lru_cache(maxsize=32)
def _shapes(module, inputs):
    return {k: v.shape for k, v in trees.flatten(specs.shapes(module, inputs)).items()}


def _fitting(part, module, channels) -> Iterator[tuple[int, int]]:
    paths = {row.path for row in part.table if isinstance(row, Rule)}
    for size in _CANDIDATES:
        try:
            own = shapes(module, inputs(part.role, module, size, channels))
        except ValueError:  # too small for the network
            continue
        if paths | {_MADE} != own.keys() | {_MADE}:
            continue
        expected = layouts.official_shapes(part.table, own)
        given = {k: array.shape for k, array in part.tensors.items() if k in expected}
        if all(expected[k] == shape for k, shape in given.items()):
            yield size
