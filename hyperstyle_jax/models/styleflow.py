"""StyleFlow's network: a continuous normalizing flow of latents, given attributes.

https://arxiv.org/abs/2008.02401. A latent w is normalized, carried by an ordinary
differential equation dx/dt = f(t, x, attributes) from t = 0 to T, and normalized again;
where it arrives is z, normally distributed whatever the attributes are. This file has
f and the normalizations; `editing.styleflow` follows the equation.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

_EPSILON = 1e-4
_LECUN_NORMAL = nn.initializers.lecun_normal()


class StyleFlow(nn.Module):
    """The flow of latents [..., D] with A attributes.

    Attributes:
        w_dim: D.
        attributes: names of the A attributes that latents are given with, in order.
        rows: for each attribute the first and the last row of w+ that its edits may
            change, as (0, 7); empty: all rows.
        stds: standard deviation of each attribute among the images of the training;
            empty: not known.
        widths: of the hidden layers.
    """

    w_dim: int
    attributes: Sequence[str]
    rows: Sequence[Sequence[int]] = ()
    stds: Sequence[float] = ()
    widths: Sequence[int] = (512,) * 5

    def setup(self):
        """Builds the layers of f, and the normalizations before and after."""
        self.norm_in = MovingNorm(self.w_dim)
        self.norm_out = MovingNorm(self.w_dim)
        self.hidden = [ConcatSquash(width) for width in self.widths]
        # At first nothing moves: an untrained flow is the identity.
        self.output = ConcatSquash(self.w_dim, zeros=True)
        self.sqrt_end_time = self.param("sqrt_end_time", nn.initializers.ones, ())

    def velocity(
        self, time: jax.Array, x: jax.Array, attributes: jax.Array
    ) -> jax.Array:
        """f: how fast x [..., D] moves at a time.

        Args:
            time: t, a number.
            x: [..., D].
            attributes: [A] or [..., A], in their own units, not normalized.
        """
        shape = (*x.shape[:-1], attributes.shape[-1])
        attributes = jnp.broadcast_to(attributes, shape)
        times = jnp.broadcast_to(time, (*shape[:-1], 1))
        context = jnp.concatenate([times, attributes], -1)
        for layer in self.hidden:
            x = jnp.tanh(layer(x, context))
        return self.output(x, context)

    def end_time(self) -> jax.Array:
        """T."""
        return jnp.square(self.sqrt_end_time)

    def enter(self, w: jax.Array) -> jax.Array:
        """w [..., D] → x at t = 0."""
        return self.norm_in(w)

    def leave(self, x: jax.Array) -> jax.Array:
        """x [..., D] at t = T → z."""
        return self.norm_out(x)

    def enter_back(self, z: jax.Array) -> jax.Array:
        """z [..., D] → x at t = T."""
        return self.norm_out.invert(z)

    def leave_back(self, x: jax.Array) -> jax.Array:
        """x [..., D] at t = 0 → w."""
        return self.norm_in.invert(x)

    def log_volume(self) -> jax.Array:
        """log |det| of both normalizations, a number."""
        return self.norm_in.log_volume() + self.norm_out.log_volume()

    def initialize(self, w: jax.Array, attributes: jax.Array) -> jax.Array:
        """Touches every parameter, for `init`."""
        x = self.velocity(jnp.zeros(()), self.enter(w), attributes)
        return self.leave(x) + self.end_time()


class ConcatSquash(nn.Module):
    """A linear layer whose output the context scales and shifts.

    (x·W + b)·σ(c·G + g) + c·S. Where W and S start at zero, so does the output.
    """

    features: int
    zeros: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, context: jax.Array) -> jax.Array:
        """x [..., I] and context [..., C] → [..., O]."""
        zeros, out = nn.initializers.zeros, self.features
        init = zeros if self.zeros else _LECUN_NORMAL
        size = context.shape[-1]
        weight = self.param("weight", init, (x.shape[-1], out))
        bias = self.param("bias", zeros, (out,))
        gate = self.param("gate_weight", _LECUN_NORMAL, (size, out))
        gate_bias = self.param("gate_bias", zeros, (out,))
        shift = self.param("shift_weight", init, (size, out))
        scale = nn.sigmoid(context @ gate + gate_bias)
        return (x @ weight + bias) * scale + context @ shift


class MovingNorm(nn.Module):
    """(x − mean) / √(var + ε) · exp(weight) + bias, with running mean and variance.

    They are used in training too, so each latent is carried by itself.
    """

    features: int

    def setup(self):
        """Makes the parameters and the running statistics."""
        shape = (self.features,)
        self.weight = self.param("weight", nn.initializers.zeros, shape)
        self.bias = self.param("bias", nn.initializers.zeros, shape)
        self.mean = self.variable("batch_stats", "mean", jnp.zeros, shape)
        self.var = self.variable("batch_stats", "var", jnp.ones, shape)

    def __call__(self, x: jax.Array) -> jax.Array:
        """x [..., D] → [..., D]."""
        return (x - self.mean.value) * jnp.exp(self._log_scale()) + self.bias

    def invert(self, y: jax.Array) -> jax.Array:
        """The x that gives y [..., D]."""
        return (y - self.bias) * jnp.exp(-self._log_scale()) + self.mean.value

    def log_volume(self) -> jax.Array:
        """log |det| of the map, a number."""
        return self._log_scale().sum()

    def _log_scale(self):
        return self.weight - 0.5 * jnp.log(self.var.value + _EPSILON)
