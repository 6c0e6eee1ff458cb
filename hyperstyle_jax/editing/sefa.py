"""SeFa: the directions in w that change the styles most, from the weights alone.

Closed-form factorization, https://arxiv.org/abs/2007.06600: with styles s = w·A,
the unit n that maximizes |n·A|² are the eigenvectors of A·Aᵀ.
"""

from typing import NamedTuple

import numpy as np

from hyperstyle_jax import trees
from hyperstyle_jax.net import Net

CONVOLUTIONS = r"synthesis/b\d+/conv\d/affine/weight"


class Factors(NamedTuple):
    """Unit directions [K, D], the strongest first, and the size of their effect [K]."""

    directions: np.ndarray
    values: np.ndarray


def factorize(generator: Net, layers: str = CONVOLUTIONS) -> Factors:
    """All directions of the layers whose affine weights match a regular expression.

    Args:
        generator: Net of a Generator.
        layers: pattern over paths `synthesis/b64/conv0/affine/weight`, default all
            convolutions; e.g. `synthesis/b(4|8)/.*affine/weight` for the coarse ones.

    Returns:
        Factors; each direction's largest entry is positive.
    """
    weights = [np.asarray(x) for x in trees.select(generator.params, layers).values()]
    a = np.concatenate(weights, axis=1).astype(np.float64)
    values, vectors = np.linalg.eigh(a @ a.T)
    order = np.argsort(values)[::-1]
    directions = vectors[:, order].T
    largest = np.abs(directions).argmax(1)
    directions *= np.sign(directions[np.arange(len(directions)), largest])[:, None]
    values = np.sqrt(np.maximum(values[order], 0.0))
    return Factors(directions.astype(np.float32), values.astype(np.float32))
