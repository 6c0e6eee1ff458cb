"""Moves an inversion along a direction in latent space; its weights stay.

`direction` arrays are [D], or [L, D] with zero rows for layers that it leaves alone.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion, render


def edit(inversion: Inversion, direction: jax.Array, strength=1.0) -> Inversion:
    """w + strength·direction, with the same weights.

    Args:
        inversion: of B images.
        direction: [D] or [L, D].
        strength: a number, or one per image [B].

    Raises:
        ValueError: the direction is of another latent space.
    """
    return inversion.replace(w_plus=_moved(inversion.w_plus, direction, strength))


@jax.jit
def sweep(generator: Net, inversion: Inversion, direction, strengths) -> jax.Array:
    """Images of every inversion at every strength.

    Args:
        generator: Net of a Generator.
        inversion: of B images; the weights of each are made once for its S images.
        direction: [D] or [L, D].
        strengths: [S].

    Returns:
        [B, S, R, R, 3], not clipped.
    """
    w_plus = jnp.repeat(inversion.w_plus[:, None], len(strengths), axis=1)
    rows = w_plus.reshape(-1, *w_plus.shape[2:])
    moved = _moved(rows, direction, jnp.tile(strengths, len(w_plus)))
    return render(generator, inversion, moved.reshape(w_plus.shape))


def _moved(w, direction, strength):
    """Latents [B, L, D] moved along [D] or [L, D], by a number or by [B] numbers."""
    direction = jnp.asarray(direction)
    if direction.ndim not in (1, 2) or direction.shape != w.shape[-direction.ndim :]:
        raise ValueError(
            f"direction of shape {direction.shape}: expected {w.shape[-1:]} or "
            f"{w.shape[1:]} as the latents; was it made for another generator?"
        )
    strength = jnp.asarray(strength, w.dtype)
    strength = strength.reshape(strength.shape + (1,) * (w.ndim - strength.ndim))
    return w + strength * direction


def at_rows(direction: jax.Array, rows: Sequence[int], num_ws: int) -> jax.Array:
    """The direction [D] in some rows of w+ only: [L, D]."""
    if not set(rows) <= set(range(num_ws)):
        raise ValueError(f"rows {list(rows)}: expected numbers from 0 to {num_ws - 1}")
    used = jnp.isin(jnp.arange(num_ws), jnp.asarray(list(rows)))
    return jnp.where(used[:, None], direction, 0.0)
