"""A small network that knows a domain: identity, attributes, perceptual distance.

Where no pretrained ArcFace and LPIPS exist (or may be downloaded), one network trained
on the domain's own labels serves for both.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from hyperstyle_jax.models.resnet import BatchNorm, Linear, ResNet


class FeatureExtractor(nn.Module):
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
        # Without it all vectors start almost parallel and ArcFace's loss stalls.
        self.identity_norm = BatchNorm(affine=False, axis_name=self.axis_name)
        self.attribute_head = Linear(self.num_attributes)
        shape = (self.num_attributes,)
        self.mean = self.variable("buffers", "attribute_mean", jnp.zeros, shape)
        self.std = self.variable("buffers", "attribute_std", jnp.ones, shape)

    def __call__(self, x, train: bool = False):
        """Identity [B, E], of length one, and attributes [B, A] in their own units."""
        return self._heads(self.trunk.stages(x, train)[-1], train)

    def _heads(self, features, train=False):
        flat = features.reshape(features.shape[0], -1)
        identity = self.identity_norm(self.identity_head(flat), train)
        attributes = self.mean.value + self.std.value * self.attribute_head(flat)
        return _normalized(identity), attributes

    def pooled(self, x):
        """What the last stage sees, averaged over positions: [B, F]."""
        return self.trunk.stages(x)[-1].mean((1, 2))

    def extract_features(self, x):
        """What `distances` compares: normalized features of all stages, identity."""
        stages = self.trunk.stages(x)
        return [_normalized(s) for s in stages], self._heads(stages[-1])[0]

    def distances(self, x, y):
        """Perceptual distance and identity similarity of two batches.

        Args:
            x, y: [B, H, W, 3] in [-1, 1]. No gradient flows into y.

        Returns:
            distance [B], similarity (cosine) [B].
        """
        stages, identity = self.extract_features(
            jnp.concatenate([x, jax.lax.stop_gradient(y)])
        )
        halves = [jnp.split(s, 2) for s in (*stages, identity)]
        (a, b) = (([h[i] for h in halves[:-1]], halves[-1][i]) for i in (0, 1))
        return feature_distances(a, b)


def feature_distances(a, b) -> tuple[jax.Array, jax.Array]:
    """Perceptual distance [B] and identity similarity [B] of extracted features.

    The distance has LPIPS's form: squared differences of features of length one,
    averaged over positions and stages.
    """
    (stages, identity), (others, other) = a, b
    stage_distances = [
        jnp.square(s - o).sum(-1).mean((1, 2))
        for s, o in zip(stages, others, strict=True)
    ]
    return sum(stage_distances) / len(stage_distances), jnp.sum(
        identity * other, axis=-1
    )


def _normalized(v):
    # The root of a sum that is never zero, so that the gradient is always finite.
    return v * jax.lax.rsqrt(jnp.square(v).sum(-1, keepdims=True) + 1e-8)
