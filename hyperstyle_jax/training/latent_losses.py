"""Losses that keep the latents of a W-encoder right and editable.

Near the true latents of generated images, near the mean latent, or, as in e4e
(https://arxiv.org/abs/2102.02766, section 4), such that a discriminator cannot tell
them from latents of the mapping network.
"""

from functools import partial

import jax
import jax.numpy as jnp

from hyperstyle_jax.models.discriminator import LatentDiscriminator
from hyperstyle_jax.training import common, gan_losses

NAMES = ("latent", "w_norm", "w_adversarial")
R1_EVERY = 16  # steps


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
        squared = jnp.square(w - w_avg).sum(-1)
        terms["w_norm"] = jnp.sqrt(squared + 1e-12).mean()
    if weights["w_adversarial"]:
        terms["w_adversarial"] = gan_losses.generator_loss(_logits(discriminator, w))
    return terms


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
        discriminate = partial(_logits, params)
        loss = gan_losses.discriminator_loss(discriminate(real), discriminate(fake))
        metrics = {"latent_discriminator_loss": loss}
        if r1:
            penalty = gan_losses.r1_penalty(discriminate, real)
            loss += 0.5 * r1 * R1_EVERY * penalty
        return loss, metrics

    grads, metrics = jax.grad(objective, has_aux=True)(params)
    grads, norm = common.average_gradients(grads)
    return grads, metrics | {"latent_discriminator_grad_norm": norm}


def _logits(params, w):
    return LatentDiscriminator().apply({"params": params}, w)
