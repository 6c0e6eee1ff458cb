"""Generated images and what a feature extractor sees in them, to fit directions."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax.net import Net


class Labelled(NamedTuple):
    """Latents w [N, D], attributes [N, A] and identity vectors [N, E] of N images."""

    w: np.ndarray
    attributes: np.ndarray
    identity: np.ndarray


def label(
    generator: Net, features: Net, count: int, *, seed: int = 0, batch_size: int = 64
) -> Labelled:
    """Draws `count` images and labels them.

    Args:
        generator: Net of a Generator.
        features: Net of a FeatureExtractor for images of the generator's size.
        count: how many; an attribute that one image in k shows needs some 500·k.
        seed: of the latents.
        batch_size: images at a time.
    """
    keys = jax.random.split(jax.random.key(seed), -(-count // batch_size))
    parts = [jax.device_get(_draw(generator, features, k, batch_size)) for k in keys]
    return Labelled(
        *(np.concatenate(part)[:count] for part in zip(*parts, strict=True))
    )


@partial(jax.jit, static_argnums=3)
def _draw(generator, features, key, batch_size):
    z = jax.random.normal(key, (batch_size, generator.module.z_dim))
    w = generator(z, method="mapping")
    image = jnp.clip(generator(w, method="synthesis"), -1, 1)
    identity, attributes = features(image)
    return w, attributes, identity
