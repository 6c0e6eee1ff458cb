"""StyleFlow edits attributes by a flow of latents, https://arxiv.org/abs/2008.02401.

z = encode(w, attributes) is what of an image its attributes do not say. The edited
latent is decode(z, other attributes). An edit by a direction moves every image alike;
this one depends on the image, so attributes that go together stay apart.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from hyperstyle_jax.editing.ode import solve
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion, latent_only, synthesize

Solve = Callable  # as `ode.solve`


@jax.jit
def encode(flow: Net, w: jax.Array, attributes: jax.Array) -> jax.Array:
    """Latents under their attributes → z.

    Args:
        flow: Net of a StyleFlow.
        w: [B, D], or w+ [B, L, D], whose rows are carried one by one.
        attributes: [B, A] in the flow's units; the rows of an image share them.

    Returns:
        z, of the shape of w.
    """
    end = flow(method="end_time")
    x = _carry(flow, flow(w, method="enter"), attributes, jnp.zeros(()), end)
    return flow(x, method="leave")


@jax.jit
def decode(flow: Net, z: jax.Array, attributes: jax.Array) -> jax.Array:
    """z under attributes → latents: the inverse of `encode`.

    Args:
        flow: Net of a StyleFlow.
        z: [B, D] or [B, L, D].
        attributes: [B, A] in the flow's units.

    Returns:
        w or w+, of the shape of z.
    """
    end = flow(method="end_time")
    x = _carry(flow, flow(z, method="enter_back"), attributes, end, jnp.zeros(()))
    return flow(x, method="leave_back")


def _carry(flow, x, attributes, begin, end):
    """Carries x [B, …, D] from one time to another, the images one by one.

    Each has steps of its own, so its edit does not depend on its neighbours; the
    release has one step for a whole batch.
    """

    def carry_image(x, attributes):
        def velocity(time, x):
            return flow(time, x, attributes, method="velocity")

        return solve(velocity, x, begin, end)

    return jax.vmap(carry_image)(x, attributes)


@partial(jax.jit, static_argnames="solve")
def log_density(
    flow: Net,
    w: jax.Array,
    attributes: jax.Array,
    probe: jax.Array,
    solve: Solve = solve,
) -> tuple[jax.Array, jax.Array]:
    """z and the logarithm of p(w | attributes), that of z less what volumes change.

    log p(w) = log N(z; 0, 1) + log |det dz/dw|. The divergence of the flow is estimated
    from its change along random vectors (https://arxiv.org/abs/1810.01367).

    Args:
        flow: Net of a StyleFlow.
        w: [B, D], or w+ [B, L, D].
        attributes: [B, A] in the flow's units.
        probe: random vectors of the shape of w, of mean 0 and variance 1. The estimate
            is right on average over these.
        solve: follows the equation: `ode.solve` or alike.

    Returns:
        z of the shape of w, and natural logarithms [B] or [B, L].
    """

    def carry_image(x, attributes, probe):
        def velocity(time, state):
            field = partial(flow, time, method="velocity")
            rate, change = jax.jvp(
                lambda x: field(x, attributes), (state[0],), (probe,)
            )
            return rate, jnp.sum(change * probe, -1)

        start = (x, jnp.zeros(x.shape[:-1]))
        return solve(velocity, start, jnp.zeros(()), flow(method="end_time"))

    x = flow(w, method="enter")
    x, log_volume = jax.vmap(carry_image)(x, attributes, probe)
    z = flow(x, method="leave")
    log_volume += flow(method="log_volume")
    log_normal = -0.5 * (jnp.square(z) + np.log(2 * np.pi)).sum(-1)
    return z, log_normal + log_volume


def edit(
    flow: Net, inversion: Inversion, before: ArrayLike, after: ArrayLike
) -> Inversion:
    """Moves latents to other attributes; only the rows of these attributes change.

    Several edits one after another: the attributes after one are those before the next,
    for z is made anew each time.

    Args:
        flow: Net of a StyleFlow.
        inversion: of B images.
        before: attributes [B, A] that the images have, in the flow's units; see
            `measure`.
        after: those that they shall have, [B, A].

    Returns:
        The inversion with other latents and the same weights. An image whose attributes
        stay is not changed.

    Raises:
        ValueError: latents or attributes of another model.
    """
    w = inversion.w_plus
    before, after = (jnp.asarray(a, w.dtype) for a in (before, after))
    _check(flow, w, before, after)
    edited = decode(flow, encode(flow, w, before), after)
    changes = (before != after) @ _rows(flow, w.shape[1]) > 0
    return inversion.replace(w_plus=jnp.where(changes[..., None], edited, w))


def set_attribute(
    flow: Net, attributes: ArrayLike, name: str, value: ArrayLike
) -> jax.Array:
    """Attributes [B, A] with another value, or values [B], of one of them.

    Raises:
        ValueError: the flow knows no such attribute.
    """
    return jnp.asarray(attributes).at[:, index(flow, name)].set(value)


def index(flow: Net, name: str) -> int:
    """The position of an attribute.

    Raises:
        ValueError: lists the attributes that the flow knows.
    """
    names = list(flow.module.attributes)
    if name not in names:
        raise ValueError(
            f"attribute {name!r}: the flow knows none of this name, only "
            f"{', '.join(names)}"
        )
    return names.index(name)


@jax.jit
def measure(generator: Net, feature_extractor: Net, inversion: Inversion) -> jax.Array:
    """The attributes [B, A] that a feature extractor reads of the latents' images.

    The generator's own weights draw these, without offsets: a flow has learned the
    attributes of such images, and it is their latents that it moves.
    """
    own = latent_only(inversion.w_plus, generator.module.num_ws)
    images = jnp.clip(synthesize(generator, own), -1, 1)
    return feature_extractor(images)[1]


def _rows(flow: Net, num_ws: int) -> jax.Array:
    """[A, L], 1 where edits of an attribute may change a row of w+."""
    rows = np.arange(num_ws)
    ranges = flow.module.rows or ((0, num_ws - 1),) * len(flow.module.attributes)
    return jnp.asarray([(rows >= lo) & (rows <= hi) for lo, hi in ranges], jnp.float32)


def _check(flow, w, *attributes):
    if w.ndim != 3 or w.shape[-1] != flow.module.w_dim:
        raise ValueError(
            f"latents of shape {w.shape}: the flow reads [B, L, {flow.module.w_dim}]; "
            "was it trained for another generator?"
        )
    expected = (len(w), len(flow.module.attributes))
    for values in attributes:
        if values.shape != expected:
            raise ValueError(
                f"attributes of shape {values.shape}: expected {expected}, one of each "
                f"for every image: {', '.join(flow.module.attributes)}"
            )
