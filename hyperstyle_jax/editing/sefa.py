"""SeFa finds the directions in w that change the styles most, from weights alone.

Closed-form factorization, https://arxiv.org/abs/2007.06600: styles are s = w·A + b, and
the unit vectors n that maximize |n·A|² are the eigenvectors of A·Aᵀ. Three forms are in
use, which differ in the layers of A and in the scale of its columns:

    factorize(generator)                           # ours: all convolutions
    factorize(generator, "|".join(released_layers(generator)), unit_channels=True)
    factorize(generator, ROSINALITY)               # rosinality's StyleGAN2
"""

from typing import NamedTuple

import numpy as np

from hyperstyle_jax import trees
from hyperstyle_jax.editing.eigenvectors import sorted_eigenvectors
from hyperstyle_jax.net import Net

CONVOLUTIONS = r"synthesis/b\d+/conv\d/affine/weight"
# Its filter of names keeps the first toRGB by accident.
ROSINALITY = rf"{CONVOLUTIONS}|synthesis/b4/torgb/affine/weight"
FORMS = ("ours", "released", "rosinality")


class Factors(NamedTuple):
    """The directions of a factorization.

    Attributes:
        directions: unit vectors [D, D], the one with the largest effect first.
        singular_values: |n·A| for each direction n, [D].
    """

    directions: np.ndarray
    singular_values: np.ndarray


def factorize_as(generator: Net, form: str) -> Factors:
    """Factorizes in one of the three forms in use.

    Args:
        generator: Net of a Generator.
        form: of `FORMS`; "released" is that of the authors.

    Raises:
        ValueError: another form.
    """
    if form == "ours":
        return factorize(generator)
    if form == "rosinality":
        return factorize(generator, ROSINALITY)
    if form == "released":
        layers = "|".join(released_layers(generator))
        return factorize(generator, layers, unit_channels=True)
    raise ValueError(f"SeFa of form {form!r}: expected {', '.join(FORMS)}")


def released_layers(generator: Net) -> list[str]:
    """The paths of all convolutions' affine weights and of the last toRGB's.

    The authors' program numbers the layers in this order.
    """
    *_, last = paths = [
        layer.path.removesuffix("weight") + "affine/weight"
        for layer in generator.module.layers()
    ]
    return [path for path in paths if "torgb" not in path] + [last]


def factorize(
    generator: Net, layers: str = CONVOLUTIONS, *, unit_channels: bool = False
) -> Factors:
    """Factorizes the affine weights of some layers.

    Args:
        generator: Net of a Generator.
        layers: regular expression for paths `synthesis/b64/conv0/affine/weight`, by
            default of all convolutions; `synthesis/b(4|8)/.*affine/weight` are coarse.
        unit_channels: scale the weights of every style channel to length one first, so
            that channels of small styles count as much as others.

    Returns:
        Factors; the largest entry of each direction is positive.

    Raises:
        ValueError: no path matches.
    """
    weights = [np.asarray(x) for x in trees.select(generator.params, layers).values()]
    a = np.concatenate(weights, axis=1).astype(np.float64)
    if unit_channels:
        a /= np.linalg.norm(a, axis=0)
    singular_values, directions = sorted_eigenvectors(a @ a.T)
    return Factors(directions.astype(np.float32), singular_values.astype(np.float32))
