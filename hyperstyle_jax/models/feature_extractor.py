"""A small network that reads identity and attributes of the images of one domain.

It takes the places of ArcFace and LPIPS where no such pretrained networks are at hand,
and is trained on the domain's own labels, or on its images alone.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from hyperstyle_jax.models.layers import BatchNorm, Linear
from hyperstyle_jax.models.resnet import ResNet


class FeatureExtractor(nn.Module):
    """Images [B, H, W, 3] → identity vectors [B, E] and attributes [B, A]."""

    num_attributes: int
    widths: Sequence[int] = (16, 32, 64, 128)
    depths: Sequence[int] = (1, 1, 1, 1)
    embedding: int = 64
    axis_name: str | None = None

    def setup(self):
        """Builds the trunk, a head for identities and one for attributes."""
        self.trunk = ResNet(
            self.widths, self.depths, prelu=True, pool=False, stem_kernel=3,
            stem_stride=1, axis_name=self.axis_name,
        )  # fmt: skip
        self.identity_head = Linear(self.embedding)
        # Without this normalization all identity vectors of fresh weights are almost
        # parallel, and ArcFace's loss stalls.
        self.identity_norm = BatchNorm(affine=False, axis_name=self.axis_name)
        if self.num_attributes:
            self.attribute_head = Linear(self.num_attributes)
        shape = (self.num_attributes,)
        self.mean = self.variable("buffers", "attribute_mean", jnp.zeros, shape)
        self.std = self.variable("buffers", "attribute_std", jnp.ones, shape)

    def __call__(self, x, train: bool = False):
        """Identity vectors [B, E] of length one, and attributes [B, A] in their units.

        Args:
            x: [B, H, W, 3] in [-1, 1].
            train: use and update the statistics of the batch.
        """
        return self._heads(self.trunk.stages(x, train)[-1], train)

    def _heads(self, features, train=False):
        flat = features.reshape(features.shape[0], -1)
        identity = self.identity_norm(self.identity_head(flat), train)
        attributes = jnp.zeros((len(flat), 0), flat.dtype)
        if self.num_attributes:
            attributes = self.mean.value + self.std.value * self.attribute_head(flat)
        return _normalized(identity), attributes

    def pooled(self, x):
        """x [B, H, W, 3] → mean features of the last stage [B, F]."""
        return self.trunk.stages(x)[-1].mean((1, 2))

    def extract_features(self, x):
        """What `feature_distances` compares, of images [B, H, W, 3].

        Returns:
            Normalized features [B, h, w, F] of all stages, and identity vectors [B, E].
        """
        stages = self.trunk.stages(x)
        return [_normalized(s) for s in stages], self._heads(stages[-1])[0]

    def perceive(self, x):
        """What `stage_distance` compares, of images [B, H, W, 3] of any size."""
        return [_normalized(s) for s in self.trunk.stages(x)]

    def distances(self, x, y):
        """Perceptual distance and identity similarity of two batches.

        Args:
            x, y: [B, H, W, 3] in [-1, 1]. No gradient flows into y.

        Returns:
            Distance [B] and cosine similarity [B].
        """
        stages, identity = self.extract_features(
            jnp.concatenate([x, jax.lax.stop_gradient(y)])
        )
        *stage_pairs, identity_pair = [jnp.split(s, 2) for s in (*stages, identity)]
        x_features, y_features = (
            ([pair[i] for pair in stage_pairs], identity_pair[i]) for i in (0, 1)
        )
        return feature_distances(x_features, y_features)


def feature_distances(x_features, y_features) -> tuple[jax.Array, jax.Array]:
    """Perceptual distance and identity similarity of two batches' features.

    The distance has LPIPS's form: the squared difference of features of length one,
    averaged over positions and stages.

    Args:
        x_features, y_features: as `FeatureExtractor.extract_features` returns them.

    Returns:
        Distance [B] and cosine similarity [B].
    """
    (x_stages, x_identity), (y_stages, y_identity) = x_features, y_features
    distance = stage_distance(x_stages, y_stages)
    return distance, jnp.sum(x_identity * y_identity, axis=-1)


def stage_distance(x_stages, y_stages) -> jax.Array:
    """The perceptual distance [B] of features, as `FeatureExtractor.perceive` gives."""
    stage_distances = [
        jnp.square(x - y).sum(-1).mean((1, 2))
        for x, y in zip(x_stages, y_stages, strict=True)
    ]
    return sum(stage_distances) / len(stage_distances)


def _normalized(v):
    # A small number under the root keeps the gradient finite where v is zero.
    return v * jax.lax.rsqrt(jnp.square(v).sum(-1, keepdims=True) + 1e-8)
