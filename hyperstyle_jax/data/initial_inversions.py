"""How data sets store initial inversions: the latent, and the image as int16.

Beside them may stand those of the mirror image, for training that flips its images.
"""

import jax
import jax.numpy as jnp

NAMES = ("w", "inversion")
MIRRORED = ("w_flipped", "inversion_flipped")
LARGEST = 32767  # of int16; an image with such a value left the range, and was clipped
_SCALE = 16383.5  # steps for each unit of an image, from −2 to 2


def encode(image: jax.Array) -> jax.Array:
    """An image, about [-1, 1], as int16."""
    steps = jnp.round(image * _SCALE)
    return jnp.clip(steps, -LARGEST, LARGEST).astype(jnp.int16)


def decode(stored: jax.Array) -> jax.Array:
    """The image, float32, of what `encode` made of it."""
    return stored.astype(jnp.float32) / _SCALE
