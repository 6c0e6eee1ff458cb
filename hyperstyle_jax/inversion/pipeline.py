"""Inverts photos with the networks of a bundle, at its image size and defaults."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike

from hyperstyle_jax import images
from hyperstyle_jax.inversion import hyperstyle, measuring, methods, stopping
from hyperstyle_jax.inversion.stopping import Stopped
from hyperstyle_jax.offsets import Inversion, synthesize
from hyperstyle_jax.weights.bundle import Bundle

checked_num_iters = methods.checked_num_iters
_MAX_VALUE = 4  # generated images exceed [-1, 1], but not by this much


def invert(
    bundle: Bundle,
    x: Iterable[ArrayLike],
    num_iters: int | None = None,
    dtype: DTypeLike = "float32",
    method: str = "hyperstyle",
    **settings: Any,
) -> Inversion:
    """Inverts photos; the result is ready for `synthesize` and `edit`.

    Args:
        bundle: with the networks of the method: encoder, hypernetwork and generator.
        x: [B, H, W, 3] or a list of any sizes, uint8 or float in [-1, 1]; cropped and
            resized as needed.
        num_iters: T, by default the bundle's own; 0 gives the initial inversion alone.
        dtype: of the feature maps; "bfloat16" is faster on GPUs and TPUs.
        method: a name of `methods.METHODS`; others than HyperStyle take `settings`, and
            `num_iters` where they have it.
        settings: of the method, in place of its own, e.g. steps=200.

    Raises:
        ValueError: no images, a number of iterations outside 0 … 100, an unknown method
            or setting, a network that the bundle lacks.
    """
    if method == "hyperstyle":
        settings |= {"num_iters": num_iters, "dtype": str(jnp.dtype(dtype))}
    elif num_iters is not None:
        settings |= {"num_iters": num_iters}
    settings = methods.checked(bundle, method, settings)
    return methods.invert(bundle, prepare(bundle, x), method, **settings).inversion


def refine(
    bundle: Bundle, x: ArrayLike, num_iters: int, dtype: DTypeLike = "float32"
) -> hyperstyle.Refinement:
    """Inverts like `invert`, but returns the compact form and each iteration's image.

    Args:
        bundle: with encoder, hypernetwork and generator.
        x: [B, h, w, 3] float in [-1, 1], as `prepare` returns it.
        num_iters: T.
        dtype: of the feature maps.
    """
    nets = bundle.require("encoder", "hypernet", "generator")
    return hyperstyle.compiled(*nets, jnp.asarray(x, dtype), num_iters=num_iters)


def refine_until(
    bundle: Bundle,
    x: ArrayLike,
    num_iters: int,
    bounds: Mapping[str, float],
    dtype: DTypeLike = "float32",
) -> Stopped:
    """Inverts like `refine`, but each image only until it is within the bounds.

    Args:
        bundle, x, num_iters, dtype: as of `refine`; `num_iters` is the most.
        bounds: {name: value} of `measuring.MEASURES`: the most, of identity the
            least.

    Raises:
        ValueError: an unknown measure, or one that the bundle cannot measure.
    """
    nets = bundle.require("encoder", "hypernet", "generator")
    extractor = bundle.nets.get("feature_extractor")
    measuring.checked_bounds(bounds, extractor)
    x = jnp.asarray(x, dtype)
    return stopping.invert(*nets, extractor, x, dict(bounds), num_iters)


def decode(bundle: Bundle, refinement: hyperstyle.Refinement | Stopped) -> Inversion:
    """Makes an inversion, ready to render, of a refinement's compact form."""
    (hypernet,) = bundle.require("hypernet")
    if isinstance(refinement, Stopped):
        return stopping.decode(hypernet, refinement)
    return hyperstyle.decode(hypernet, refinement.w_plus, refinement.embeddings)


def full_size(
    bundle: Bundle,
    refinement: hyperstyle.Refinement | Stopped,
    dtype: DTypeLike = "float32",
) -> jax.Array:
    """Renders the reconstructions at the generator's own size.

    Returns:
        [B, R, R, 3], about [-1, 1], not clipped.
    """
    (generator,) = bundle.require("generator")
    compact = refinement
    if isinstance(compact, Stopped):
        compact = compact.refinement
    reconstruction = compact.images[-1]
    if reconstruction.shape[1:3] == (generator.module.resolution,) * 2:
        return reconstruction
    return synthesize(generator, decode(bundle, refinement), dtype=dtype)


def render(bundle: Bundle, inversion: Inversion) -> jax.Array:
    """Renders an inversion with the bundle's generator, compiled once.

    Returns:
        [B, R, R, 3], about [-1, 1], not clipped.
    """
    (generator,) = bundle.require("generator")
    return _render(generator, inversion)


def prepare(bundle: Bundle, photos: Iterable[ArrayLike]) -> np.ndarray:
    """Crops photos to their centre and resizes them to the bundle's image size.

    Args:
        bundle: gives the size (h, w).
        photos: [B, H, W, 3] or a list of any sizes, uint8 or float in [-1, 1].

    Returns:
        [B, h, w, 3] float32 in [-1, 1].

    Raises:
        ValueError: no photos, or one of another shape or other units.
    """
    x = [_prepare_photo(np.asarray(photo), *bundle.image_size) for photo in photos]
    if not x:
        raise ValueError("no photos: expected an array [B, H, W, 3] or a list")
    return np.stack(x)


def crop_side(bundle: Bundle) -> int:
    """The side of a face's crop: what the networks take and give, the larger of both.

    Raises:
        ValueError: the bundle's images are no squares.
    """
    (generator,) = bundle.require("generator")
    height, width = bundle.image_size
    if height != width:
        raise ValueError(
            f"images of {height}x{width}: expected squares, as FFHQ's faces are; "
            "choose a bundle of faces"
        )
    return max(generator.module.resolution, height)


def _prepare_photo(photo, height, width):
    if photo.ndim != 3 or photo.shape[-1] != 3:
        raise ValueError(f"photo of shape {photo.shape}: expected [H, W, 3]")
    if photo.dtype != np.uint8 and not np.abs(photo).max() < _MAX_VALUE:
        raise ValueError(
            f"photo with values up to {np.abs(photo).max():g}: expected uint8, or "
            "float in [-1, 1]"
        )
    if photo.shape[:2] == (height, width) and photo.dtype != np.uint8:
        return photo.astype(np.float32)
    return images.to_float(images.fit(images.to_uint8(photo), height, width))


def measure(bundle: Bundle, x: ArrayLike, images: ArrayLike) -> dict[str, np.ndarray]:
    """Measures how close reconstructions are to their targets.

    Args:
        bundle: its feature extractor, if there is one, measures too.
        x: targets [B, h, w, 3] in [-1, 1].
        images: [S, B, h, w, 3], S reconstructions of each target.

    Returns:
        {name: [S, B]} by names of `measuring.MEASURES`: `l2`, and with a feature
        extractor `lpips` (a perceptual distance) and `identity` (cosine similarity).
    """
    return jax.device_get(measure_on_device(bundle, x, images))


def measure_on_device(
    bundle: Bundle, x: ArrayLike, images: ArrayLike
) -> dict[str, jax.Array]:
    """The same as `measure`, without waiting for the device."""
    return _measure(bundle.nets.get("feature_extractor"), x, images)


_render = jax.jit(synthesize)


@jax.jit
def _measure(extractor, x, images):
    return jax.lax.map(lambda y: measuring.distances(extractor, y, x), images)
