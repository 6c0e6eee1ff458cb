"""Domain adaptation: an inversion rendered by a generator fine-tuned to another domain.

`offsets.synthesize(other, inversion)` does it as it is (HyperStyle, section 4.4). Here
are generators between the two: coarse layers of one, fine layers of the other
(https://arxiv.org/abs/2010.05334, "Toonify").
"""

import math
import re

from hyperstyle_jax import trees
from hyperstyle_jax.editing.mixing import interpolate
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion

_BLOCK = re.compile(r"synthesis/b(\d+)/")
# The 4×4 convolution is in none of the release's patterns, and so it always stays.
_MIXED = re.compile(r"synthesis/b(\d+)/(const|conv0|conv1|torgb)(?:/.*)?")


def adapted(
    own: Net, other: Net, inversion: Inversion, share: float = 1.0
) -> Inversion:
    """An inversion for the generator of another domain.

    Offsets are relative and stay as they are; of weights that were tuned the difference
    to their generator's own moves over.

    Args:
        own: the generator of the inversion.
        other: fine-tuned from it, or mixed of both.
        inversion: of B images.
        share: of the image's weights, 0 (the other generator's own) to 1.
    """
    plain = inversion.replace(replaced={})
    changed = interpolate(Inversion(inversion.w_plus), plain, share)
    mine, theirs = (trees.flatten(net.params) for net in (own, other))
    replaced = {
        path: theirs[path] + share * (value - mine[path])
        for path, value in inversion.replaced.items()
    }
    return changed.replace(replaced=replaced)


def swap_above(generator: Net, other: Net, resolution: int) -> Net:
    """The layers above a resolution from another generator, with their noise maps.

    Args:
        generator: Net of a Generator, whose mapping and coarse layers stay.
        other: a Net of the same layers.
        resolution: r; the layers of r itself stay.

    Raises:
        ValueError: generators of different layers, or nothing above r.
    """
    _check(generator, other, resolution)

    def choose(path, mine, theirs):
        block = _BLOCK.match(path)
        return theirs if block and int(block[1]) > resolution else mine

    return generator.replace(
        variables={
            collection: _choose(choose, variables, other.variables[collection])
            for collection, variables in generator.variables.items()
        }
    )


def blend(
    generator: Net, other: Net, resolution: int, *, level: int = 0, width: float = 0.0
) -> Net:
    """Mixes the parameters of two generators as Toonify's release does.

    Its layers are counted two a resolution: conv0 (or the constant), then conv1 with
    toRGB. x is a layer's number from that of `resolution` and `level` on. Those with
    x > 1 come from the other generator; with a `width` the share of the other one is
    1 / (1 + exp(−x / width)). Mapping, noise maps and the 4×4 convolution stay.

    Args:
        generator, other, resolution: as in `swap_above`.
        level: 0 or 1.
        width: of the transition in layers; 0 for a hard one.

    Raises:
        ValueError: as in `swap_above`, or another level.
    """
    _check(generator, other, resolution)
    if level not in (0, 1):
        raise ValueError(f"level {level}: expected 0 or 1")
    middle = _number(resolution, level)

    def choose(path, mine, theirs):
        found = _MIXED.fullmatch(path)
        if not found or path.startswith("synthesis/b4/conv1"):
            return mine
        x = _number(int(found[1]), found[2] in ("conv1", "torgb")) - middle
        if not width:
            return theirs if x > 1 else mine
        share = 1 / (1 + math.exp(-x / width))
        return (1 - share) * mine + share * theirs

    return generator.with_params(_choose(choose, generator.params, other.params))


def _number(resolution: int, level: int) -> int:
    return 2 * int(math.log2(resolution)) + level


def _choose(choose, mine, theirs):
    """A nested dict with `choose(path, mine, theirs)` for each leaf."""
    theirs = trees.flatten(theirs)
    return trees.unflatten(
        {k: choose(k, v, theirs[k]) for k, v in trees.flatten(mine).items()}
    )


def _check(generator: Net, other: Net, resolution: int) -> None:
    check_same_layers(generator, other)
    known = sorted({layer.resolution for layer in generator.module.layers()})
    if resolution not in known[:-1]:
        names = ", ".join(map(str, known[:-1]))
        raise ValueError(f"resolution {resolution}: expected one of {names}")


def check_same_layers(generator: Net, other: Net) -> None:
    """Refuses generators whose inversions do not fit each other.

    Raises:
        ValueError: they have other layers.
    """
    if generator.module != other.module:
        a, b = (f"{n.module.resolution}² with w of {n.module.w_dim}" for n in
                (generator, other))  # fmt: skip
        raise ValueError(
            f"the generators differ in their layers ({a}; {b}): give one that was "
            "fine-tuned from the other"
        )
