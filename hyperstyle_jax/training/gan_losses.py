"""Losses of StyleGAN2's training (https://arxiv.org/abs/1912.04958) as functions.

The discriminator's serve for images and, as in e4e, for latents.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from hyperstyle_jax.loop import parallel
from hyperstyle_jax.models.generator import mix_styles
from hyperstyle_jax.net import Net
from hyperstyle_jax.training import common, criteria

_PATH_DECAY = 0.99


def discriminator_loss(real: jax.Array, fake: jax.Array) -> jax.Array:
    """E[softplus(D(fake))] + E[softplus(−D(real))], the logistic loss, from logits."""
    return jax.nn.softplus(fake).mean() + jax.nn.softplus(-real).mean()


def generator_loss(logits: jax.Array) -> jax.Array:
    """E[softplus(−D(fake))], the non-saturating loss, from the logits of fakes [B]."""
    return jax.nn.softplus(-logits).mean()


def r1_penalty(discriminate: Callable, real) -> jax.Array:
    """E‖∇D(real)‖², half of which is R1 (https://arxiv.org/abs/1801.04406).

    Args:
        discriminate: samples [B, …] → logits, one per sample.
    """
    gradient = jax.grad(lambda samples: discriminate(samples).sum())(real)
    return jnp.square(gradient).sum(tuple(range(1, real.ndim))).mean()


def generate(net: Net, keys: jax.Array, style_mixing: float) -> tuple:
    """Fresh images, some of two mixed styles.

    Args:
        net: the generator.
        keys: [B], one per image.
        style_mixing: share of images whose later layers get another latent.

    Returns:
        Images [B, R, R, 3] and their latents w_plus [B, L, D].
    """
    num_ws = net.module.num_ws

    def first_of_other_style(key):
        place, chance = jax.random.split(key)
        mixed = jax.random.uniform(chance, (1, 1)) < style_mixing
        return jnp.where(mixed, jax.random.randint(place, (1, 1), 1, num_ws), num_ws)

    first, second, cuts, noise = jax.vmap(jax.random.split, (0, None), 1)(keys, 4)
    w, other = (
        net(common.draw_z(net.module, k), method="mapping") for k in (first, second)
    )
    w_plus = mix_styles(w, other, jax.vmap(first_of_other_style)(cuts), num_ws)
    noise = common.draw_noise(net.module, noise)
    return net(w_plus, noise, method="synthesis"), w_plus


def path_length_penalty(
    net: Net, keys: jax.Array, mean: jax.Array, style_mixing: float
) -> tuple[jax.Array, jax.Array]:
    """E(|Jᵀ·y| − a)² on fresh images, J = ∂image/∂w_plus, y Gaussian.

    Args:
        net: the generator.
        keys: one per image.
        mean: a, the running mean of the lengths.
        style_mixing: as in `generate`.

    Returns:
        The penalty, and the new running mean without gradient.
    """
    size = net.module.resolution
    first, noise, direction = jax.vmap(jax.random.split, (0, None), 1)(keys, 3)
    _, w_plus = generate(net, first, style_mixing)
    noise = common.draw_noise(net.module, noise)
    y = jax.vmap(lambda key: jax.random.normal(key, (size, size, 3)))(direction) / size

    def projected(w_plus):
        return jnp.sum(net(w_plus, noise, method="synthesis") * y)

    gradient = jax.grad(projected)(w_plus)
    lengths = jnp.sqrt(jnp.square(gradient).sum(-1).mean(-1))
    batch_mean = jax.lax.pmean(lengths.mean(), parallel.AXIS)
    mean = mean + (1 - _PATH_DECAY) * (batch_mean - mean)
    return jnp.square(lengths - mean).mean(), jax.lax.stop_gradient(mean)


def regression(
    net: Net,
    frozen: dict[str, Net],
    batch: dict,
    keys: jax.Array,
    lpips_weight: float,
    attributes_weight: float,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The loss of images rendered from the known parameters of their targets.

    Args:
        net: the generator, whose z are the parameters.
        frozen: with the feature extractor, if one of the weights is not 0.
        batch: "image" uint8 [B, H, W, 3], "latent" [B, Z], "attributes" [B, A].
        keys: [B], of the noise maps.
        lpips_weight, attributes_weight: λ of the feature extractor's distances.

    Returns:
        The loss, and its terms {"l2", "lpips", "attributes"}, those that count.
    """
    x = common.images(batch)
    y = net(batch["latent"], noise=common.draw_noise(net.module, keys))
    # Squared: where the place of a thin line is uncertain, the least absolute error
    # is no line at all. The coarse image counts as much as the fine one.
    terms = {"l2": jnp.square(y - x).mean()}
    coarse = jax.image.resize(y - x, (*x.shape[:1], 16, 16, 3), "linear")
    loss = 4 * terms["l2"] + 4 * jnp.square(coarse).mean()
    if lpips_weight:
        target = criteria.extract_features(frozen, x)
        terms["lpips"] = criteria.distances(frozen, y, target)["lpips"].mean()
        loss += lpips_weight * terms["lpips"]
    if attributes_weight:
        extractor = frozen["feature_extractor"]
        _, predicted = extractor(y)
        std = extractor.variables["buffers"]["attribute_std"]
        error = (predicted - batch["attributes"]) / std
        terms["attributes"] = jnp.square(error).mean()
        loss += attributes_weight * terms["attributes"]
    return loss, terms
