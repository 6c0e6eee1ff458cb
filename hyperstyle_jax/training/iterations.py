"""The iterations of a training step of the hypernetwork, with their gradients.

The gradient is computed inside the scan's body: it equals that of the published loop
over detached iterations, and its memory does not grow with T. The gradients of large
matrices stay factors until the optimizer needs them (`factors.py`).
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from hyperstyle_jax import trees
from hyperstyle_jax.data import initial_inversions
from hyperstyle_jax.inversion import cropping, hyperstyle
from hyperstyle_jax.models.hypernet import Hypernet
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion, synthesize, to_w_plus
from hyperstyle_jax.training import common, criteria, factors


class State(NamedTuple):
    """What one iteration of training hands to the next.

    Attributes:
        w_plus: [B, L, D], the same in every iteration.
        offsets: {path: Δ}, added up so far.
        image: [B, h, w, 3], the reconstruction so far.
    """

    w_plus: jax.Array
    offsets: dict[str, jax.Array]
    image: jax.Array


def initial_inversion(
    frozen: dict[str, Net], batch, dtype=jnp.float32
) -> tuple[jax.Array, jax.Array]:
    """`hyperstyle.initial_inversion`, computed or read from the batch.

    Args:
        frozen: with generator and encoder.
        batch: "image" float32 [B, H, W, 3], and where the data set has stored them
            "w" [B, D] and "inversion" (see `data.initial_inversions`).
        dtype: of the feature maps.

    Returns:
        w_plus [B, L, D] and the image [B, H, W, 3], both without gradient.
    """
    generator = frozen["generator"]
    if "w" in batch:
        image = initial_inversions.decode(batch["inversion"])
        return to_w_plus(batch["w"], generator.module.num_ws), image
    x = batch["image"].astype(dtype)
    inverted = hyperstyle.initial_inversion(frozen["encoder"], generator, x)
    return jax.lax.stop_gradient(inverted)


def iteration_loss(
    weights: dict[str, float],
    module: Hypernet,
    frozen: dict[str, Net],
    target,
    params,
    stats,
    state: State,
    grad_probes: dict | None = None,
    *,
    dtype=jnp.float32,
    remat: bool = False,
):
    """The loss of one iteration: λ₂·L2 + λ_lpips·LPIPS + λ_id·L_id + λ_moco·L_moco.

    Args:
        weights: λ by the name of the distance.
        module, params, stats: of the hypernetwork; `params` are differentiated.
        frozen: with the generator and the loss networks.
        target: what `criteria.extract_features` returned.
        state: before the iteration.
        grad_probes: zeros added to the products with large matrices, see `factors`.
        dtype: of the feature maps.
        remat: keep the feature maps of one block at a time, see
            `Generator.synthesis`.

    Returns:
        loss, (new statistics, new state, {name: mean loss}, rows of `factors`).
    """
    x = target[0]
    net = Net(module, {"params": params, "batch_stats": stats})
    embeddings, new = net(
        x.astype(dtype), state.image, train=True, mutable=["batch_stats"]
    )
    embeddings = hyperstyle.single_iteration(module, embeddings)
    probes = {"grad_probes": grad_probes} if grad_probes else {}
    probed = Net(module, {"params": params} | probes)
    deltas, rows = probed(embeddings, 1, method="decode", mutable=["rows"])
    offsets = {k: state.offsets[k] + delta for k, delta in deltas.items()}
    inversion = Inversion(state.w_plus, offsets)
    y = synthesize(frozen["generator"], inversion, dtype=dtype, remat=remat)
    y = cropping.crop_and_pool(y, x.shape[1:3])
    distances = criteria.distances(frozen, y, target, dtype)
    loss = criteria.weighted(weights, distances).mean()
    means = {name: value.mean() for name, value in distances.items()} | {"loss": loss}
    state = State(state.w_plus, offsets, y)
    return loss, (new["batch_stats"], state, means, rows.get("rows", {}))


class Iterations(NamedTuple):
    """The result of T iterations.

    Attributes:
        grads: summed over the iterations, without those in `factors`.
        factors: {path: Factors} with leading axis T, of the other gradients.
        stats, state: after the last iteration.
        losses: {name: [T]}.
    """

    grads: dict
    factors: dict[str, factors.Factors]
    stats: dict
    state: State
    losses: dict[str, jax.Array]


def run_iterations(
    loss_fn: Callable, hypernet: Net, start: State, num_iters: int, scanned=None
) -> Iterations:
    """Runs T iterations and computes the gradient of each one's loss.

    Args:
        loss_fn: `iteration_loss` with all its arguments before `params` given.
        hypernet: whose parameters are differentiated.
        start: the initial inversion without offsets.
        num_iters: T.
        scanned: as in `common.loop`.
    """
    params, stats = hypernet.params, hypernet.variables["batch_stats"]
    probes = _zero_grad_probes(hypernet, len(start.w_plus))
    gradient = jax.value_and_grad(loss_fn, argnums=(0, 3), has_aux=True)

    def body(carry, _):
        state, stats, total = carry
        (_, aux), (grads, deltas) = gradient(params, stats, state, probes)
        stats, state, losses, rows = aux
        large = factors.pair(rows, deltas)
        grads = jax.tree.map(jnp.add, total, factors.without(grads, large))
        state = jax.lax.stop_gradient(state)
        state = state._replace(image=_depending_on(state.image, (grads, large)))
        return (state, stats, grads), (losses, large)

    total = jax.tree.map(jnp.zeros_like, factors.without(params, trees.flatten(probes)))
    carry = (start, stats, total)
    carry, (losses, large) = common.loop(body, carry, None, num_iters, scanned)
    state, stats, grads = carry
    return Iterations(grads, large, stats, state, losses)


def _depending_on(x, gradients):
    """x, as a value that XLA cannot use before it has computed the gradients.

    On a CPU XLA would otherwise render the next iteration before the gradients of this
    one, and keep the feature maps of both; it ignores barriers. Where a gradient is not
    finite the result is not finite either: that step is skipped.
    """
    return x + 0.0 * sum(leaf.ravel()[0] for leaf in jax.tree.leaves(gradients))


def _zero_grad_probes(hypernet: Net, batch: int) -> dict:
    """Zeros in the shapes of the products with large matrices."""
    module = hypernet.module
    embeddings = hyperstyle.no_embeddings(module, batch, 1)
    decode = partial(hypernet, num_iters=1, method="decode", mutable=["grad_probes"])
    _, shapes = jax.eval_shape(decode, embeddings)
    probes = shapes.get("grad_probes", {})
    return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), probes)


def no_offsets(module: Hypernet, batch: int) -> dict[str, jax.Array]:
    """Zero offsets {path: [B, I, O] or [B, K, K, I, O]} of every tuned layer.

    The shapes are those of the decoders' outputs.
    """
    offsets = {}
    for layer in module.tuned_layers:
        shared = layer.kind == "shared" and module.shared_kernel
        taps = 2 * (layer.kernel,) if shared or layer.kind == "separable" else ()
        shape = (batch, *taps, layer.in_channels, layer.out_channels)
        offsets[layer.path] = jnp.zeros(shape)
    return offsets
