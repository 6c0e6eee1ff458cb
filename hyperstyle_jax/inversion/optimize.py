"""Latent optimization inverts images by gradient descent on the latent; it is slow.

In W it is StyleGAN2's projection (https://arxiv.org/abs/1912.04958, appendix D). In W+
(Image2StyleGAN, https://arxiv.org/abs/1904.03189) it is more exact and harder to edit.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax
import jax
import jax.numpy as jnp
import optax

from hyperstyle_jax import losses
from hyperstyle_jax.inversion.cropping import middle_rows
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion, latent_only

# The learning rate rises in this share of the steps at the start, and falls in this
# share at the end.
_LR_RAMPUP_LENGTH, _LR_RAMPDOWN_LENGTH = 0.05, 0.25
# The noise on the latent at the start, relative to the deviation of w; it falls to 0
# in this share of the steps.
_INITIAL_NOISE_FACTOR, _NOISE_RAMP_LENGTH = 0.05, 0.75
# The norm of an image's gradient is limited to so many times its running average, in
# which each new norm has this weight.
_MAX_NORM_RATIO, _NORM_AVERAGE_WEIGHT = 2.0, 0.1

Loss = Callable[[Any, jax.Array, jax.Array], jax.Array]


class OptimizeResult(NamedTuple):
    """The result of `optimize`.

    Attributes:
        inversion: latents without offsets.
        image: [B, H, W, 3] at the size of the targets.
        losses: [steps, B], the loss of each image before each step.
    """

    inversion: Inversion
    image: jax.Array
    losses: jax.Array


@flax.struct.dataclass
class _Setting:
    """What stays the same in all steps of an optimization."""

    generator: Net
    frozen: Any
    x: jax.Array
    w_std: jax.Array
    key: jax.Array
    steps: int | jax.Array
    lr: float | jax.Array


def l2_loss(frozen: Any, y_hat: jax.Array, x: jax.Array) -> jax.Array:
    """Mean squared error [B] of images [B, H, W, 3]; needs no networks."""
    return losses.l2(y_hat, x)


def l2_lpips_loss(net: Net, y_hat: jax.Array, x: jax.Array) -> jax.Array:
    """L2 + 0.8·LPIPS, [B], of images [B, H, W, 3]; `net` is a `models.lpips.LPIPS`."""
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
    """Finds latents that reproduce images, with Adam on limited gradients.

    Args:
        generator: Net of a Generator.
        x: [B, H, W, 3] in [-1, 1]; images of the generator are
            cropped to this aspect ratio and averaged down to H×W.
        space: "w" for one latent for each image, "w_plus" for one for each layer.
        steps: the number of gradient steps; 0 returns the start.
        lr: the largest learning rate; it rises at the start and falls at the end.
        loss: a function (frozen, y_hat, x) → [B], for example `l2_lpips_loss`.
        frozen: the networks that `loss` uses.
        start: [B, D] or [B, L, D]; by default the mean latent.
        seed: of the noise on the latents.

    Returns:
        OptimizeResult; the result of an image does not depend on others in the batch.

    Raises:
        ValueError: an unknown space, or a start that does not fit it.
    """
    if space not in ("w", "w_plus"):
        raise ValueError(f'space {space!r}: expected "w" or "w_plus"')
    w, loss_history = _initial_latents(generator, x.shape[0], space, start), []
    keys = jax.random.split(jax.random.key(seed))
    w_std = _latent_std(generator, keys[0])
    setting = _Setting(generator, frozen, x, w_std, keys[1], steps, lr)
    state = _adam(lr, steps).init(w)
    # A loop in Python and not a scan: one program serves any number of steps, and
    # XLA's CPU backend is slow inside loops. A step for 16 images of 64² takes 0.40 s
    # here and 1.05 s in a scan.
    for step in range(steps):
        w, state, values = _step(setting, w, state, step, loss=loss)
        loss_history.append(values)
    return OptimizeResult(
        latent_only(w, generator.module.num_ws),
        _render(generator, w, x.shape),
        jnp.array(loss_history).reshape(steps, x.shape[0]),
    )


@partial(jax.jit, static_argnames="loss")
def _step(setting: _Setting, w, state, step, *, loss):
    """One step of Adam → new latents, new state, and the loss [B] before it."""
    ramp = jnp.maximum(1.0 - step / (_NOISE_RAMP_LENGTH * setting.steps), 0.0)
    noise = jax.random.normal(jax.random.fold_in(setting.key, step), w.shape[1:])
    noise = _INITIAL_NOISE_FACTOR * setting.w_std * ramp**2 * noise

    def loss_fn(w):
        y = _render(setting.generator, w + noise, setting.x.shape)
        values = loss(setting.frozen, y, setting.x)
        return values.sum(), values

    (_, values), grad = jax.value_and_grad(loss_fn, has_aux=True)(w)
    updates, state = _adam(setting.lr, setting.steps).update(grad, state)
    return optax.apply_updates(w, updates), state, values


def _adam(lr, steps):
    return optax.chain(_limit_gradients(), optax.adam(_learning_rate(lr, steps)))


def _limit_gradients() -> optax.GradientTransformation:
    """Limits the gradient of each image by the running average of its norm.

    Perceptual losses divide features by their length. Where a feature passes zero, a
    single gradient is a thousand times as long as the others. Adam would follow its
    direction for tens of steps, and its estimate of the variance, large for long, would
    make all later steps small.
    """

    def init(w):
        return jnp.zeros(len(w))

    def update(grads, average, params=None):
        norm = jnp.sqrt(jnp.square(grads).sum(tuple(range(1, grads.ndim))))
        average = jnp.where(average == 0, norm, average)
        limited = jnp.minimum(norm, _MAX_NORM_RATIO * average)
        scale = jnp.where(norm > limited, limited / norm, 1.0)
        grads = grads * scale.reshape(-1, *(1,) * (grads.ndim - 1))
        return grads, average + _NORM_AVERAGE_WEIGHT * (limited - average)

    return optax.GradientTransformation(init, update)


def _initial_latents(generator, batch, space, start):
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
def _latent_std(generator, key, samples=2000):
    """The standard deviation of w, averaged over its dimensions."""
    z = jax.random.normal(key, (samples, generator.module.z_dim))
    return generator(z, method="mapping").std(0).mean()


def _learning_rate(lr, steps):
    """StyleGAN2's schedule: a linear rise, a plateau, and half a cosine down."""

    def rate(step):
        t = step / steps
        up = jnp.minimum(1.0, (t + 1 / steps) / _LR_RAMPUP_LENGTH)
        down = jnp.minimum(1.0, (1.0 - t) / _LR_RAMPDOWN_LENGTH)
        return lr * up * (0.5 - 0.5 * jnp.cos(jnp.pi * down))

    return rate


@partial(jax.jit, static_argnames="shape")
def _render(generator, w, shape):
    """The images of latents, cropped and averaged to `shape` [B, H, W, 3]."""
    y = middle_rows(generator(w, method="synthesis"), shape[1:3])
    return y if y.shape == shape else losses.adaptive_pool(y, shape[1:3])
