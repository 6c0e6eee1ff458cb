"""The features inside a generator at every place of its image, and sampling of them."""

import jax
import jax.numpy as jnp

from hyperstyle_jax import trees
from hyperstyle_jax.net import Net

_MOST = 256  # side of the finest maps that are used


def feature_maps(generator: Net, w_plus: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Renders one image and keeps what two of the generator's blocks computed.

    Those of the image's size and of half of it, or of large generators 256² and 128²:
    finer features say little about the place on an object, coarser ones are blurred.

    Args:
        generator: Net of a Generator.
        w_plus: [L, D].

    Returns:
        Image [R, R, 3], about [-1, 1], and features [S, S, C] with S = R, at most 256;
        those of each block are scaled to mean absolute value 1.
    """
    image, state = generator(
        w_plus[None], method="synthesis", mutable=["intermediates"]
    )
    blocks = trees.flatten(state["intermediates"]["synthesis"])
    size = min(generator.module.resolution, _MOST)
    maps = []
    for resolution in (size // 2, size):
        features = blocks[f"b{resolution}/conv1_out"][0][0].astype(jnp.float32)
        scale = jax.lax.stop_gradient(jnp.abs(features).mean())
        shape = (size, size, features.shape[-1])
        maps.append(jax.image.resize(features / scale, shape, "linear"))
    return image[0], jnp.concatenate(maps, axis=-1)


def sample(maps: jax.Array, places: jax.Array) -> jax.Array:
    """Reads maps between their pixels, bilinearly; beyond the border its values go on.

    Args:
        maps: [S, S, C].
        places: [..., 2], x and y in pixels of the maps, 0 at the first one's centre.

    Returns:
        [..., C].
    """
    size = maps.shape[0]
    places = jnp.clip(places, 0, size - 1)
    low = jnp.clip(jnp.floor(places), 0, size - 2).astype(jnp.int32)
    x, y = low[..., 0], low[..., 1]
    right, down = jnp.split(places - low, 2, axis=-1)
    top = maps[y, x] * (1 - right) + maps[y, x + 1] * right
    bottom = maps[y + 1, x] * (1 - right) + maps[y + 1, x + 1] * right
    return top * (1 - down) + bottom * down
