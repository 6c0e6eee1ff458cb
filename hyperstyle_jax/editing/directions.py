"""Moving an inversion along a direction in latent space; its offsets stay.

`direction` arrays are [D], or [L, D] with zero rows for layers that it leaves alone.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion, apply_offsets


def edit(inversion: Inversion, direction: jax.Array, strength=1.0) -> Inversion:
    """w + strength·direction, with the same offsets and codes.

    Args:
        inversion: of B images.
        direction: [D] or [L, D].
        strength: a number, or one per image [B].

    Returns:
        An inversion; its `image` is still the one before the edit.

    Raises:
        ValueError: the direction is of another latent space.
    """
    w, direction = inversion.w_plus, jnp.asarray(direction)
    if w.ndim == 2 and direction.ndim == 2:
        w = jnp.broadcast_to(w[:, None], (w.shape[0], *direction.shape))
    if direction.ndim not in (1, 2) or direction.shape != w.shape[-direction.ndim :]:
        raise ValueError(
            f"direction of shape {direction.shape}: expected {w.shape[-1:]} or "
            f"{w.shape[1:]} as the latents; was it made for another generator?"
        )
    strength = jnp.asarray(strength, w.dtype)
    strength = strength.reshape(strength.shape + (1,) * (w.ndim - strength.ndim))
    return inversion.replace(w_plus=w + strength * direction)


@jax.jit
def sweep(generator: Net, inversion: Inversion, direction, strengths) -> jax.Array:
    """Pictures of every image at every strength: [B, S, R, R, 3], not clipped.

    The weights of an image are made once and shared by its S pictures.
    """

    def render(one):
        w, offsets = one
        net = generator.with_params(apply_offsets(generator.params, offsets))
        same = Inversion(jnp.stack([w] * len(strengths)), {}, {}, None)
        return net(edit(same, direction, strengths).w_plus, method="synthesis")

    return jax.lax.map(render, (inversion.w_plus, inversion.offsets))


def at_rows(direction: jax.Array, rows: Sequence[int], num_ws: int) -> jax.Array:
    """The direction [D] in some rows of w+ only: [L, D]."""
    if not set(rows) <= set(range(num_ws)):
        raise ValueError(f"rows {list(rows)}: expected numbers from 0 to {num_ws - 1}")
    used = jnp.isin(jnp.arange(num_ws), jnp.asarray(list(rows)))
    return jnp.where(used[:, None], direction, 0.0)
