"""Gradients of large matrices, kept as two factors until the optimizer needs them.

Where a matrix W is used as x·W, its gradient over all iterations and images is Σ xᵀ·δ,
with the rows x and the gradients δ of x·W. Both are small: keeping them saves T
gradients as large as W. The optimizer's step multiplies them matrix by matrix.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from hyperstyle_jax import trees
from hyperstyle_jax.loop import parallel
from hyperstyle_jax.models.offset_decoders import product_gradient
from hyperstyle_jax.training import common


class Factors(NamedTuple):
    """Rows x [..., C] and gradients δ [..., *S] of x·W for one W [C, *S]."""

    x: jax.Array
    delta: jax.Array


def pair(rows: dict, deltas: dict) -> dict[str, Factors]:
    """The factors by the path of their matrix.

    Args:
        rows, deltas: x and δ, trees in the structure of the parameters.
    """
    rows = trees.flatten(rows)
    return {path: Factors(rows[path], d) for path, d in trees.flatten(deltas).items()}


def without(tree: dict, paths) -> dict:
    """The parameters' tree without the leaves at `paths`."""
    flat = trees.flatten(tree)
    return trees.unflatten({k: v for k, v in flat.items() if k not in paths})


def average_gradients(
    grads: dict, factors: dict[str, Factors]
) -> tuple[dict, jax.Array]:
    """The mean of all gradients over the devices, and its global norm.

    Args:
        grads: the gradients without factors.
        factors: of the other gradients. Their first axis is the parts of the batch,
            over which they are averaged too.

    Returns:
        A tree in the structure of the parameters, and the norm. On one device the tree
        has `Factors` among its leaves; those of several are averaged as gradients.
    """
    factors = {k: Factors(f.x / len(f.x), f.delta) for k, f in factors.items()}
    tree = trees.unflatten(trees.flatten(grads) | factors)
    if jax.lax.axis_size(parallel.AXIS) > 1:
        return common.average_gradients(materialize(tree))
    leaves = jax.tree.leaves(tree, is_leaf=_are_factors)
    return tree, jnp.sqrt(sum(map(_square, leaves)))


def materialize(tree):
    """The tree of gradients with each `Factors` replaced by its product."""
    return jax.tree.map(
        lambda g: product_gradient(*g) if _are_factors(g) else g,
        tree,
        is_leaf=_are_factors,
    )


def _are_factors(leaf) -> bool:
    return isinstance(leaf, Factors)


def _square(gradient):
    """‖G‖². For G = xᵀ·δ it is Σ (x·xᵀ)∘(δ·δᵀ), which does not need G itself."""
    if not _are_factors(gradient):
        return jnp.square(optax.tree.norm(gradient))
    gram = [jnp.matmul(a, a.T, precision="highest") for a in _rows(gradient)]
    return jnp.maximum((gram[0] * gram[1]).sum(), 0.0)


def _rows(factors: Factors):
    x, delta = factors
    x = x.reshape(-1, x.shape[-1])
    return x, delta.reshape(len(x), -1)
