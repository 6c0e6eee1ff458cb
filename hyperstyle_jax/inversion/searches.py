"""The searches among the inversion methods: what they do with a bundle's networks.

Each takes a bundle, images x [B, h, w, 3] in [-1, 1] and its settings; `methods` gives
them names and defaults.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from hyperstyle_jax import trees
from hyperstyle_jax.inversion import (
    closeness,
    code_tuning,
    hyperstyle,
    pivotal,
    projector,
)
from hyperstyle_jax.inversion.cropping import crop_and_pool
from hyperstyle_jax.inversion.optimize import optimize
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion, apply_offsets, latent_only, synthesize
from hyperstyle_jax.weights.bundle import Bundle


class Inverted(NamedTuple):
    """What a method returns.

    Attributes:
        inversion: B images ready to render.
        images: [S, B, h, w, 3], what it went through, at the bundle's image size; the
            last is the result (S ≥ 1).
    """

    inversion: Inversion
    images: jax.Array


def mean(bundle: Bundle, x: jax.Array) -> Inverted:
    """The mean latent, whatever the images are."""
    (generator,) = bundle.require("generator")
    w = generator.variables["buffers"]["mapping"]["w_avg"]
    rows = jnp.broadcast_to(w, (len(x), len(w)))
    inversion = latent_only(rows, generator.module.num_ws)
    return Inverted(inversion, _render(generator, inversion, x.shape[1:3])[None])


def latent(space: str) -> Callable[..., Inverted]:
    """Our search in "w" or "w_plus", from any start."""

    def run(
        bundle: Bundle,
        x: jax.Array,
        start: Inverted,
        steps: int,
        lr: float,
        lpips: float,
    ) -> Inverted:
        (generator,) = bundle.require("generator")
        w = start.inversion.w_plus
        w = w.mean(1) if space == "w" else w
        first = _render(
            generator, latent_only(w, generator.module.num_ws), x.shape[1:3]
        )
        frozen = closeness.targets(closeness.network(bundle), x), jnp.float32(lpips)
        found = optimize(
            generator,
            x,
            space=space,
            steps=steps,
            lr=lr,
            loss=closeness.weighted,
            frozen=frozen,
            start=w,
        )
        return Inverted(found.inversion, jnp.stack([first, found.image]))

    return run


def released(space: str) -> Callable[..., Inverted]:
    """The projector as released, from the mean of some samples of w."""

    def run(
        bundle: Bundle,
        x: jax.Array,
        steps: int,
        lr: float,
        samples: int,
        l2: float,
        lpips: float,
    ) -> Inverted:
        (generator,) = bundle.require("generator")
        net, size = closeness.network(bundle), x.shape[1:3]
        weights = jnp.float32(l2 if net is not None else 1.0), jnp.float32(lpips)
        frozen = (closeness.targets(net, x), *weights)
        num_ws = generator.module.num_ws
        draws = projector.draw(generator, steps, 1 if space == "w" else num_ws)
        start = projector.statistics(generator, samples)
        found = projector.project(
            generator, _distance, frozen, len(x), size, start, draws, lr
        )
        w = found.w[:, 0] if space == "w" else found.w
        first = jnp.broadcast_to(start.mean, (len(x), len(start.mean)))
        path = [latent_only(w, num_ws) for w in (first, w)]
        images = [_render(generator, inversion, size) for inversion in path]
        return Inverted(path[-1], jnp.stack(images))

    return run


def _distance(frozen, y):
    targets, l2_weight, lpips_weight = frozen
    l2, lpips = closeness.distances(targets, y)
    return l2_weight * l2 + lpips_weight * lpips


def pivotal_tuning(
    bundle: Bundle,
    x: jax.Array,
    start: Inverted,
    steps: int,
    lr: float,
    l2: float,
    lpips: float,
    stop: float,
    locality: bool,
    together: bool,
) -> Inverted:
    """PTI from any inversion: its latent is the pivot, its weights are the start."""
    (generator,) = bundle.require("generator")
    targets = closeness.targets(closeness.network(bundle), x)
    regularizer = pivotal.Locality() if locality else None
    loss = pivotal.Loss(l2, lpips, stop, regularizer)
    weights = _own_weights(generator, start.inversion)
    if together:  # one generator begins with their mean
        weights = {k: v.mean(0, keepdims=True) for k, v in weights.items()}
    tune = pivotal.tune_together if together else pivotal.tune
    w_plus = start.inversion.w_plus
    tuned = tune(
        generator, w_plus, targets, steps=steps, lr=lr, loss=loss, start=weights
    )
    images = jnp.concatenate([start.images[-1:], tuned.image[None]])
    return Inverted(tuned.inversion, images)


def codes(
    bundle: Bundle,
    x: jax.Array,
    num_iters: int,
    steps: int,
    lr: float,
    lr_w: float,
    lpips: float,
) -> Inverted:
    """HyperStyle, then code tuning of what it found."""
    encoder, hypernet, generator = bundle.require("encoder", "hypernet", "generator")
    if not num_iters:
        raise ValueError(
            "code-tuning: num_iters=0: expected 1 or more, to tune its code"
        )
    refined = hyperstyle.compiled(encoder, hypernet, generator, x, num_iters=num_iters)
    tuned = code_tuning.tune(
        hypernet,
        generator,
        refined.w_plus,
        refined.embeddings,
        closeness.targets(closeness.network(bundle), x),
        steps=steps,
        lr=lr,
        lr_w=lr_w,
        lpips=lpips,
    )
    inversion = hyperstyle.decode(hypernet, tuned.w_plus, tuned.embeddings)
    images = jnp.concatenate([refined.images, tuned.image[None]])
    return Inverted(inversion, images)


def _own_weights(generator: Net, inversion: Inversion) -> dict[str, jax.Array]:
    """{path: [B, …]} of what an inversion changes: θ·(1 + Δ), and replaced weights."""
    if not inversion.offsets:
        return dict(inversion.replaced)

    def one(offsets, replaced):
        flat = trees.flatten(apply_offsets(generator.params, offsets, replaced))
        return {path: flat[path] for path in {**offsets, **replaced}}

    return jax.vmap(one)(inversion.offsets, inversion.replaced)


def _render(generator, inversion, size):
    return _render_compiled(generator, inversion, tuple(size))


def _draw(generator, inversion, size):
    return crop_and_pool(synthesize(generator, inversion), size)


_render_compiled = jax.jit(_draw, static_argnums=2)
