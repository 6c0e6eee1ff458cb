"""Style mixing, interpolation and truncation: inversions from two inversions."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion, LayerEmbeddings, synthesize


def mix(inversion: Inversion, other: Inversion, rows: Sequence[int]) -> Inversion:
    """Style mixing: some layers read another image's latent; the weights stay.

    Args:
        inversion: of B images.
        other: of B images, or of one for all.
        rows: indices of the rows of w+ that come from `other`. Coarse rows carry pose
            and shape, fine ones colour and texture (`rows_above`).

    Raises:
        ValueError: latents of another generator, or a row that w+ does not have.
    """
    w = inversion.w_plus
    _check_same_latents(w, other.w_plus)
    if not set(rows) <= set(range(w.shape[1])):
        raise ValueError(
            f"rows {list(rows)}: expected numbers from 0 to {w.shape[1] - 1}"
        )
    taken = jnp.isin(jnp.arange(w.shape[1]), jnp.asarray([*rows], int))
    return inversion.replace(w_plus=jnp.where(taken[:, None], other.w_plus, w))


def rows_above(generator: Net, resolution: int) -> list[int]:
    """The rows of w+ that only layers above a resolution read.

    Args:
        generator: Net of a Generator.
        resolution: r, e.g. 16; the layers at r itself are not among them.

    Raises:
        ValueError: no layer is above, or none at this resolution.
    """
    layers = generator.module.layers()
    known = sorted({layer.resolution for layer in layers})
    if resolution not in known[:-1]:
        names = ", ".join(map(str, known[:-1]))
        raise ValueError(f"resolution {resolution}: expected one of {names}")
    below = {layer.w_index for layer in layers if layer.resolution <= resolution}
    return [row for row in range(generator.module.num_ws) if row not in below]


def interpolate(first: Inversion, second: Inversion, t: ArrayLike) -> Inversion:
    """(1 − t)·first + t·second, of the latents and of the weights.

    t = 0 and t = 1 give the inputs bit for bit; beyond them it extrapolates.

    Args:
        first, second: of B images each.
        t: a number, or one for each image [B].

    Returns:
        An inversion; it has layer embeddings, and so can be stored, if both have those
        of equally many iterations, or neither has weights of its own.

    Raises:
        ValueError: latents of another generator; weights that one replaces and the
            other does not.
    """
    _check_same_latents(first.w_plus, second.w_plus)
    if first.replaced.keys() != second.replaced.keys():
        raise ValueError(
            "one inversion replaces weights that the other does not: only inversions "
            "of one method are interpolated"
        )
    t = jnp.asarray(t, first.w_plus.dtype)

    def between(a, b):
        share = t.reshape(t.shape + (1,) * (a.ndim - t.ndim))
        return (1 - share) * a + share * b

    def all_between(a, b):
        """Of two dicts; an offset that is not there is zero."""
        paths = [*a, *(path for path in b if path not in a)]
        pairs = ((path, a.get(path), b.get(path)) for path in paths)
        return {
            path: between(
                jnp.zeros_like(y) if x is None else x,
                jnp.zeros_like(x) if y is None else y,
            )
            for path, x, y in pairs
        }

    return Inversion(
        between(first.w_plus, second.w_plus),
        all_between(first.offsets, second.offsets),
        all_between(first.replaced, second.replaced),
        _embeddings_between(first.embeddings, second.embeddings, all_between),
    )


def _embeddings_between(a, b, all_between) -> LayerEmbeddings | None:
    """Decoding is linear for a number of iterations, but for separable layers."""
    if a is None or b is None or a.num_iters != b.num_iters:
        return None
    if any(value.ndim != 2 for value in a.values.values()):
        return None
    return LayerEmbeddings(all_between(a.values, b.values), a.num_iters)


def render_between(
    generator: Net, first: Inversion, second: Inversion, ts: Sequence[float]
) -> jax.Array:
    """Renders interpolations of one image, one after another.

    Args:
        generator: Net of a Generator.
        first, second: of one image each.
        ts: S numbers, 0 for the first and 1 for the second.

    Returns:
        [S, R, R, 3], about [-1, 1], not clipped.
    """
    drawn = [_draw_between(generator, first, second, jnp.float32(t)) for t in ts]
    return jnp.stack(drawn)


@jax.jit
def _draw_between(generator, first, second, t):
    return synthesize(generator, interpolate(first, second, t))[0]


def truncate(generator: Net, inversion: Inversion, psi: ArrayLike) -> Inversion:
    """The truncation trick: latents w_avg + ψ·(w − w_avg); the weights stay.

    Args:
        generator: Net of a Generator, which knows the mean latent w_avg.
        inversion: of B images.
        psi: ψ, a number or one for each image [B]; 1 changes nothing, 0 gives the mean.
    """
    mean = generator.variables["buffers"]["mapping"]["w_avg"]
    w_plus = jnp.broadcast_to(mean, inversion.w_plus.shape)
    return interpolate(inversion.replace(w_plus=w_plus), inversion, psi)


def _check_same_latents(a, b):
    if a.shape[1:] != b.shape[1:] or len(b) not in (1, len(a)):
        raise ValueError(
            f"latents of {a.shape} and {b.shape}: expected the same number of images "
            "and latents of one generator"
        )
