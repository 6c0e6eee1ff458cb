"""CLIP's two networks, which take images and texts to one space.

https://arxiv.org/abs/2103.00020, with the vision transformer (ViT). The cosine of an
image's and a text's vector says how well they go together.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from hyperstyle_jax.models.layers import Linear

# Mean and deviation of the images that CLIP was trained on, in [0, 1].
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)
_NORMAL = nn.initializers.normal(0.02)


class CLIP(nn.Module):
    """Images [B, H, W, 3] and tokens [B, T] → vectors [B, E].

    Attributes:
        embedding: E.
        resolution: sides of the images that the vision transformer sees.
        patch: sides of its patches.
        vision_width, vision_layers: of the vision transformer.
        width, layers: of the text transformer.
        vocabulary: the number of tokens; the last one ends a text.
        context: T, the length of a text with its padding.
    """

    embedding: int = 512
    resolution: int = 224
    patch: int = 32
    vision_width: int = 768
    vision_layers: int = 12
    width: int = 512
    layers: int = 12
    vocabulary: int = 49408
    context: int = 77

    def setup(self):
        """Builds both networks."""
        self.vision = _Vision(
            self.embedding, self.patch, self.vision_width, self.vision_layers
        )
        self.text_network = _Text(
            self.embedding, self.width, self.layers, self.vocabulary, self.context
        )
        self.logit_scale = self.param("logit_scale", nn.initializers.zeros, ())

    def image(self, x: jax.Array) -> jax.Array:
        """x [B, H, W, 3] in [-1, 1] → vectors [B, E], not normalized.

        Images of other sizes are resized, and all are normalized by CLIP's mean and
        deviation, which the loss of StyleCLIP's release leaves out.
        """
        shape = (len(x), self.resolution, self.resolution, 3)
        if x.shape != shape:
            x = jax.image.resize(x, shape, "cubic")
        x = (jnp.clip(x, -1, 1) + 1) / 2
        return self.normalized_image((x - np.float32(_MEAN)) / np.float32(_STD))

    def normalized_image(self, x: jax.Array) -> jax.Array:
        """Normalized images of the right size [B, R, R, 3] → vectors [B, E]."""
        return self.vision(x)

    def text(self, tokens: jax.Array) -> jax.Array:
        """Tokens [B, T], zeros behind the text's end → vectors [B, E]."""
        return self.text_network(tokens.astype(jnp.int32))

    def initialize(self, x: jax.Array, tokens: jax.Array) -> jax.Array:
        """Touches every parameter, for `init`."""
        return self.image(x) + self.text(tokens) + self.logit_scale


class _Vision(nn.Module):
    embedding: int
    patch: int
    width: int
    layers: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalized x [B, H, W, 3] → [B, E]."""
        batch, height, width, _ = x.shape
        p, rows, columns = self.patch, height // self.patch, width // self.patch
        kernel = self.param("patch_weight", _NORMAL, (p, p, 3, self.width))
        x = x[:, : rows * p, : columns * p].reshape(batch, rows, p, columns, p, 3)
        x = jnp.einsum("brpcqi,pqio->brco", x, kernel)
        first = self.param("class_embedding", _NORMAL, (self.width,))
        first = jnp.broadcast_to(first, (batch, 1, self.width))
        x = jnp.concatenate([first, x.reshape(batch, -1, self.width)], 1)
        x = x + self.param("position", _NORMAL, x.shape[1:])
        x = LayerNorm(name="norm_before")(x)
        x = _Transformer(self.layers, name="transformer")(x)
        x = LayerNorm(name="norm_after")(x[:, 0])
        return x @ self.param("projection", _NORMAL, (self.width, self.embedding))


class _Text(nn.Module):
    embedding: int
    width: int
    layers: int
    vocabulary: int
    context: int

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Tokens [B, T] → [B, E]."""
        table = self.param("tokens", _NORMAL, (self.vocabulary, self.width))
        position = self.param("position", _NORMAL, (self.context, self.width))
        x = table[tokens] + position
        x = _Transformer(self.layers, causal=True, name="transformer")(x)
        x = LayerNorm(name="norm_after")(x)
        # The token that ends a text has the largest number.
        x = jnp.take_along_axis(x, tokens.argmax(-1)[:, None, None], axis=1)[:, 0]
        return x @ self.param("projection", _NORMAL, (self.width, self.embedding))


class _Transformer(nn.Module):
    layers: int
    causal: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, T, W] → [B, T, W]; with `causal` a token sees itself and those before."""
        for i in range(self.layers):
            x = _Block(self.causal, name=f"block{i}")(x)
        return x


class _Block(nn.Module):
    causal: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, T, W] → [B, T, W]."""
        x = x + self._attend(LayerNorm(name="norm1")(x))
        hidden = Linear(4 * x.shape[-1], name="fc1")(LayerNorm(name="norm2")(x))
        hidden = hidden * nn.sigmoid(1.702 * hidden)  # an approximation of GELU
        return x + Linear(x.shape[-1], name="fc2")(hidden)

    def _attend(self, x):
        batch, length, width = x.shape
        heads = max(1, width // 64)
        qkv = Linear(3 * width, name="qkv")(x)
        qkv = qkv.reshape(batch, length, 3, heads, width // heads)
        q, k, v = jnp.moveaxis(qkv, 2, 0)
        x = jax.nn.dot_product_attention(q, k, v, is_causal=self.causal)
        return Linear(width, name="out")(x.reshape(batch, length, width))


class LayerNorm(nn.Module):
    """weight·(x − mean) / √(var + ε) + bias over the last axis."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., C] → [..., C]."""
        shape = (x.shape[-1],)
        weight = self.param("weight", nn.initializers.ones, shape)
        bias = self.param("bias", nn.initializers.zeros, shape)
        x = x - x.mean(-1, keepdims=True)
        return (
            x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-5) * (weight)
            + bias
        )
