"""SeFa finds the directions in w that change the styles most, from weights alone.

Closed-form factorization, https://arxiv.org/abs/2007.06600: styles are s = w·A + b, and
the unit vectors n that maximize |n·A|² are the eigenvectors of A·Aᵀ.
"""

from typing import NamedTuple

import numpy as np

from hyperstyle_jax import trees
from hyperstyle_jax.editing.eigenvectors import sorted_eigenvectors
from hyperstyle_jax.net import Net

CONVOLUTIONS = r"synthesis/b\d+/conv\d/affine/weight"


class Factors(NamedTuple):
    """The directions of a factorization.

    Attributes:
        directions: unit vectors [D, D], the one with the largest effect first.
        singular_values: |n·A| for each direction n, [D].
    """

    directions: np.ndarray
    singular_values: np.ndarray


def factorize(generator: Net, layers: str = CONVOLUTIONS) -> Factors:
    """Factorizes the affine weights of some layers.

    Args:
        generator: Net of a Generator.
        layers: regular expression for paths `synthesis/b64/conv0/affine/weight`, by
            default of all convolutions; `synthesis/b(4|8)/.*affine/weight` are coarse.

    Returns:
        Factors; the largest entry of each direction is positive.

    Raises:
        ValueError: no path matches.
    """
    weights = [np.asarray(x) for x in trees.select(generator.params, layers).values()]
    a = np.concatenate(weights, axis=1).astype(np.float64)
    singular_values, directions = sorted_eigenvectors(a @ a.T)
    return Factors(directions.astype(np.float32), singular_values.astype(np.float32))
