"""Edits move the latent of an inversion along a direction; its weights stay.

A direction is an array [D], or [L, D] with zeros in the rows of w+ that do not move.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion, render


def edit(
    inversion: Inversion, direction: ArrayLike, strength: ArrayLike = 1.0
) -> Inversion:
    """Moves latents to w + strength·direction.

    Args:
        inversion: of B images.
        direction: [D] or [L, D].
        strength: a number, or one for each image [B].

    Returns:
        The inversion with other latents and the same weights.

    Raises:
        ValueError: the direction is of another latent space.
    """
    return inversion.replace(w_plus=_move(inversion.w_plus, direction, strength))


@jax.jit
def sweep(
    generator: Net, inversion: Inversion, direction: ArrayLike, strengths: jax.Array
) -> jax.Array:
    """Renders each inversion at each strength of an edit.

    Args:
        generator: Net of a Generator.
        inversion: of B images; the S images of each share its weights.
        direction: [D] or [L, D].
        strengths: [S].

    Returns:
        [B, S, R, R, 3], about [-1, 1], not clipped.

    Raises:
        ValueError: the direction is of another latent space.
    """
    w_plus = jnp.repeat(inversion.w_plus[:, None], len(strengths), axis=1)
    rows = w_plus.reshape(-1, *w_plus.shape[2:])
    moved = _move(rows, direction, jnp.tile(strengths, len(w_plus)))
    return render(generator, inversion, moved.reshape(w_plus.shape))


def _move(w, direction, strength):
    """Moves latents [B, L, D] along [D] or [L, D], by a number or by [B] numbers."""
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
    """Restricts a direction to some rows of w+.

    Args:
        direction: [D].
        rows: indices of the rows that shall move.
        num_ws: L.

    Returns:
        [L, D], zero in all other rows.

    Raises:
        ValueError: an index that w+ does not have.
    """
    if not set(rows) <= set(range(num_ws)):
        raise ValueError(f"rows {list(rows)}: expected numbers from 0 to {num_ws - 1}")
    moves = jnp.isin(jnp.arange(num_ws), jnp.asarray(list(rows)))
    return jnp.where(moves[:, None], direction, 0.0)
