"""HyperStyle's refinement that leaves each image as soon as it is close enough.

All images of a batch go through one compiled loop. One that is close enough keeps its
embeddings and its image while the others go on; the loop ends with the last.
"""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax.inversion import hyperstyle, measuring
from hyperstyle_jax.inversion.hyperstyle import Refinement, RefinementState
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion, LayerEmbeddings


class Stopped(NamedTuple):
    """The result of `invert`.

    Attributes:
        refinement: of at most T iterations; images stay what they were at the last of
            their own. `of_image` takes one image out.
        iterations: int [B], how many each image took.
    """

    refinement: Refinement
    iterations: jax.Array


@partial(jax.jit, static_argnames="num_iters")
def invert(
    encoder: Net,
    hypernet: Net,
    generator: Net,
    extractor: Net | None,
    x: jax.Array,
    bounds: Mapping[str, float | jax.Array],
    num_iters: int = 5,
) -> Stopped:
    """Inverts images until each is within the bounds, in at most `num_iters`.

    Args:
        encoder, hypernet, generator: as of `hyperstyle.invert`.
        extractor: as of `measuring.distances`.
        x: [B, h, w, 3] in [-1, 1].
        bounds: as of `measuring.close_enough`; out of reach they change nothing.
        num_iters: T.
    """
    w_plus, image = hyperstyle.initial_inversion(encoder, generator, x)
    embeddings = hyperstyle.no_embeddings(hypernet.module, len(x), num_iters)
    images = jnp.broadcast_to(image, (num_iters + 1, *image.shape))

    def closeness(y):
        return measuring.close_enough(extractor, y, x, bounds)

    def goes_on(carry):
        _, _, iterations, done = carry
        return (iterations.max() < num_iters) & ~done.all()

    def body(carry):
        state, images, iterations, done = carry
        t = iterations.max()  # of those that are not done
        new = hyperstyle.refine(hypernet, generator, x, state, t)
        state = jax.tree.map(partial(_where, done), state, new)
        later = (jnp.arange(num_iters + 1) > t)[:, None, None, None, None]
        images = jnp.where(later, state.image, images)
        iterations = jnp.where(done, iterations, t + 1)
        return state, images, iterations, done | closeness(state.image)

    state = RefinementState(w_plus, embeddings, image)
    start = state, images, jnp.zeros(len(x), jnp.int32), closeness(image)
    state, images, iterations, _ = jax.lax.while_loop(goes_on, body, start)
    compact = LayerEmbeddings(state.embeddings, num_iters)
    return Stopped(Refinement(w_plus, compact, images), iterations)


def _where(done, old, new):
    return jnp.where(done.reshape(-1, *[1] * (old.ndim - 1)), old, new)


@jax.jit
def decode(hypernet: Net, stopped: Stopped) -> Inversion:
    """Decodes each image's embeddings with its own number of iterations.

    The result has no layer embeddings, whose number of iterations would be one for all.
    """
    refinement, iterations = stopped

    def decode_one(values, count):
        values = {path: value[None] for path, value in values.items()}
        offsets = hypernet(values, count, method="decode")
        return {path: offset[0] for path, offset in offsets.items()}

    offsets = jax.vmap(decode_one)(refinement.embeddings.values, iterations)
    return Inversion(refinement.w_plus, offsets)


def of_image(refinement: Refinement, i: int, iterations: int) -> Refinement:
    """One image of a batch, after its own number of iterations.

    Args:
        refinement: of a batch, of NumPy or JAX arrays.
        i: the index of the image.
        iterations: T of this image.

    Returns:
        Of a batch of one: embeddings of T iterations, T + 1 images.
    """

    def cut(value):
        rows = value[i : i + 1]
        return rows[:, : max(iterations, 1)] if rows.ndim == 3 else rows

    values = {k: cut(np.asarray(v)) for k, v in refinement.embeddings.values.items()}
    return Refinement(
        refinement.w_plus[i : i + 1],
        LayerEmbeddings(values, iterations),
        refinement.images[: iterations + 1, i : i + 1],
    )
