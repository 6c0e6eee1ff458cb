"""A training step of e4e's discriminator of latents, and its pool of earlier ones.

https://arxiv.org/abs/2102.02766, section 4; StyleGAN's pool of the last images comes
from https://arxiv.org/abs/1612.07828. Every device sees the latents of the whole batch
and computes the same step.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from hyperstyle_jax.models.discriminator import LatentDiscriminator
from hyperstyle_jax.net import Net
from hyperstyle_jax.training import common, gan_losses

R1_EVERY = 16  # steps


class Pool(NamedTuple):
    """Latents of earlier steps.

    Attributes:
        w: [N, D]. filled: how many of them there are, from 0 up to N.
    """

    w: jax.Array
    filled: jax.Array


def empty_pool(size: int, w_dim: int) -> Pool:
    """A pool for `size` latents."""
    return Pool(jnp.zeros((size, w_dim)), jnp.zeros((), jnp.int32))


def exchange(pool: Pool, w: jax.Array, key: jax.Array) -> tuple[jax.Array, Pool]:
    """Some latents are kept in the pool and replaced by what was there.

    Until the pool is full, all are kept as well as given back. Then each one changes
    places with a random one of the pool with probability ½.

    Args:
        pool: of N ≥ 1 latents.
        w: [B, D].
        key: of the random choices.

    Returns:
        Latents [B, D], and the new pool.
    """
    size = len(pool.w)

    def body(pool, this):
        w, key = this
        chance, place = jax.random.split(key)
        full = pool.filled >= size
        swap = full & (jax.random.uniform(chance) > 0.5)
        index = jnp.where(full, jax.random.randint(place, (), 0, size), pool.filled)
        stored = pool.w[index]
        kept = jnp.where(full & ~swap, stored, w)
        filled = jnp.minimum(pool.filled + 1, size)
        given = jnp.where(swap, stored, w)
        return Pool(pool.w.at[index].set(kept), filled), given

    pool, given = jax.lax.scan(body, pool, (w, jax.random.split(key, len(w))))
    return given, pool


class Trained(NamedTuple):
    """The result of `step`: parameters, the optimizer's state, {name: number}."""

    params: dict
    opt: Any
    metrics: dict[str, jax.Array]


def step(
    tx: optax.GradientTransformation,
    params: dict,
    opt: Any,
    real: jax.Array,
    fake: jax.Array,
    r1: float = 0.0,
) -> Trained:
    """The logistic loss, and if `r1`, the penalty in a second step of the optimizer.

    The second step takes (r1 / 2)·16·E‖∇D(w)‖² at real latents w, with the parameters
    that the first one made.

    Args:
        tx, opt: the optimizer and its state.
        params: of the discriminator.
        real, fake: latents [B, D] of the mapping network and of the encoder.
        r1: weight of the penalty in this step; 0 leaves it out.
    """

    def loss(params):
        discriminate = partial(logits, params)
        return gan_losses.discriminator_loss(discriminate(real), discriminate(fake))

    def penalty(params):
        found = gan_losses.r1_penalty(partial(logits, params), real)
        return 0.5 * r1 * R1_EVERY * found, found

    value, grads = jax.value_and_grad(loss)(params)
    metrics = {"latent_discriminator_loss": value}
    params, opt = common.optimizer_step(tx, grads, opt, params)
    if r1:
        grads, metrics["latent_r1"] = jax.grad(penalty, has_aux=True)(params)
        params, opt = common.optimizer_step(tx, grads, opt, params)
    return Trained(params, opt, metrics)


def logits(params: dict, w: jax.Array) -> jax.Array:
    """The discriminator's answers to latents [..., D], [..., 1]."""
    return Net(LatentDiscriminator(), {"params": params})(w)
