"""One training iteration of an encoder to W+, and ReStyle's several, with gradients.

ReStyle (https://arxiv.org/abs/2104.02699) computes a loss and its gradient in every
iteration. Latents and image are detached in between, the gradients are added up.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from hyperstyle_jax.inversion.cropping import crop_and_pool
from hyperstyle_jax.models.encoders import StyleEncoder
from hyperstyle_jax.net import Net
from hyperstyle_jax.training import common, criteria, latent_losses


class State(NamedTuple):
    """What an iteration begins with.

    Attributes:
        latents: [L, D] or [B, L, D], what the encoder's rows are added to.
        image: [B, h, w, 3], the reconstruction that ReStyle's encoder sees beside the
            target; None for pSp and e4e, which see none.
    """

    latents: jax.Array
    image: jax.Array | None


class Targets(NamedTuple):
    """What reconstructions are compared with, see `criteria`.

    Attributes:
        whole: of the images.
        face: of their middle; None where no loss asks for it.
    """

    whole: tuple
    face: tuple | None


class Encoded(NamedTuple):
    """Beside the loss of one iteration.

    Attributes:
        stats: the new statistics of batch normalization.
        state: latents and image after it.
        losses: {name: mean over the batch}, and "loss", their weighted sum.
    """

    stats: dict
    state: State
    losses: dict[str, jax.Array]


def mean_latent(generator: Net) -> jax.Array:
    """The mean latent for every layer, [L, D]: where all encoders start."""
    w_avg = generator.variables["buffers"]["mapping"]["w_avg"]
    return jnp.broadcast_to(w_avg, (generator.module.num_ws, *w_avg.shape))


def start(generator: Net, x: jax.Array, sees_image: bool, dtype=jnp.float32) -> State:
    """The mean latent, and for ReStyle its image.

    Args:
        generator: whose latents the encoder predicts.
        x: the targets [B, h, w, 3].
        sees_image: whether the encoder is one of ReStyle's.
        dtype: of the generator's feature maps.
    """
    latents = mean_latent(generator)
    if not sees_image:
        return State(latents, None)
    image = generator(latents[None], method="synthesis", dtype=dtype)
    image = jnp.broadcast_to(crop_and_pool(image, x.shape[1:3]), x.shape)
    repeated = jnp.broadcast_to(latents, (len(x), *latents.shape))
    return State(repeated, image.astype(jnp.float32))


def targets(
    weights: dict[str, float], frozen: dict[str, Net], x: jax.Array, dtype=jnp.float32
) -> Targets:
    """What the losses with a weight need of the targets x [B, h, w, 3]."""
    cropped = weights["l2_crop"] or weights["lpips_crop"]
    face = criteria.crop_target(frozen, x, dtype) if cropped else None
    return Targets(criteria.extract_features(frozen, x, dtype), face)


def encode(
    module: StyleEncoder, params, stats, x: jax.Array, state: State, stage, dtype
) -> tuple[jax.Array, dict]:
    """The latents of targets in training, and the new statistics.

    Args:
        module, params, stats: of the encoder.
        x: [B, h, w, 3] in [-1, 1].
        state: before the iteration.
        stage: rows 1 … stage differ from row 0, see `StyleEncoder`.
        dtype: of the encoder's feature maps.

    Returns:
        w_plus float32 [B, L, D], and the statistics of batch normalization.
    """
    seen = x if state.image is None else jnp.concatenate([x, state.image], -1)
    unused = {"latent_avg": jnp.zeros((module.num_ws, module.w_dim))}
    net = Net(module, {"params": params, "batch_stats": stats, "buffers": unused})
    latents, new = net(
        seen.astype(dtype), state.latents, stage, train=True, mutable=["batch_stats"]
    )
    return latents.astype(jnp.float32), new["batch_stats"]


def rendered(
    weights: dict[str, float],
    frozen: dict[str, Net],
    target: Targets,
    latents: jax.Array,
    stage,
    discriminator: dict | None,
    *,
    dtype=jnp.float32,
    remat: bool = False,
):
    """The loss of latents: of the image that they render, and of their own.

    Args:
        weights: λ by the name of the loss.
        frozen: with the generator and the loss networks.
        target: what `targets` returned.
        latents: w_plus [B, L, D].
        stage: rows 0 … stage count.
        discriminator: parameters of the latent discriminator, where it has a weight.
        dtype: of the feature maps.
        remat: keep the feature maps of one block at a time.

    Returns:
        The loss, ([B, h, w, 3], {name: mean over the batch}).
    """
    generator = frozen["generator"]
    y = generator(latents, method="synthesis", dtype=dtype, remat=remat)
    y = crop_and_pool(y, target.whole[0].shape[1:3])
    distances = criteria.distances(frozen, y, target.whole, dtype)
    if target.face is not None:
        distances |= criteria.crop_distances(frozen, y, target.face, dtype)
    w_avg = mean_latent(generator)[0]
    terms = {name: value.mean() for name, value in distances.items()}
    terms |= latent_losses.w_plus_losses(weights, latents, w_avg, stage, discriminator)
    loss = sum(weights[name] * value for name, value in terms.items())
    return loss, (y, terms | {"loss": loss})


class Iterations(NamedTuple):
    """The result of `run`.

    Attributes:
        grads: of the encoder's parameters, summed over the iterations.
        stats: of batch normalization, after the last one.
        losses: {name: [T]}.
    """

    grads: dict
    stats: dict
    losses: dict[str, jax.Array]


def run(
    encode: Callable,
    render: Callable,
    params,
    stats,
    first: State,
    num_iters: int,
    scanned: bool | None = None,
) -> Iterations:
    """Runs T iterations and computes the gradient of each one's loss.

    Args:
        encode: (params, stats, state) → (latents, stats), see `encode`.
        render: latents → (loss, (image, losses)), see `rendered`.
        params, stats: of the encoder.
        first: of `start`.
        num_iters: T.
        scanned: as in `common.loop`.
    """

    def loss(params, stats, state):
        latents, stats = encode(params, stats, state)
        value, (y, losses) = render(latents)
        after = State(latents, None if state.image is None else y.astype(jnp.float32))
        return value, Encoded(stats, after, losses)

    def body(carry, _):
        state, stats, total = carry
        grads, encoded = jax.grad(loss, has_aux=True)(params, stats, state)
        state = jax.lax.stop_gradient(encoded.state)
        total = jax.tree.map(jnp.add, total, grads)
        return (state, encoded.stats, total), encoded.losses

    zeros = jax.tree.map(jnp.zeros_like, params)
    if first.image is None:  # pSp and e4e: one iteration, whatever it starts from
        (_, stats, grads), losses = body((first, stats, zeros), None)
        return Iterations(grads, stats, jax.tree.map(lambda v: v[None], losses))
    carry = (first, stats, zeros)
    (_, stats, grads), losses = common.loop(body, carry, None, num_iters, scanned)
    return Iterations(grads, stats, losses)
