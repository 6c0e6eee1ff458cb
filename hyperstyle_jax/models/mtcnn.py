"""MTCNN's three networks, which find faces and their landmarks.

https://arxiv.org/abs/1604.02878, in the layout of TreB1eN's InsightFace_Pytorch.
Images are NHWC, (u8 − 127.5) / 128. Every network gives the probability of a face and
the correction of its box as fractions of the box.
"""

import jax
from flax import linen as nn

from hyperstyle_jax.models.resnet import Conv, Linear, PReLU, max_pool


class PNet(nn.Module):
    """Proposals: any image [B, H, W, 3] → maps, one entry per 12×12 window.

    `across_width` normalizes the probabilities over a row of the map instead of over
    no and yes: a slip of HyperStyle's release, to be compared with it.
    """

    across_width: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
        """{"face": [B, h, w, 2] (no, yes), "box": [B, h, w, 4]}."""
        x = max_pool(_conv_prelu(x, 1, 10), 2, ceil=True)
        x = _conv_prelu(x, 2, 16)
        x = _conv_prelu(x, 3, 32)
        face = Conv(2, 1, use_bias=True, name="face")(x)
        return {
            "face": nn.softmax(face, axis=-2 if self.across_width else -1),
            "box": Conv(4, 1, use_bias=True, name="box")(x),
        }


class RNet(nn.Module):
    """Refinement: crops [B, 24, 24, 3]."""

    @nn.compact
    def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
        """{"face": [B, 2], "box": [B, 4]}."""
        x = max_pool(_conv_prelu(x, 1, 28), 3, ceil=True)
        x = max_pool(_conv_prelu(x, 2, 48), 3, ceil=True)
        x = _conv_prelu(x, 3, 64, kernel=2)
        x = _linear_prelu(x, 4, 128)
        return {
            "face": nn.softmax(Linear(2, name="face")(x)),
            "box": Linear(4, name="box")(x),
        }


class ONet(nn.Module):
    """Output: crops [B, 48, 48, 3]; also five landmarks, all x and then all y."""

    @nn.compact
    def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
        """{"face": [B, 2], "box": [B, 4], "landmarks": [B, 10]}."""
        x = max_pool(_conv_prelu(x, 1, 32), 3, ceil=True)
        x = max_pool(_conv_prelu(x, 2, 64), 3, ceil=True)
        x = max_pool(_conv_prelu(x, 3, 64), 2, ceil=True)
        x = _conv_prelu(x, 4, 128, kernel=2)
        x = _linear_prelu(x, 5, 256)
        return {
            "face": nn.softmax(Linear(2, name="face")(x)),
            "box": Linear(4, name="box")(x),
            "landmarks": Linear(10, name="landmarks")(x),
        }


def _conv_prelu(x, index, features, kernel=3):
    conv = Conv(features, kernel, use_bias=True, padding=0, name=f"conv{index}")
    return PReLU(name=f"prelu{index}")(conv(x))


def _linear_prelu(x, index, features):
    linear = Linear(features, name=f"fc{index}")
    return PReLU(name=f"prelu{index}")(linear(x.reshape(x.shape[0], -1)))
