"""Tells pictures that do not look like those of a bundle's domain.

A picture that is not aligned as those of the domain, or shows something else, has an
initial inversion that is far from it: the encoder finds no latent for it. How far those
of the domain are at most, the generator's own images tell; they need no data.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax.inversion import hyperstyle, measuring
from hyperstyle_jax.inversion.cropping import crop_and_pool
from hyperstyle_jax.weights.bundle import Bundle

KEY = "familiarity"  # in a bundle's info
# The logarithms are nearly normal; their mean and deviation are steadier than the last
# pictures of a sample. One picture of the domain in 400 lies beyond.
_DEVIATIONS = 2.8
_LEAST = 100  # pictures


def drawn(
    bundle: Bundle, count: int, seed: int = 0, batch_size: int = 16
) -> Iterator[jax.Array]:
    """Images that the bundle's generator draws of random latents.

    Yields:
        Batches [batch_size, h, w, 3] in [-1, 1], of the size that the encoder takes.
    """
    (generator,) = bundle.require("generator")
    for key in jax.random.split(jax.random.key(seed), -(-count // batch_size)):
        yield _draw(generator, key, batch_size, bundle.image_size)


def describe(bundle: Bundle, batches: Iterable[Any]) -> dict[str, Any]:
    """What to store in the bundle's info, for `unlike`.

    Args:
        bundle: with encoder and generator; with a feature extractor it tells far more.
        batches: [B, h, w, 3] in [-1, 1], pictures of the domain, as `drawn` gives them.

    Returns:
        `measure` (of the initial inversion), `limit` (which few pictures of
        the domain exceed), `count` (of pictures).

    Raises:
        ValueError: too few pictures.
    """
    encoder, generator = bundle.require("encoder", "generator")
    extractor = bundle.nets.get("feature_extractor")
    name = "l2" if extractor is None else "lpips"
    parts = [_initial(encoder, generator, extractor, x)[name] for x in batches]
    values = np.concatenate([np.asarray(part) for part in parts] or [np.zeros(0)])
    if len(values) < _LEAST:
        raise ValueError(f"{len(values)} pictures: expected {_LEAST} or more")
    logs = np.log(np.maximum(values, 1e-9))
    limit = float(np.exp(logs.mean() + _DEVIATIONS * logs.std()))
    return {"measure": name, "limit": round(limit, 6), "count": len(values)}


def unlike(bundle: Bundle, measures: Mapping[str, Any]) -> str:
    """A line on a picture that does not look like those of the domain; "" for others.

    Args:
        bundle: says in its info how far initial inversions are; without that, or with
            something else there, every picture passes.
        measures: {name: values}, the first of the initial inversion.
    """
    stored = bundle.info.get(KEY)
    try:
        name, limit = stored["measure"], float(stored["limit"])
        value = float(measures[name][0])
    except (TypeError, KeyError, ValueError, IndexError):
        return ""
    if value <= limit:
        return ""
    return (
        f"does not look like the model's pictures ({name} {value:.2f} of its initial "
        f"inversion, of theirs up to {limit:.2f}): not aligned as they are, or "
        "something else"
    )


@partial(jax.jit, static_argnums=(2, 3))
def _draw(generator, key, batch_size, size):
    z = jax.random.normal(key, (batch_size, generator.module.z_dim))
    images = generator(generator(z, method="mapping"), method="synthesis")
    return crop_and_pool(jnp.clip(images, -1, 1), size)


@jax.jit
def _initial(encoder, generator, extractor, x):
    _, image = hyperstyle.initial_inversion(encoder, generator, x)
    return measuring.distances(extractor, image, x)
