"""Photos through a bundle's networks: sizes, defaults and compilation taken care of."""

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax import images, losses
from hyperstyle_jax.inversion import hyperstyle
from hyperstyle_jax.offsets import Inversion, synthesize
from hyperstyle_jax.weights.bundle import Bundle

_MAX_ITERS = 100
_FAR_OUT = 4  # generated pictures leave [-1, 1] a little; this far is another scale


def invert(
    bundle: Bundle, x, num_iters: int | None = None, dtype="float32"
) -> Inversion:
    """Inverts photos with HyperStyle; the result is ready for `synthesize` and `edit`.

    Args:
        bundle: with encoder, hypernetwork and generator.
        x: [B, H, W, 3], uint8 or float in [-1, 1]; cropped and resized as needed.
        num_iters: passes; default the bundle's own, 0 the first inversion alone.
        dtype: of the feature maps; "bfloat16" is faster on GPUs and TPUs.

    Returns:
        Inversion with offsets and codes; `image` [B, h, w, 3] is the reconstruction.
    """
    num_iters = passes(bundle, num_iters)
    result = invert_steps(bundle, prepare(bundle, x), num_iters, dtype)
    return _decode(*bundle.require("hypernet"), result.inversion, num_iters)


def invert_steps(
    bundle: Bundle, x, num_iters: int, dtype="float32"
) -> hyperstyle.Refinement:
    """Like `invert`, with the picture after every pass and without the offsets.

    Args:
        x: [B, h, w, 3] float in [-1, 1] as `prepare` returns it.
    """
    nets = bundle.require("encoder", "hypernet", "generator")
    return _invert(*nets, jnp.asarray(x, dtype), num_iters)


def full_size(
    bundle: Bundle, result: hyperstyle.Refinement, num_iters: int, dtype="float32"
) -> jax.Array:
    """The reconstructions at the generator's own size: [B, R, R, 3], not clipped."""
    hypernet, generator = bundle.require("hypernet", "generator")
    if result.inversion.image.shape[1:3] == (generator.module.resolution,) * 2:
        return result.inversion.image
    tuned = _decode(hypernet, result.inversion, num_iters)
    return synthesize(generator, tuned, dtype=dtype)


def prepare(bundle: Bundle, photos) -> np.ndarray:
    """Photos as the networks take them: the centre, in the bundle's size.

    Args:
        photos: [B, H, W, 3] or a list of any sizes, uint8 or float in [-1, 1].

    Returns:
        [B, h, w, 3] float32 in [-1, 1].
    """
    ready = [_prepare_one(np.asarray(photo), *bundle.image_size) for photo in photos]
    if not ready:
        raise ValueError("no photos: expected an array [B, H, W, 3] or a list")
    return np.stack(ready)


def _prepare_one(photo, height, width):
    if photo.ndim != 3 or photo.shape[-1] != 3:
        raise ValueError(f"photo of shape {photo.shape}: expected [H, W, 3]")
    if photo.dtype != np.uint8 and not np.abs(photo).max() < _FAR_OUT:
        raise ValueError(
            f"photo with values up to {np.abs(photo).max():g}: expected uint8, or "
            "float in [-1, 1]"
        )
    if photo.shape[:2] == (height, width) and photo.dtype != np.uint8:
        return photo.astype(np.float32)
    return images.to_float(images.fit(images.to_uint8(photo), height, width))


def passes(bundle: Bundle, num_iters: int | None) -> int:
    """`num_iters`, checked; None is the number that the bundle was trained with."""
    chosen = bundle.info.get("num_iters", 5) if num_iters is None else num_iters
    if not isinstance(chosen, int) or not 0 <= chosen <= _MAX_ITERS:
        raise ValueError(
            f"num_iters {chosen!r}: expected a number from 0 to {_MAX_ITERS}"
        )
    return chosen


def measure(bundle: Bundle, x, steps) -> dict[str, np.ndarray]:
    """How close pictures [S, B, h, w, 3] are to x [B, h, w, 3]: {name: [S, B]}.

    `l2`, and where the bundle has a feature extractor of its domain `lpips` (perceptual
    distance) and `identity` (cosine similarity).
    """
    features = bundle.nets.get("feature_extractor")
    compare = hasattr(getattr(features, "module", None), "compare")
    return jax.device_get(_measure(features if compare else None, x, steps))


_invert = jax.jit(hyperstyle.invert, static_argnames="num_iters")
_decode = jax.jit(hyperstyle.decode, static_argnames="num_iters")


@jax.jit
def _measure(features, x, steps):
    def one(y):
        values = {"l2": losses.l2(y, x)}
        if features is not None:
            distance, similarity = features(y, x, method="compare")
            values |= {"lpips": distance, "identity": similarity}
        return values

    return jax.lax.map(one, steps)
