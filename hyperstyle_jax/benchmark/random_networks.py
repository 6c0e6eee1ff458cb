"""The networks of the release at full width, with random weights."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from hyperstyle_jax import trees
from hyperstyle_jax.models.encoders import WEncoder
from hyperstyle_jax.models.generator import Generator
from hyperstyle_jax.models.hypernet import Hypernet, tuned_layers
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import to_w_plus
from hyperstyle_jax.weights import specs


def random_net(module: nn.Module, inputs: specs.Inputs | None = None) -> Net:
    """A network with random weights, which are drawn one by one.

    Drawing all at once takes twice their memory.
    """
    shapes = trees.flatten(specs.shapes(module, inputs))
    return Net(
        module, trees.unflatten({k: _weight(k, v.shape) for k, v in shapes.items()})
    )


def _weight(path: str, shape):
    """Normal numbers, so small that residual networks without training do not grow."""
    if path.endswith(
        ("var", "affine/bias", "norm/weight", "norm1/weight", "norm2/weight")
    ):
        return jnp.ones(shape)
    if len(shape) < 2 and not path.endswith("noise_const"):
        return jnp.zeros(shape)
    rng = np.random.default_rng(len(path))
    values = _aligned(shape)
    rng.standard_normal(dtype=np.float32, out=values)
    values *= np.float32(np.sqrt(0.2 / np.prod(shape[:-1])))
    return jnp.asarray(values)


def _aligned(shape):
    """Memory that the CPU backend takes over without a copy."""
    raw = np.empty(math.prod(shape) * 4 + 64, np.uint8)
    first = -raw.ctypes.data % 64
    return raw[first : first + math.prod(shape) * 4].view(np.float32).reshape(shape)


def generator(size: int) -> Net:
    """StyleGAN2's generator for images of size × size."""
    return random_net(Generator(size))


def encoder(generator: Net, size: int = 256) -> Net:
    """A W-encoder of images of size × size for a generator."""
    return random_net(WEncoder(generator.module.w_dim), [(size, size, 3)])


def hypernet(generator: Net, size: int = 256) -> Net:
    """The hypernetwork of images of size × size for a generator."""
    return random_net(Hypernet(tuned_layers(generator.module)), [(size, size, 3)] * 2)


def images(batch: int, size: int) -> jax.Array:
    """Images [B, size, size, 3] in [-1, 1]."""
    return jax.random.uniform(jax.random.key(1), (batch, size, size, 3), minval=-1)


def latents(generator: Net, batch: int) -> jax.Array:
    """Latents [B, L, D] with equal rows."""
    w = jax.random.normal(jax.random.key(2), (batch, generator.module.w_dim))
    return to_w_plus(w, generator.module.num_ws)
