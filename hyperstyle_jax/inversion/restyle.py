"""ReStyle: an encoder that corrects its latent from the image that it renders.

w ← w + E(x, G(w)), starting from the mean latent (https://arxiv.org/abs/2104.02699).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from hyperstyle_jax.inversion.hyperstyle import crop_and_pool
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion


class Restyled(NamedTuple):
    """The inversion, and the image [T + 1, B, h, w, C] after every iteration.

    Row 0 is the image of the mean latent.
    """

    inversion: Inversion
    images: jax.Array


def invert(
    encoder: Net, generator: Net, x: jax.Array, num_iters: int = 5, noise="const"
) -> Restyled:
    """Inverts images; pure, to be jitted with `num_iters` static.

    Args:
        encoder: a `StyleEncoder` of 6 channels; its mean latent is the start.
        generator: that the encoder was trained for.
        x: [B, h, w, 3] in [-1, 1].
        num_iters: iterations.
        noise: as in `Generator.synthesis`.

    Returns:
        Latents w_plus [B, L, D] without offsets, and images of the size of `x`.
    """

    def render(w):
        return crop_and_pool(generator(w, noise, method="synthesis"), x.shape[1:3])

    start = encoder.variables["buffers"]["latent_avg"][None]
    image = jnp.broadcast_to(render(start), x.shape)
    w = jnp.broadcast_to(start, (x.shape[0], *start.shape[1:]))

    def body(carry, _):
        w, image = carry
        w = encoder(jnp.concatenate([x, image], axis=-1), w)
        image = render(w)
        return (w, image), image

    (w, _), images = jax.lax.scan(body, (w, image), length=num_iters)
    return Restyled(Inversion(w), jnp.concatenate([image[None], images]))
