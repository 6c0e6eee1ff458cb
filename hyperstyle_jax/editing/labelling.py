"""Draws images and labels them with a feature extractor, to fit edit directions."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax.net import Net

BATCH = 64  # images that are drawn together


class LabelledLatents(NamedTuple):
    """Latents of N generated images, and what a feature extractor reads of these.

    Attributes:
        w: [N, D].
        attributes: [N, A], in their units.
        identity: vectors [N, E] of length one.
    """

    w: np.ndarray
    attributes: np.ndarray
    identity: np.ndarray


def label(
    generator: Net,
    feature_extractor: Net,
    count: int,
    *,
    seed: int = 0,
    batch_size: int = BATCH,
) -> LabelledLatents:
    """Draws images from the generator and labels them.

    Args:
        generator: Net of a Generator.
        feature_extractor: Net of a FeatureExtractor for images of the generator's size.
        count: N; for an attribute that one image in k shows, some 500·k are needed.
        seed: of the latents.
        batch_size: the number of images at a time.
    """
    keys = jax.random.split(jax.random.key(seed), -(-count // batch_size))
    batches = [
        jax.device_get(_label_batch(generator, feature_extractor, key, batch_size))
        for key in keys
    ]
    return LabelledLatents(
        *(np.concatenate(arrays)[:count] for arrays in zip(*batches, strict=True))
    )


def draw(generator: Net, seed: int, number: int) -> tuple[jax.Array, jax.Array]:
    """One batch of generated images.

    Args:
        generator: Net of a Generator.
        seed: of all batches.
        number: of this batch.

    Returns:
        Latents [BATCH, D] and images [BATCH, R, R, 3] in [-1, 1].
    """
    key = jax.random.fold_in(jax.random.key(seed), number)
    return _draw(generator, key, BATCH)


@partial(jax.jit, static_argnums=2)
def _draw(generator, key, batch_size):
    z = jax.random.normal(key, (batch_size, generator.module.z_dim))
    w = generator(z, method="mapping")
    return w, jnp.clip(generator(w, method="synthesis"), -1, 1)


@partial(jax.jit, static_argnums=3)
def _label_batch(generator, feature_extractor, key, batch_size):
    w, image = _draw(generator, key, batch_size)
    identity, attributes = feature_extractor(image)
    return w, attributes, identity
