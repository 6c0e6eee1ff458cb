"""The size of the images that encoders and hypernetworks take.

The options of the official training name a data set, whose images had a known size.
Without them a size is assumed, and checked: a style block halves its map until one
position is left, so the number of its convolutions has to fit.
"""

import functools
from collections.abc import Callable, Iterator, Sequence

from flax import linen as nn

from hyperstyle_jax import trees
from hyperstyle_jax.convert import layouts
from hyperstyle_jax.convert.layouts import Rule
from hyperstyle_jax.convert.sources import Part, Source
from hyperstyle_jax.weights import specs

Size = tuple[int, int]

_SQUARE, _WIDE = (256, 256), (192, 256)  # height, width
# The data sets of the official code and the size to which it crops their images.
_SIZES_OF_DATASETS = {
    "ffhq_hypernet": _SQUARE,
    "ffhq_hypernet_pre_extract": _SQUARE,
    "afhq_wild_hypernet": _SQUARE,
    "cars_hypernet": _WIDE,
    "ffhq_encode": _SQUARE,
    "ffhq_frontalize": _SQUARE,
    "celebs_super_resolution": _SQUARE,
    "celebs_sketch_to_face": _SQUARE,
    "celebs_seg_to_face": _SQUARE,
    "toonify": _SQUARE,
    "afhq_wild_encode": _SQUARE,
    "cats_encode": _SQUARE,
    "church_encode": _SQUARE,
    "horse_encode": _SQUARE,
    "cars_encode": _WIDE,
}
_OPTION = "dataset_type"
# Roles whose image size may vary.
ENCODERS = ("encoder", "psp", "e4e", "restyle_psp", "restyle_e4e")
_TAKES_IMAGES = (*ENCODERS, "hypernet")
_SIDES = (256, 512, 1024, 128, 64, 32, 16)
_CANDIDATES = (*((side, side) for side in _SIDES), _WIDE, (384, 512))
_MADE = "buffers/latent_avg"  # need not be in a file


def of_sources(sources: Sequence[Source], log: Callable[[str], None]) -> Size:
    """Height and width of the images, by the data set that the files' options name.

    Args:
        sources: what the files hold.
        log: told if the options name no known data set, and what is assumed then.

    Raises:
        ValueError: the options of two files name data sets of different sizes.
    """
    takers = [s for s in sources if s.modules.keys() & set(_TAKES_IMAGES)]
    named = sorted({str(s.opts[_OPTION]) for s in takers if _OPTION in s.opts})
    sizes = {_SIZES_OF_DATASETS[d]: d for d in named if d in _SIZES_OF_DATASETS}
    if len(sizes) > 1:
        datasets = " and ".join(f"{d} ({h}x{w})" for (h, w), d in sizes.items())
        raise ValueError(
            f"the files were trained on {datasets}: convert them into two bundles, or "
            "give the size of the images that go in as --image-size HxW"
        )
    if sizes:
        return next(iter(sizes))
    if takers:
        log(_assumption(named))
    return _SQUARE


def _assumption(named: Sequence[str]) -> str:
    datasets = f"the data set {', '.join(named)}" if named else "no data set"
    assumed, cars = (f"{height}x{width}" for height, width in (_SQUARE, _WIDE))
    return (
        f"images of {assumed} are assumed: the training options name {datasets}; for "
        f"the published cars, give --image-size {cars}"
    )


def advice(part: Part, module: nn.Module, size: Size, channels: int) -> str:
    """What to add to an error of a network that does not fit; "" if no size would.

    Args:
        part: the network's tensors.
        module: what they were taken for.
        size: height and width of the images that were assumed.
        channels: of the images that an encoder takes.
    """
    if part.role not in _TAKES_IMAGES:
        return ""
    fitting = next(_fitting(part, module, channels), None)
    if fitting in (None, size):
        return ""
    return (
        f"; its tensors fit images of {fitting[0]}x{fitting[1]}: give the size of the "
        f"images that go in, as --image-size {fitting[0]}x{fitting[1]}"
    )


def inputs(role: str, module: nn.Module, size: Size, channels: int) -> specs.Inputs:
    """Shapes of a network's inputs without the batch axis, for images of a size.

    Args:
        role: of the network.
        module: the network.
        size: height and width of the images.
        channels: of the images that an encoder takes.
    """
    if role in ENCODERS:
        return [(*size, channels)]
    return specs.default_inputs(module, size)


def shapes(module: nn.Module, inputs: specs.Inputs) -> dict[str, tuple[int, ...]]:
    """{our path: shape} of all arrays of a network."""
    return _shapes(module, tuple(map(tuple, inputs)))


@functools.lru_cache(maxsize=32)
def _shapes(module, inputs):
    return {k: v.shape for k, v in trees.flatten(specs.shapes(module, inputs)).items()}


def _fitting(part, module, channels) -> Iterator[Size]:
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
