"""Gradients of large matrices as the two sides of a product, multiplied at last.

Where a matrix W is used as x·W, its gradient over all iterations and images is Σ xᵀ·δ.
The rows x and the gradients δ of x·W are small. Kept, they replace T gradients as large
as W and their sum by one product, which the optimizer's step makes matrix by matrix.
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
    """{path of W: its factors} from two trees in the structure of the parameters."""
    rows = trees.flatten(rows)
    return {path: Factors(rows[path], d) for path, d in trees.flatten(deltas).items()}


def without(tree: dict, paths) -> dict:
    """The parameters' tree without the leaves at `paths`."""
    flat = trees.flatten(tree)
    return trees.unflatten({k: v for k, v in flat.items() if k not in paths})


def averaged(grads: dict, factors: dict[str, Factors]) -> tuple[dict, jax.Array]:
    """All gradients, averaged over the devices, and their global norm.

    Args:
        grads: those without factors. factors: of the others, their first axis the parts
            of the batch, over which they are averaged too.

    Returns:
        A tree in the structure of the parameters, with `Factors` among its leaves where
        there is one device (those of several are averaged as gradients), and the norm.
    """
    factors = {k: Factors(f.x / len(f.x), f.delta) for k, f in factors.items()}
    tree = trees.unflatten(trees.flatten(grads) | factors)
    if jax.lax.axis_size(parallel.AXIS) > 1:
        return common.averaged(materialize(tree))
    leaves = jax.tree.leaves(tree, is_leaf=_are_factors)
    return tree, jnp.sqrt(sum(map(_square, leaves)))


def materialize(tree):
    """Gradients in place of their factors."""
    return jax.tree.map(
        lambda g: product_gradient(*g) if _are_factors(g) else g,
        tree,
        is_leaf=_are_factors,
    )


def _are_factors(leaf) -> bool:
    return isinstance(leaf, Factors)


def _square(gradient):
    """‖G‖²; of a product xᵀ·δ it is Σ (x·xᵀ)∘(δ·δᵀ), and the product not needed."""
    if not _are_factors(gradient):
        return jnp.square(optax.tree.norm(gradient))
    gram = [jnp.matmul(a, a.T, precision="highest") for a in _rows(gradient)]
    return jnp.maximum((gram[0] * gram[1]).sum(), 0.0)


def _rows(factors: Factors):
    x, delta = factors
    x = x.reshape(-1, x.shape[-1])
    return x, delta.reshape(len(x), -1)
