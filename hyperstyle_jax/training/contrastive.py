"""Learning without labels: SimCLR (https://arxiv.org/abs/2002.05709).

Two random views of each image shall be nearer to each other than to those of all other
images of the batch. SimCLR's loss needs nothing but the batch: no second network and no
queue of older images, as BYOL and MoCo have, whose statistics would depend on how many
devices share the batch. The settings are those that the paper gives for small images
(its appendix B.9: colours of strength 0.5, no blur, temperature 0.5).
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax.loop import parallel

_STRENGTH, _TEMPERATURE = 0.5, 0.5
_GREY = (0.299, 0.587, 0.114)
_RGB_TO_YIQ = np.array(
    [_GREY, (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135)],
    np.float32,
)


def nt_xent(first: jax.Array, second: jax.Array) -> jax.Array:
    """The normalized, temperature-scaled cross-entropy (the paper's equation 1).

    Called inside a step: the images of all devices are each other's negatives.

    Args:
        first, second: projections [B, P] of two views of the same images.

    Returns:
        Its mean over the 2·B views of this device.
    """
    z = jnp.concatenate([first, second])
    z = z / jnp.sqrt(jnp.square(z).sum(-1, keepdims=True) + 1e-8)
    everyones = jax.lax.all_gather(z, parallel.AXIS)  # [devices, 2·B, P]
    devices, rows, width = everyones.shape
    similarity = z @ everyones.reshape(-1, width).T / _TEMPERATURE
    here = jax.lax.axis_index(parallel.AXIS) * rows
    own = here + jnp.arange(rows)
    other = here + jnp.roll(jnp.arange(rows), len(first))
    itself = jax.nn.one_hot(own, devices * rows, dtype=bool)
    similarity = jnp.where(itself, -jnp.inf, similarity)
    positive = jnp.take_along_axis(similarity, other[:, None], axis=1)[:, 0]
    return (jax.nn.logsumexp(similarity, axis=1) - positive).mean()


def views(x: jax.Array, keys: jax.Array) -> jax.Array:
    """A random view of each image: a part of it, enlarged, in other colours.

    Args:
        x: [B, H, W, 3] in [-1, 1].
        keys: [B], one per image.

    Returns:
        [B, H, W, 3] in [-1, 1].
    """

    def view(image, key):
        where, colours = jax.random.split(key)
        return _recolour(_crop(image, where), colours)

    return jax.vmap(view)(x, keys)


def recoloured(x: jax.Array, keys: jax.Array) -> jax.Array:
    """Each image in other colours, every pixel in its place; as `views`."""
    return jax.vmap(_recolour)(x, keys)


def _crop(image, key):
    """A part of 8 to 100 % of the area, 3:4 to 4:3, resized to the whole."""
    height, width, _ = image.shape
    area, ratio, top, left = jax.random.split(key, 4)
    share = jax.random.uniform(area, minval=0.08)
    ratio = jnp.exp(jax.random.uniform(ratio, minval=-1, maxval=1) * jnp.log(4 / 3))
    sides = jnp.minimum(jnp.sqrt(jnp.stack([share / ratio, share * ratio])), 1.0)
    start = jnp.stack([jax.random.uniform(k) for k in (top, left)]) * (1 - sides)
    scale = 1 / sides
    shift = -start * scale * jnp.array([height, width])
    resize = partial(jax.image.scale_and_translate, method="linear")
    return resize(image, image.shape, (0, 1), scale, shift)


def _recolour(image, key):
    """Brightness, contrast, saturation and hue with chance 0.8, grey with 0.2."""
    chance, grey, *amounts = jax.random.split(key, 6)
    low, high = 1 - 0.8 * _STRENGTH, 1 + 0.8 * _STRENGTH
    brightness, contrast, saturation = (
        jax.random.uniform(k, minval=low, maxval=high) for k in amounts[:3]
    )
    hue = jax.random.uniform(amounts[3], minval=-1, maxval=1) * 0.2 * _STRENGTH
    x = (image + 1) / 2 * brightness
    x = _mix(x, _greys(x).mean(), contrast)
    x = _mix(x, _greys(x), saturation)
    x = _turn_hue(x, 2 * jnp.pi * hue)
    x = jnp.where(jax.random.uniform(chance) < 0.8, x, (image + 1) / 2)
    x = jnp.where(jax.random.uniform(grey) < 0.2, _greys(x), x)
    return jnp.clip(x, 0, 1) * 2 - 1


def _greys(x):
    return (x @ jnp.array(_GREY))[..., None]


def _mix(x, other, share):
    return jnp.clip(other + share * (x - other), 0, 1)


def _turn_hue(x, angle):
    """Turns the plane of colours of equal brightness (I and Q of YIQ)."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    turn = jnp.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    matrix = jnp.array(np.linalg.inv(_RGB_TO_YIQ)) @ turn @ _RGB_TO_YIQ
    return x @ matrix.T


def scores(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """How well embeddings know two views of one image from views of others.

    Args:
        first, second: unit vectors [N, E] of two views of N images.

    Returns:
        `same_image_auc`, the chance that two views of one image are more similar than
        views of two images, and `same_image_nearest`, the share of images whose second
        view is the nearest of all to their first.
    """
    cosines = first @ second.T
    own = np.eye(len(first), dtype=bool)
    negative = np.sort(cosines[~own])
    return {
        "same_image_auc": _auc(cosines[own], negative),
        "same_image_nearest": float(
            (cosines.argmax(1) == np.arange(len(first))).mean()
        ),
    }


def _auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """The chance that a positive is larger than a negative; `negative` is sorted."""
    below = np.searchsorted(negative, positive)
    return float(below.mean() / max(len(negative), 1))


def distance_scores(own: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """`same_image_lpips_auc`: the chance that a distance [N] to the recoloured image is
    smaller than one to another image [N]."""
    return {"same_image_lpips_auc": _auc(-own, np.sort(-other))}
