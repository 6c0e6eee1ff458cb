"""ReStyle corrects its latent several times, from the image that the latent renders.

w ← w + E(x, G(w)), starting from the mean latent, https://arxiv.org/abs/2104.02699.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from hyperstyle_jax.inversion.cropping import crop_and_pool
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion


class RestyleResult(NamedTuple):
    """The result of `invert`.

    Attributes:
        inversion: latents without offsets.
        images: [T + 1, B, h, w, 3], the reconstruction after each iteration; row 0 is
            the image of the mean latent.
        latents: [T + 1, B, L, D], those of these images.
    """

    inversion: Inversion
    images: jax.Array
    latents: jax.Array


def invert(
    encoder: Net,
    generator: Net,
    x: jax.Array,
    num_iters: int = 5,
    noise: str | Mapping[str, jax.Array] = "const",
) -> RestyleResult:
    """Inverts images; a pure function, to be jitted with `num_iters` static.

    Args:
        encoder: Net of a `StyleEncoder` of 6 channels; its mean latent is the start.
        generator: Net of the Generator that the encoder was trained for.
        x: [B, h, w, 3] in [-1, 1].
        num_iters: T, the number of iterations.
        noise: as in `Generator.synthesis`.
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
        return (w, image), (image, w)

    (last, _), (images, latents) = jax.lax.scan(body, (w, image), length=num_iters)
    images, latents = (
        jnp.concatenate([first[None], rest])
        for first, rest in ((image, images), (w, latents))
    )
    return RestyleResult(Inversion(last), images, latents)
