"""A small network that knows a domain: identity, attributes, perceptual distance.

Where no pretrained ArcFace and LPIPS exist (or may be downloaded), one network trained
on the domain's own labels serves for both.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from hyperstyle_jax.models.resnet import Linear, ResNet


class Features(nn.Module):
    """Images [B, H, W, 3] → unit identity vectors [B, E] and attributes [B, A]."""

    num_attributes: int
    widths: Sequence[int] = (16, 32, 64, 128)
    depths: Sequence[int] = (1, 1, 1, 1)
    embedding: int = 64
    axis_name: str | None = None

    def setup(self):
        self.trunk = ResNet(
            self.widths, self.depths, prelu=True, pool=False, stem_kernel=3,
            stem_stride=1, axis_name=self.axis_name,
        )  # fmt: skip
        self.identity_head = Linear(self.embedding)
        self.attribute_head = Linear(self.num_attributes)
        shape = (self.num_attributes,)
        self.mean = self.variable("buffers", "attribute_mean", jnp.zeros, shape)
        self.std = self.variable("buffers", "attribute_std", jnp.ones, shape)

    def __call__(self, x, train: bool = False):
        """Identity [B, E], of length one, and attributes [B, A] in their own units."""
        return self._heads(self.trunk.stages(x, train)[-1])

    def _heads(self, features):
        flat = features.reshape(features.shape[0], -1)
        identity = self.identity_head(flat)
        norm = jnp.linalg.norm(identity, axis=-1, keepdims=True)
        attributes = self.mean.value + self.std.value * self.attribute_head(flat)
        return identity / (norm + 1e-8), attributes

    def pooled(self, x):
        """What the last stage sees, averaged over positions: [B, F]."""
        return self.trunk.stages(x)[-1].mean((1, 2))

    def compare(self, x, y):
        """Perceptual distance and identity similarity of two batches in one pass.

        The distance has LPIPS's form: features of every stage, normalized over the
        channels, squared differences summed over channels and averaged over positions.

        Args:
            x, y: [B, H, W, 3] in [-1, 1]. No gradient flows into y.

        Returns:
            distance [B], similarity (cosine) [B].
        """
        both = jnp.concatenate([x, jax.lax.stop_gradient(y)])
        stages = self.trunk.stages(both)
        distance = sum(_distance(*jnp.split(s, 2)) for s in stages) / len(stages)
        a, b = jnp.split(self._heads(stages[-1])[0], 2)
        return distance, jnp.sum(a * b, axis=-1)


def _distance(a, b):
    a, b = (v / (jnp.linalg.norm(v, axis=-1, keepdims=True) + 1e-6) for v in (a, b))
    return jnp.square(a - b).sum(-1).mean((1, 2))
