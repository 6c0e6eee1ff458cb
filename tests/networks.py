"""Small networks with NumPy's random weights: nothing to compile, nothing to train."""

import jax.numpy as jnp
import numpy as np

from hyperstyle_jax import build, trees
from hyperstyle_jax.models.generator import Generator
from hyperstyle_jax.net import Net


def random_net(module, seed=0, inputs=None) -> Net:
    """Normal weights, biases and buffers; variances are positive."""
    rng = np.random.default_rng(seed)
    flat = {}
    for path, shape in trees.flatten(build.shapes(module, inputs)).items():
        value = rng.normal(size=shape.shape).astype(np.float32)
        if path.endswith(("bias", "w_avg", "latent_avg", "mean", "noise_strength")):
            value = 0.1 * value
        if path.endswith("var"):
            value = 1.0 + 0.1 * value**2
        if path.endswith("affine/bias"):
            value = 1.0 + value
        flat[path] = jnp.asarray(value)
    return Net(module, trees.unflatten(flat))


def tiny_generator(resolution=8, seed=0) -> Net:
    module = Generator(
        resolution, z_dim=4, w_dim=6, channel_base=8 * resolution, channel_max=8
    )
    return random_net(module, seed)
