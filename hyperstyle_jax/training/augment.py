"""Pastes shapes and patches into images, which no latent of the generator can render.

In the generator's own domain w alone is often close enough. The pasted pieces give a
hypernetwork errors that only changed weights can reduce.
"""

import jax
import jax.numpy as jnp

_SHAPES = 3


def paste(x: jax.Array, keys: jax.Array, probability: float) -> jax.Array:
    """Pastes ellipses, rectangles and half-planes into a share of the images.

    They are filled with a colour, or with a piece of the image itself, mirrored.

    Args:
        x: [B, H, W, 3] in [-1, 1].
        keys: [B], one per image.
        probability: share of the images that are changed; 0 returns x.

    Returns:
        [B, H, W, 3] in [-1, 1].
    """
    if not probability:
        return x
    return jax.vmap(lambda image, key: _paste_one(image, key, probability))(x, keys)


def _paste_one(x, key, probability):
    pick, where, kind, colour = jax.random.split(key, 4)
    size, width = x.shape[:2]
    sides = jnp.linspace(-1, 1, size), jnp.linspace(-1, 1, width)
    yy, xx = jnp.meshgrid(*sides, indexing="ij")
    out, other = x, jnp.roll(x[:, ::-1], size // 2, axis=0)
    u = jax.random.uniform(where, (_SHAPES, 5))
    kinds = jax.random.uniform(kind, (_SHAPES, 2))
    colours = jax.random.uniform(colour, (_SHAPES, 3), minval=-1, maxval=1)
    for i in range(_SHAPES):
        # An ellipse, a rectangle or a half-plane, turned by an angle, soft by a pixel.
        angle = u[i, 4] * jnp.pi
        dx, dy = xx - (2.4 * u[i, 0] - 1.2), yy - (2.4 * u[i, 1] - 1.2)
        a = (jnp.cos(angle) * dx + jnp.sin(angle) * dy) / (0.05 + 0.6 * u[i, 2] ** 2)
        b = (jnp.cos(angle) * dy - jnp.sin(angle) * dx) / (0.05 + 0.6 * u[i, 3] ** 2)
        ellipse, box = jnp.sqrt(a * a + b * b + 1e-6), jnp.maximum(abs(a), abs(b))
        distance = jnp.where(kinds[i, 0] < 0.4, ellipse, box)
        distance = jnp.where(kinds[i, 0] > 0.8, 1 + a, distance)
        scale = 0.05 + 0.6 * jnp.minimum(u[i, 2], u[i, 3]) ** 2
        mask = jnp.clip((1 - distance) * scale * size / 2 + 0.5, 0, 1)[..., None]
        fill = jnp.where(kinds[i, 1] < 0.35, other, colours[i])
        out = out + mask * (fill - out)
    return jnp.where(jax.random.uniform(pick) < probability, out, x)
