"""The parts of the hypernetwork after its trunk: embeddings, and offsets from them.

Shared and channel-wise decoders are affine in the embedding, so that the sum of the
offsets of several iterations follows from the sum of their embeddings; the separable
decoder is bilinear. https://arxiv.org/abs/2111.15666, section 4.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from hyperstyle_jax.models.resnet import Conv

_SLOPE = 0.01


class Embedder(nn.Module):
    """Features of the trunk [B, h, w, F] → the embedding of a layer [B, C]."""

    inner: int
    embedding_dim: int
    kind: str

    @nn.compact
    def __call__(self, x):
        size = max(1, math.ceil(math.log2(max(x.shape[1:3]))))
        if self.kind == "shared":
            strides = [1] + [2] * size
        elif self.kind == "channel":
            strides = [2] * max(2, size - 1)
        else:
            strides = [2] * max(2, size)
        for i, stride in enumerate(strides):
            width = self.embedding_dim if i == len(strides) - 1 else self.inner
            conv = Conv(width, 3, stride, use_bias=True, name=f"conv{i}")
            x = nn.leaky_relu(conv(x), _SLOPE)
        return x.mean((1, 2))


class LinearEmbedding(nn.Module):
    """An equalized linear layer whose bias counts once for each iteration."""

    features: int

    @nn.compact
    def __call__(self, x, num_iters):
        shape = (x.shape[-1], self.features)
        weight = self.param("weight", nn.initializers.normal(1.0), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return x @ (weight * (1 / math.sqrt(shape[0]))) + num_iters * bias


class SharedDecoder(nn.Module):
    """The pair of matrices that all layers of the widest shape share.

    The offsets of fresh weights are near zero, since the second matrix is small.
    """

    embedding_dim: int
    hidden: int
    width: int
    kernel: int

    @nn.compact
    def __call__(self, embeddings, num_iters):
        """[B, N, C] → [B, N, K, K, I, O], or [B, N, I, O] for kernel 1."""
        k, s, z = self.kernel, self.width, self.hidden
        normal = nn.initializers.normal(1 / 40)
        w2 = self.param("w2", normal, (self.embedding_dim, s, z))
        b2 = self.param("b2", normal, (s, z))
        w1 = self.param("w1", nn.initializers.normal(1e-3), (z, k, k, s))
        b1 = self.param("b1", nn.initializers.zeros, (k, k, s))
        hidden = _product(self, embeddings, "w2", w2) + num_iters * b2
        out = jnp.einsum("bnoz,zkli->bnklio", hidden, w1)
        out = out + num_iters * b1[..., None]
        return out[:, :, 0, 0] if k == 1 else out


class ChannelDecoder(nn.Module):
    """One number for each channel pair, affine in the embedding, near zero at first."""

    embedding_dim: int
    in_channels: int
    out_channels: int
    kernel: int

    @nn.compact
    def __call__(self, embedding, num_iters):
        """[B, C] → [B, I, O]."""
        shape = (self.embedding_dim, self.in_channels, self.out_channels)
        weight = self.param("weight", nn.initializers.normal(1e-3), shape)
        bias = self.param("bias", nn.initializers.zeros, shape[1:])
        return _product(self, embedding, "weight", weight) + num_iters * bias


def _product(module, x, name, weight):
    """`product`, from whose two sides training makes the gradient of `weight`.

    The collection "rows" gets x. The collection "grad_probes", zeros added to the
    result, gets the gradient δ of the result: Σ xᵀ·δ over all iterations is then one
    product (`training/factors.py`).
    """
    module.sow("rows", name, x, reduce_fn=lambda _, new: new, init_fn=lambda: None)
    return module.perturb(name, product(x, weight), "grad_probes")


# The large matrices. The gradient comes in the order of the weight: JAX's own is
# transposed afterwards, which takes as much memory again.
@jax.custom_vjp
def product(x, weight):
    """x [..., C] times weight [C, ...]."""
    return jnp.tensordot(x, weight, 1)


def _product_bwd(residuals, g):
    x, weight = residuals
    rows = g.reshape(math.prod(x.shape[:-1]), -1)
    matrix = weight.reshape(len(weight), -1)
    dx = jax.lax.dot_general(rows, matrix, (((1,), (1,)), ((), ())))
    return dx.reshape(x.shape), product_gradient(x, g)


def product_gradient(x, g):
    """The gradient of `product` by its weight: Σ xᵀ·g over all leading axes, [C, …]."""
    flat = x.reshape(-1, x.shape[-1])
    rows = g.reshape(len(flat), -1)
    dweight = jax.lax.dot_general(flat, rows, (((0,), (0,)), ((), ())))
    return dweight.reshape(-1, *g.shape[x.ndim - 1 :])


product.defvjp(lambda x, weight: (product(x, weight), (x, weight)), _product_bwd)


class SeparableDecoder(nn.Module):
    """The outer product of two vectors for each tap, then a matrix on each side."""

    embedding_dim: int
    in_channels: int
    out_channels: int
    kernel: int

    @nn.compact
    def __call__(self, embeddings, num_iters):
        """[B, T, C] of single iterations → their sum [B, K, K, I, O]."""
        k, i, o = self.kernel, self.in_channels, self.out_channels
        left = _Affine((k, k, i), 0.02, name="left")(embeddings)
        right = _Affine((k, k, o), 0.02, name="right")(embeddings)
        done = (jnp.arange(embeddings.shape[1]) < num_iters).astype(embeddings.dtype)
        outer = jnp.einsum("t,btkli,btklo->bklio", done, left, right)
        # The same matrices for every tap and iteration: linear, so applied to the sum.
        w, b = _Affine((i,), 0.1, name="mix_in").matrix(i)
        outer = jnp.einsum("bklio,ij->bkljo", outer, w)
        outer = outer + num_iters * b[:, None]
        w, b = _Affine((o,), 0.1, name="mix_out").matrix(o)
        return outer @ w + num_iters * b


class _Affine(nn.Module):
    """[…, C] → […, *shape]."""

    shape: Sequence[int]
    scale: float

    @nn.compact
    def matrix(self, fan_in: int) -> tuple[jax.Array, jax.Array]:
        init = nn.initializers.normal(self.scale)
        weight = self.param("weight", init, (fan_in, *self.shape))
        return weight, self.param("bias", nn.initializers.zeros, tuple(self.shape))

    def __call__(self, x):
        weight, bias = self.matrix(x.shape[-1])
        return jnp.tensordot(x, weight, 1) + bias
