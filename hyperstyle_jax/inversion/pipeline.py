"""Inverts photos with the networks of a bundle: sizes, defaults, compilation."""

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax import images, losses
from hyperstyle_jax.inversion import hyperstyle
from hyperstyle_jax.offsets import Inversion, synthesize
from hyperstyle_jax.weights.bundle import Bundle

_MAX_ITERS = 100
_FAR_OUT = 4  # generated images leave [-1, 1] a little; this far is another scale


def invert(
    bundle: Bundle, x, num_iters: int | None = None, dtype="float32"
) -> Inversion:
    """Inverts photos with HyperStyle; the result is ready for `synthesize` and `edit`.

    Args:
        bundle: with encoder, hypernetwork and generator.
        x: [B, H, W, 3], uint8 or float in [-1, 1]; cropped and resized as needed.
        num_iters: iterations; default the bundle's own, 0 the initial inversion alone.
        dtype: of the feature maps; "bfloat16" is faster on GPUs and TPUs.
    """
    num_iters = checked_num_iters(bundle, num_iters)
    refinement = refine(bundle, prepare(bundle, x), num_iters, dtype)
    return decode(bundle, refinement)


def refine(bundle: Bundle, x, num_iters: int, dtype="float32") -> hyperstyle.Refinement:
    """Like `invert`, with the image after every iteration, in compact form.

    Args:
        x: [B, h, w, 3] float in [-1, 1] as `prepare` returns it.
    """
    nets = bundle.require("encoder", "hypernet", "generator")
    return _invert(*nets, jnp.asarray(x, dtype), num_iters)


def decode(bundle: Bundle, refinement: hyperstyle.Refinement) -> Inversion:
    """The inversion that a refinement found, ready to render."""
    (hypernet,) = bundle.require("hypernet")
    return hyperstyle.decode(hypernet, refinement.w_plus, refinement.embeddings)


def full_size(
    bundle: Bundle, refinement: hyperstyle.Refinement, dtype="float32"
) -> jax.Array:
    """The reconstructions at the generator's own size: [B, R, R, 3], not clipped."""
    (generator,) = bundle.require("generator")
    last = refinement.images[-1]
    if last.shape[1:3] == (generator.module.resolution,) * 2:
        return last
    return synthesize(generator, decode(bundle, refinement), dtype=dtype)


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


def checked_num_iters(bundle: Bundle, num_iters: int | None) -> int:
    """`num_iters`, checked; None is the number that the bundle was trained with."""
    chosen = bundle.info.get("num_iters", 5) if num_iters is None else num_iters
    if not isinstance(chosen, int) or not 0 <= chosen <= _MAX_ITERS:
        raise ValueError(
            f"num_iters {chosen!r}: expected a number from 0 to {_MAX_ITERS}"
        )
    return chosen


def measure(bundle: Bundle, x, images) -> dict[str, np.ndarray]:
    """How close images are to their targets.

    Args:
        x: targets [B, h, w, 3].
        images: [S, B, h, w, 3], several reconstructions of each target.

    Returns:
        {name: [S, B]}: `l2`, and where the bundle has a feature extractor of its domain
        `lpips` (perceptual distance) and `identity` (cosine similarity).
    """
    extractor = bundle.nets.get("feature_extractor")
    return jax.device_get(_measure(extractor, x, images))


_invert = jax.jit(hyperstyle.invert, static_argnames="num_iters")


@jax.jit
def _measure(extractor, x, images):
    def measure_one(y):
        values = {"l2": losses.l2(y, x)}
        if extractor is not None:
            distance, similarity = extractor(y, x, method="distances")
            values |= {"lpips": distance, "identity": similarity}
        return values

    return jax.lax.map(measure_one, images)
