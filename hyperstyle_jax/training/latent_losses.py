"""Losses that keep the latents of an encoder right and editable.

Near the true latents of generated images, near the mean latent, or, as in e4e
(https://arxiv.org/abs/2102.02766, section 4), such that a discriminator cannot tell
them from latents of the mapping network, and that rows of w+ stay near the first one.
"""

from functools import partial

import jax
import jax.numpy as jnp

from hyperstyle_jax.training import common, gan_losses
from hyperstyle_jax.training.latent_discriminator import R1_EVERY, logits

NAMES = ("latent", "w_norm", "w_adversarial")
W_PLUS_NAMES = ("w_norm", "delta", "w_adversarial")


def losses(
    weights: dict[str, float],
    w: jax.Array,
    *,
    w_avg: jax.Array,
    w_of_generated: jax.Array,
    w_true: jax.Array | None,
    discriminator: dict | None,
) -> dict[str, jax.Array]:
    """The losses of `NAMES` whose weight is not 0.

    Args:
        weights: λ by name.
        w: latents of real images [B, D].
        w_avg: the mean latent [D].
        w_of_generated, w_true: latents of generated images and those that they were
            generated from, both [B, D]; for the loss "latent".
        discriminator: its parameters, for the loss "w_adversarial".

    Returns:
        {name: mean over the batch}, without the weights.
    """
    terms = {}
    if weights["latent"]:
        terms["latent"] = jnp.square(w_of_generated - w_true).mean()
    if weights["w_norm"]:
        terms["w_norm"] = w_norm(w, w_avg)
    if weights["w_adversarial"]:
        terms["w_adversarial"] = gan_losses.generator_loss(logits(discriminator, w))
    return terms


def w_plus_losses(
    weights: dict[str, float],
    w_plus: jax.Array,
    w_avg: jax.Array,
    stage: int | jax.Array,
    discriminator: dict | None = None,
) -> dict[str, jax.Array]:
    """The losses of `W_PLUS_NAMES` whose weight is not 0.

    Args:
        weights: λ by name.
        w_plus: latents of real images [B, L, D].
        w_avg: the mean latent [D].
        stage: rows 0 … stage count; L − 1 are all.
        discriminator: its parameters, for the loss "w_adversarial".

    Returns:
        {name: mean over the batch}, without the weights.
    """
    terms = {}
    if weights["w_norm"]:
        terms["w_norm"] = w_norm(w_plus, w_avg)
    if weights["delta"]:
        terms["delta"] = row_distances(w_plus, stage).sum()
    if weights["w_adversarial"]:
        rows = jax.nn.softplus(-logits(discriminator, w_plus)).mean((0, 2))
        counted = jnp.arange(len(rows)) <= stage
        terms["w_adversarial"] = rows.mean(where=counted)
    return terms


def w_norm(w: jax.Array, w_avg: jax.Array) -> jax.Array:
    """E‖w − w_avg‖ of latents w [B, D], or of all rows together, w [B, L, D]."""
    squared = jnp.square(w - w_avg).sum(tuple(range(1, w.ndim)))
    return jnp.sqrt(squared + 1e-12).mean()


def row_distances(w_plus: jax.Array, stage: int | jax.Array) -> jax.Array:
    """E‖row i − row 0‖ for i = 1 … L − 1, [L − 1]; 0 for rows after `stage`.

    Where a row equals row 0 its gradient is 0.
    """
    squared = jnp.square(w_plus[:, 1:] - w_plus[:, :1]).sum(-1)
    counted = (squared > 0) & (jnp.arange(1, w_plus.shape[1]) <= stage)
    return jnp.where(counted, jnp.sqrt(jnp.where(counted, squared, 1.0)), 0.0).mean(0)


def discriminator_gradients(
    params: dict, real: jax.Array, fake: jax.Array, r1: float
) -> tuple[dict, dict[str, jax.Array]]:
    """Gradients of the latent discriminator, averaged over the devices, and metrics.

    Args:
        params: of the discriminator.
        real, fake: latents [B, D] of the mapping network and of the encoder.
        r1: weight of the gradient penalty in this step; 0 leaves it out.
    """

    def objective(params):
        discriminate = partial(logits, params)
        loss = gan_losses.discriminator_loss(discriminate(real), discriminate(fake))
        metrics = {"latent_discriminator_loss": loss}
        if r1:
            penalty = gan_losses.r1_penalty(discriminate, real)
            loss += 0.5 * r1 * R1_EVERY * penalty
        return loss, metrics

    grads, metrics = jax.grad(objective, has_aux=True)(params)
    grads, norm = common.average_gradients(grads)
    return grads, metrics | {"latent_discriminator_grad_norm": norm}
