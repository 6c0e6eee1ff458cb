"""MTCNN's three networks, which find faces and their landmarks.

https://arxiv.org/abs/1604.02878, in the layout of TreB1eN's InsightFace_Pytorch. Images
are [B, H, W, 3] with values (u8 − 127.5) / 128. Each network returns the probabilities
of no face and of a face, and the correction of its box in fractions of the box.
"""

import jax
from flax import linen as nn

from hyperstyle_jax.models.layers import Conv, Linear, PReLU, max_pool


class PNet(nn.Module):
    """The proposal network: looks at each window of 12×12 pixels of any image.

    With `across_width` the probabilities are normalized over a row of windows and not
    over "no face" and "face", as in HyperStyle's release, to be compared with it.
    """

    across_width: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
        """x [B, H, W, 3] → {"face": [B, h, w, 2], "box": [B, h, w, 4]}, by window."""
        x = max_pool(_conv_prelu(x, 1, 10), 2, ceil=True)
        x = _conv_prelu(x, 2, 16)
        x = _conv_prelu(x, 3, 32)
        face = Conv(2, 1, use_bias=True, name="face")(x)
        return {
            "face": nn.softmax(face, axis=-2 if self.across_width else -1),
            "box": Conv(4, 1, use_bias=True, name="box")(x),
        }


class RNet(nn.Module):
    """The refinement network, for crops of 24×24 pixels."""

    @nn.compact
    def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
        """x [B, 24, 24, 3] → {"face": [B, 2], "box": [B, 4]}."""
        x = max_pool(_conv_prelu(x, 1, 28), 3, ceil=True)
        x = max_pool(_conv_prelu(x, 2, 48), 3, ceil=True)
        x = _conv_prelu(x, 3, 64, kernel=2)
        return _face_and_box(_linear_prelu(x, 4, 128))


class ONet(nn.Module):
    """The output network, for crops of 48×48 pixels, with five landmarks."""

    @nn.compact
    def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
        """x [B, 48, 48, 3] → {"face": [B, 2], "box": [B, 4], "landmarks": [B, 10]}.

        Landmarks are fractions of the box, first all x, then all y.
        """
        x = max_pool(_conv_prelu(x, 1, 32), 3, ceil=True)
        x = max_pool(_conv_prelu(x, 2, 64), 3, ceil=True)
        x = max_pool(_conv_prelu(x, 3, 64), 2, ceil=True)
        x = _conv_prelu(x, 4, 128, kernel=2)
        x = _linear_prelu(x, 5, 256)
        return {**_face_and_box(x), "landmarks": Linear(10, name="landmarks")(x)}


def _face_and_box(x):
    face = nn.softmax(Linear(2, name="face")(x))
    return {"face": face, "box": Linear(4, name="box")(x)}


def _conv_prelu(x, index, features, kernel=3):
    conv = Conv(features, kernel, use_bias=True, padding=0, name=f"conv{index}")
    return PReLU(name=f"prelu{index}")(conv(x))


def _linear_prelu(x, index, features):
    linear = Linear(features, name=f"fc{index}")
    return PReLU(name=f"prelu{index}")(linear(x.reshape(x.shape[0], -1)))
