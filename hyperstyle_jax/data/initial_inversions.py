"""Data sets store initial inversions as a latent and an image of 16-bit integers.

Examples may also have those of the mirror image, for training that flips its images.
"""

import jax
import jax.numpy as jnp

NAMES = ("w", "inversion")
MIRRORED = ("w_flipped", "inversion_flipped")
# The largest int16. A stored image with this value left the range and was clipped.
LARGEST = 32767
_SCALE = 16383.5  # integers for each unit of an image, which may go from −2 to 2


def encode(image: jax.Array) -> jax.Array:
    """An image, in about [-1, 1], as int16 [...]; values beyond ±2 are clipped."""
    integers = jnp.round(image * _SCALE)
    return jnp.clip(integers, -LARGEST, LARGEST).astype(jnp.int16)


def decode(stored: jax.Array) -> jax.Array:
    """The image, float32, that `encode` stored."""
    return stored.astype(jnp.float32) / _SCALE
