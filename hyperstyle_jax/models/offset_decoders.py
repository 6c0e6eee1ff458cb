"""The hypernetwork's layers after its trunk: embedders, and decoders of offsets.

https://arxiv.org/abs/2111.15666, section 4. The shared and the channel-wise decoder are
affine in the embedding: the sum of the offsets of T iterations is what they decode from
the sum of the embeddings, with T times the biases. The separable decoder is bilinear
and needs the embedding of each iteration.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from hyperstyle_jax.models.layers import Conv

_NEGATIVE_SLOPE = 0.01  # of the released blocks; StyleGAN2's own is 0.2


class Embedder(nn.Module):
    """Convolutions that make a layer's embedding of the trunk's features.

    Attributes:
        inner: channels of all convolutions but the last.
        embedding_dim: C.
        kind: of the layer, see `TunedLayer`; it decides how often the size is halved.
    """

    inner: int
    embedding_dim: int
    kind: str

    @nn.compact
    def __call__(self, x):
        """Features [B, h, w, F] → the embedding [B, C]."""
        halvings = max(1, math.ceil(math.log2(max(x.shape[1:3]))))  # to one pixel
        if self.kind == "shared":
            strides = [1] + [2] * halvings
        elif self.kind == "channel":
            strides = [2] * max(2, halvings - 1)
        else:
            strides = [2] * max(2, halvings)
        for i, stride in enumerate(strides):
            width = self.embedding_dim if i == len(strides) - 1 else self.inner
            conv = Conv(width, 3, stride, use_bias=True, name=f"conv{i}")
            x = nn.leaky_relu(conv(x), _NEGATIVE_SLOPE)
        return x.mean((1, 2))


class LinearEmbedding(nn.Module):
    """An equalized linear layer of summed embeddings: x·W/√C + T·b."""

    features: int

    @nn.compact
    def __call__(self, x, num_iters):
        """The sum x [B, C] over T = `num_iters` iterations → [B, O]."""
        shape = (x.shape[-1], self.features)
        weight = self.param("weight", nn.initializers.normal(1.0), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return x @ (weight * (1 / math.sqrt(shape[0]))) + num_iters * bias


class SharedDecoder(nn.Module):
    """The pair of matrices that decodes all layers of the widest shape S → S.

    The first makes Z numbers for each output channel, the second K·K·S of these. The
    offsets of fresh weights are near zero, since the second matrix is small.
    """

    embedding_dim: int
    hidden: int
    width: int
    kernel: int

    @nn.compact
    def __call__(self, embeddings, num_iters):
        """Offsets of N layers, summed over T iterations.

        Args:
            embeddings: [B, N, C], summed over the iterations.
            num_iters: T.

        Returns:
            [B, N, K, K, S, S], or [B, N, S, S] for K = 1.
        """
        k, s, z = self.kernel, self.width, self.hidden
        normal = nn.initializers.normal(1 / 40)
        w2 = self.param("w2", normal, (self.embedding_dim, s, z))
        b2 = self.param("b2", normal, (s, z))
        w1 = self.param("w1", nn.initializers.normal(1e-3), (z, k, k, s))
        b1 = self.param("b1", nn.initializers.zeros, (k, k, s))
        hidden = _product(self, embeddings, "w2", w2) + num_iters * b2
        offsets = jnp.einsum("bnoz,zkli->bnklio", hidden, w1)
        offsets = offsets + num_iters * b1[..., None]
        return offsets[:, :, 0, 0] if k == 1 else offsets


class ChannelDecoder(nn.Module):
    """One number for each channel pair, affine in the embedding.

    The offsets of fresh weights are near zero.
    """

    embedding_dim: int
    in_channels: int
    out_channels: int
    kernel: int

    @nn.compact
    def __call__(self, embedding, num_iters):
        """The sum [B, C] of `num_iters` embeddings → the sum of offsets [B, I, O]."""
        shape = (self.embedding_dim, self.in_channels, self.out_channels)
        weight = self.param("weight", nn.initializers.normal(1e-3), shape)
        bias = self.param("bias", nn.initializers.zeros, shape[1:])
        return _product(self, embedding, "weight", weight) + num_iters * bias


def _product(module, x, name, weight):
    """x·W, recorded so that training can form the gradient of W in one product.

    The collection "rows" receives x. The collection "grad_probes" holds zeros that are
    added to the result, so their gradient is that of the result, δ. The gradient of W
    over all iterations is Σ xᵀ·δ (`training/factors.py`).
    """
    module.sow("rows", name, x, reduce_fn=lambda _, new: new, init_fn=lambda: None)
    return module.perturb(name, product(x, weight), "grad_probes")


# JAX's own gradient of the weight is transposed after the product, which takes as much
# memory again as the weight. This one comes in the order of the weight.
@jax.custom_vjp
def product(x, weight):
    """The matrix product of x [..., C] with a large weight [C, …]."""
    return jnp.tensordot(x, weight, 1)


def _product_bwd(residuals, g):
    x, weight = residuals
    rows = g.reshape(math.prod(x.shape[:-1]), -1)
    matrix = weight.reshape(len(weight), -1)
    dx = jax.lax.dot_general(rows, matrix, (((1,), (1,)), ((), ())))
    return dx.reshape(x.shape), product_gradient(x, g)


def product_gradient(x, g):
    """The gradient of `product` with respect to its weight, Σ xᵀ·g.

    Args:
        x: [..., C], the input of the product.
        g: [..., …], the gradient of its result.

    Returns:
        [C, …], summed over all leading axes.
    """
    flat = x.reshape(-1, x.shape[-1])
    rows = g.reshape(len(flat), -1)
    dweight = jax.lax.dot_general(flat, rows, (((0,), (0,)), ((), ())))
    return dweight.reshape(-1, *g.shape[x.ndim - 1 :])


product.defvjp(lambda x, weight: (product(x, weight), (x, weight)), _product_bwd)


class SeparableDecoder(nn.Module):
    """The outer product of two vectors for each tap, then a matrix on each side.

    The paper's ablation of "separable convolutions".
    """

    embedding_dim: int
    in_channels: int
    out_channels: int
    kernel: int

    @nn.compact
    def __call__(self, embeddings, num_iters):
        """Embeddings [B, T, C] of single iterations → the sum [B, K, K, I, O].

        Only the first `num_iters` of the T rows count.
        """
        k, i, o = self.kernel, self.in_channels, self.out_channels
        left = _Affine((k, k, i), 0.02, name="left")(embeddings)
        right = _Affine((k, k, o), 0.02, name="right")(embeddings)
        counts = jnp.arange(embeddings.shape[1]) < num_iters
        counts = counts.astype(embeddings.dtype)
        outer = jnp.einsum("t,btkli,btklo->bklio", counts, left, right)
        # The matrices are the same for all taps and iterations and act on the sum.
        w, b = _Affine((i,), 0.1, name="mix_in").matrix(i)
        outer = jnp.einsum("bklio,ij->bkljo", outer, w)
        outer = outer + num_iters * b[:, None]
        w, b = _Affine((o,), 0.1, name="mix_out").matrix(o)
        return outer @ w + num_iters * b


class _Affine(nn.Module):
    """An affine map to arrays of a shape; `scale` is the deviation of fresh weights."""

    shape: Sequence[int]
    scale: float

    @nn.compact
    def matrix(self, fan_in: int) -> tuple[jax.Array, jax.Array]:
        """Weight [fan_in, *shape] and bias [*shape]."""
        init = nn.initializers.normal(self.scale)
        weight = self.param("weight", init, (fan_in, *self.shape))
        return weight, self.param("bias", nn.initializers.zeros, tuple(self.shape))

    def __call__(self, x):
        """x [..., C] → [..., *shape]."""
        weight, bias = self.matrix(x.shape[-1])
        return jnp.tensordot(x, weight, 1) + bias
