"""Latent optimization: a search of the latent itself, slow, with nothing learned.

StyleGAN2's projection (https://arxiv.org/abs/1912.04958, appendix D) in W or, more
expressive and harder to edit, in W+ (Image2StyleGAN, https://arxiv.org/abs/1904.03189).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax
import jax
import jax.numpy as jnp
import optax

from hyperstyle_jax import losses
from hyperstyle_jax.inversion.hyperstyle import middle_rows
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion, latent_only

# The shares of all steps in which the step size rises and falls.
_RAMP_UP, _RAMP_DOWN = 0.05, 0.25
# The norm of an image's gradient counts for at most `_LARGEST` times its running
# average, in which each new norm has the weight `_SHARE`.
_LARGEST, _SHARE = 2.0, 0.1
# Noise on the latent, relative to the spread of w; it is 0 from this share of steps on.
_NOISE, _NOISE_SHARE = 0.05, 0.75

Loss = Callable[[Any, jax.Array, jax.Array], jax.Array]


class OptimizeResult(NamedTuple):
    """The inversion, its image, and the loss before every step.

    Attributes:
        inversion: latents without offsets.
        image: [B, H, W, 3] at the size of the targets.
        losses: [steps, B].
    """

    inversion: Inversion
    image: jax.Array
    losses: jax.Array


@flax.struct.dataclass
class _Search:
    """What stays the same in all steps of a search."""

    generator: Net
    frozen: Any
    x: jax.Array
    spread: jax.Array
    key: jax.Array
    steps: jax.Array
    lr: jax.Array


def l2_loss(frozen, y_hat: jax.Array, x: jax.Array) -> jax.Array:
    """Mean squared error, [B]."""
    return losses.l2(y_hat, x)


def l2_lpips_loss(net: Net, y_hat: jax.Array, x: jax.Array) -> jax.Array:
    """L2 + 0.8·LPIPS, [B]; `net` is a `models.lpips.LPIPS`."""
    return losses.l2(y_hat, x) + 0.8 * losses.lpips(net, y_hat, x)


def optimize(
    generator: Net,
    x: jax.Array,
    *,
    space: str = "w_plus",
    steps: int = 500,
    lr: float = 0.1,
    loss: Loss = l2_loss,
    frozen: Any = None,
    start: jax.Array | None = None,
    seed: int = 0,
) -> OptimizeResult:
    """Searches the latents that reproduce images, with Adam on steadied gradients.

    Args:
        generator: Net of a Generator.
        x: [B, H, W, 3] in [-1, 1]; images of the generator are
            cropped to this aspect ratio and averaged down to H×W.
        space: "w" for one latent per image, "w_plus" for one per layer.
        steps: how many gradient steps; 0 returns the start.
        lr: the largest step size; it is ramped up at the start and down at the end.
        loss: (frozen, y_hat, x) → [B], for example `l2_lpips_loss`.
        frozen: the networks that `loss` uses.
        start: [B, D] or [B, L, D]; the mean latent if not given.
        seed: of the noise on the latents while searching.

    Returns:
        OptimizeResult; an image's result does not depend on the others in the batch.

    Raises:
        ValueError: unknown space, or a start that does not fit it.
    """
    if space not in ("w", "w_plus"):
        raise ValueError(f'space {space!r}: expected "w" or "w_plus"')
    w, history = _start(generator, x.shape[0], space, start), []
    keys = jax.random.split(jax.random.key(seed))
    spread = _spread(generator, keys[0])
    search = _Search(generator, frozen, x, spread, keys[1], steps, lr)
    state = _adam(lr, steps).init(w)
    # A loop in Python and no scan: one program serves any number of steps, and XLA's
    # CPU backend is slow inside loops (64², 16 images: 1.05 s a step instead of 0.40).
    for step in range(steps):
        w, state, values = _step(search, w, state, step, loss=loss)
        history.append(values)
    return OptimizeResult(
        latent_only(w, generator.module.num_ws),
        _render(generator, w, x.shape),
        jnp.array(history).reshape(steps, x.shape[0]),
    )


@partial(jax.jit, static_argnames="loss")
def _step(search: _Search, w, state, step, *, loss):
    left = jnp.maximum(1.0 - step / (_NOISE_SHARE * search.steps), 0.0)
    draw = jax.random.normal(jax.random.fold_in(search.key, step), w.shape[1:])
    noise = _NOISE * search.spread * left**2 * draw

    def loss_fn(w):
        y = _render(search.generator, w + noise, search.x.shape)
        values = loss(search.frozen, y, search.x)
        return values.sum(), values

    (_, values), grad = jax.value_and_grad(loss_fn, has_aux=True)(w)
    updates, state = _adam(search.lr, search.steps).update(grad, state)
    return optax.apply_updates(w, updates), state, values


def _adam(lr, steps):
    return optax.chain(_steadied(), optax.adam(_schedule(lr, steps)))


def _steadied() -> optax.GradientTransformation:
    """Limits the gradient of each image by what is usual for it.

    Perceptual losses divide features by their length. Where one passes zero, a single
    gradient is a thousand times the others. Adam would walk on in its direction for
    tens of steps, while its variance, large for long, silences all that come after.
    """

    def init(w):
        return jnp.zeros(len(w))

    def update(grads, usual, params=None):
        norm = jnp.sqrt(jnp.square(grads).sum(tuple(range(1, grads.ndim))))
        usual = jnp.where(usual == 0, norm, usual)
        counted = jnp.minimum(norm, _LARGEST * usual)
        scale = jnp.where(norm > counted, counted / norm, 1.0)
        grads = grads * scale.reshape(-1, *(1,) * (grads.ndim - 1))
        return grads, usual + _SHARE * (counted - usual)

    return optax.GradientTransformation(init, update)


def _start(generator, batch, space, start):
    module = generator.module
    rows = (module.num_ws,) if space == "w_plus" else ()
    shape = (batch, *rows, module.w_dim)
    if start is None:
        start = generator.variables["buffers"]["mapping"]["w_avg"]
    elif start.ndim == 2 and space == "w_plus":
        start = start[:, None]
    try:
        return jnp.broadcast_to(start, shape)
    except ValueError:
        raise ValueError(f"start of shape {start.shape}: expected {shape}") from None


@partial(jax.jit, static_argnames="samples")
def _spread(generator, key, samples=2000):
    """Root mean square distance of w from its mean, per dimension."""
    z = jax.random.normal(key, (samples, generator.module.z_dim))
    return generator(z, method="mapping").std(0).mean()


def _schedule(lr, steps):
    def rate(step):
        t = step / steps
        up = jnp.minimum(1.0, (t + 1 / steps) / _RAMP_UP)
        down = jnp.minimum(1.0, (1.0 - t) / _RAMP_DOWN)
        return lr * up * (0.5 - 0.5 * jnp.cos(jnp.pi * down))

    return rate


@partial(jax.jit, static_argnames="shape")
def _render(generator, w, shape):
    y = middle_rows(generator(w, method="synthesis"), shape[1:3])
    return y if y.shape == shape else losses.adaptive_pool(y, shape[1:3])
