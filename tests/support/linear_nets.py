"""Networks so simple that the best inversion is known: all of them are linear."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from hyperstyle_jax.net import Net
from hyperstyle_jax.weights.bundle import Bundle

SIZE, ROWS, DIM = 2, 2, 6
PATH = "synthesis/b4/conv1/weight"
_PIXELS, _CODE = SIZE * SIZE * 3, 5


class LinearGenerator(nn.Module):
    """The image of w+ is the mean of its rows times a matrix [6, 12]."""

    resolution: int = SIZE
    num_ws: int = ROWS
    w_dim: int = DIM
    z_dim: int = DIM

    def mapping(self, z):
        return z + self.variables["buffers"]["mapping"]["w_avg"]

    def synthesis(self, w_plus, noise="const", dtype=jnp.float32):
        w = w_plus if w_plus.ndim == 2 else w_plus.mean(1)
        matrix = self.variables["params"]["synthesis"]["b4"]["conv1"]["weight"]
        return (w @ matrix).reshape(-1, SIZE, SIZE, 3)

    def truncate(self, w, psi=1.0):
        w_avg = self.variables["buffers"]["mapping"]["w_avg"]
        return w_avg + psi * (w - w_avg)


class LinearHypernet(nn.Module):
    """An embedding of 5 numbers of the difference; offsets are a matrix times it."""

    embedding_dim: int = _CODE
    tuned_layers = (SimpleNamespace(path=PATH, kind="channel"),)

    def __call__(self, x, y_hat):
        flat = (x - y_hat).reshape(len(x), -1)
        return {PATH: flat @ self.variables["params"]["embed"]}

    def decode(self, embeddings, num_iters=1):
        matrix = self.variables["params"]["matrix"]
        return {PATH: (embeddings[PATH] @ matrix).reshape(-1, DIM, _PIXELS)}


class LinearEncoder(nn.Module):
    """w [B, 6] or w+ [B, 2, 6] is a matrix times the image, added to a latent."""

    rows: int = 1

    def __call__(self, x, latent=None):
        w = x.reshape(len(x), -1) @ self.variables["params"]["matrix"]
        if self.rows == 1:
            return w
        start = self.variables["buffers"]["latent_avg"] if latent is None else latent
        return w.reshape(-1, self.rows, DIM) + start


def _draw(seed, *shape, scale=1.0):
    values = np.random.default_rng(seed).normal(size=shape)
    return jnp.asarray(scale * values, jnp.float32)


def linear_generator() -> Net:
    params = {"synthesis": {"b4": {"conv1": {"weight": _draw(0, DIM, _PIXELS)}}}}
    noise = {"b4": {"conv1": {"noise_const": _draw(1, 16, 16)}}}
    buffers = {"mapping": {"w_avg": _draw(2, DIM, scale=0.1)}, "synthesis": noise}
    return Net(LinearGenerator(), {"params": params, "buffers": buffers})


def linear_hypernet() -> Net:
    matrix = _draw(3, _CODE, DIM * _PIXELS, scale=0.3)
    embed = _draw(4, _PIXELS, _CODE, scale=0.1)
    return Net(LinearHypernet(), {"params": {"matrix": matrix, "embed": embed}})


def _encoder(rows, channels=3, seed=5) -> Net:
    inputs = SIZE * SIZE * channels
    params = {"matrix": _draw(seed, inputs, rows * DIM, scale=0.2)}
    buffers = {"latent_avg": _draw(6, ROWS, DIM)}
    return Net(LinearEncoder(rows), {"params": params, "buffers": buffers})


def linear_bundle() -> Bundle:
    """All networks that inversion methods use; none compares images."""
    nets = {"generator": linear_generator(), "hypernet": linear_hypernet()}
    nets |= {"encoder": _encoder(1), "psp": _encoder(ROWS), "e4e": _encoder(ROWS)}
    nets |= {f"restyle_{k}": _encoder(ROWS, 6) for k in ("psp", "e4e")}
    return Bundle(nets, {"image_size": SIZE, "num_iters": 2}, {}, "linear")


def pictures(count: int = 2) -> jnp.ndarray:
    values = np.random.default_rng(2).uniform(-1, 1, (count, SIZE, SIZE, 3))
    return jnp.asarray(values, jnp.float32)
