"""An inverted image: a latent, and the weights of the generator that are its own.

HyperStyle changes weights relatively, θ̂ = θ·(1 + Δ) (https://arxiv.org/abs/2111.15666,
equation 4); pivotal tuning replaces them (https://arxiv.org/abs/2106.05744). The
generator knows neither: it is given other parameters.
"""

from functools import partial
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax import trees
from hyperstyle_jax.models import ops
from hyperstyle_jax.net import Net

# Images that are rendered together when each has kernels of its own. A batch of them is
# a grouped convolution: on a CPU 5–6 times slower than one image after another (256²,
# batch 4: 12.4 s against 2.1 s). On an H200 a batch of 8 takes 0.83–1.1 times as long
# as its images one by one (64² to 1024², bfloat16).
_CHUNK = {"cpu": 1}


@flax.struct.dataclass
class LayerEmbeddings:
    """What a hypernetwork predicted, summed over the iterations of a refinement.

    Attributes:
        values: {path of the layer: [B, C]}; separable layers have one row for each
            iteration, [B, T, C].
        num_iters: T, the number of iterations that the sums hold.
    """

    values: dict[str, jax.Array]
    num_iters: int = flax.struct.field(pytree_node=False)


@flax.struct.dataclass
class Inversion:
    """B inverted images, ready to render; every inversion method returns one.

    Attributes:
        w_plus: latents [B, L, D], a row for each layer of the generator.
        offsets: {path: Δ [B, I, O] or [B, K, K, I, O]}, relative changes of weights.
        replaced: {path: [B, …]}, weights that take the place of the generator's.
        embeddings: the compact form of `offsets`, where a hypernetwork made them:
            tens of kilobytes for each image instead of tens of megabytes.

    Raises:
        ValueError: embeddings without the offsets that they decode to.
    """

    w_plus: jax.Array
    offsets: dict[str, jax.Array] = flax.struct.field(default_factory=dict)
    replaced: dict[str, jax.Array] = flax.struct.field(default_factory=dict)
    embeddings: LayerEmbeddings | None = None

    def __post_init__(self):
        if self.embeddings is not None and not self.offsets:
            raise ValueError(
                "an inversion with layer embeddings but no offsets: decode them with "
                "hyperstyle_jax.inversion.hyperstyle.decode"
            )


def latent_only(w: jax.Array, num_ws: int) -> Inversion:
    """An inversion that renders with the generator's own weights.

    Args:
        w: [B, D] for the same row in all layers, or [B, L, D].
        num_ws: L, the number of rows that the generator reads.
    """
    return Inversion(to_w_plus(w, num_ws))


def to_w_plus(w: jax.Array, num_ws: int) -> jax.Array:
    """w [B, D] repeated for every layer, [B, L, D]; w+ [B, L, D] as it is."""
    if w.ndim == 3:
        return w
    return jnp.broadcast_to(w[:, None], (len(w), num_ws, w.shape[-1]))


def apply_offsets(
    params: dict[str, Any],
    offsets: dict[str, jax.Array],
    replaced: dict[str, jax.Array] | None = None,
) -> dict[str, Any]:
    """New parameters θ·(1 + Δ); weights without an offset are shared, not copied.

    Args:
        params: nested dict of one network.
        offsets: {path: Δ}, Δ broadcasting to the weight: [I, O] (one number for each
            channel pair) or [K, K, I, O].
        replaced: {path: θ}, weights that take the place of those in `params`, before
            the offsets are applied.

    Raises:
        ValueError: an offset or a weight has no parameter of its name, or another
            shape.
    """
    flat = trees.flatten(params)
    for path, weight in (replaced or {}).items():
        _check_fit("replaced weight", path, weight.shape, flat, weight.shape)
        flat[path] = weight
    for path, delta in offsets.items():
        shape = flat[path].shape if path in flat else None
        _check_fit("offset", path, delta.shape, flat, _broadcast(delta.shape, shape))
        flat[path] = flat[path] * (1 + delta)
    return trees.unflatten(flat)


def _check_fit(what, path, shape, flat, result):
    """Refuses a change of `path` unless it leaves a weight of the same shape."""
    if path not in flat:
        raise ValueError(f"{what} for {path!r}: the generator has no such weight")
    if result != flat[path].shape:
        raise ValueError(
            f"{what} for {path!r} has shape {shape}, expected one that broadcasts to "
            f"{flat[path].shape}"
        )


def _broadcast(small: tuple[int, ...], shape: tuple[int, ...] | None):
    try:
        return np.broadcast_shapes(small, shape or ())
    except ValueError:
        return None


def synthesize(
    generator: Net,
    inversion: Inversion,
    *,
    noise="const",
    chunk: int | None = None,
    **options,
) -> jax.Array:
    """Renders an inversion with any generator of the same layers.

    Args:
        generator: Net of a Generator.
        inversion: of B images.
        noise: as in `Generator.synthesis`; so are the options `dtype` and `remat`.
        chunk: images rendered at a time when each has weights of its own (default:
            measured for each backend).

    Returns:
        [B, R, R, 3], about [-1, 1], not clipped.
    """
    w_plus = inversion.w_plus[:, None]
    return render(generator, inversion, w_plus, noise=noise, chunk=chunk, **options)[
        :, 0
    ]


def render(
    generator: Net,
    inversion: Inversion,
    w_plus: jax.Array,
    *,
    noise="const",
    chunk: int | None = None,
    **options,
) -> jax.Array:
    """Renders S latents with the weights of each image, which are made once.

    Args:
        w_plus: [B, S, L, D], used in place of the inversion's own.

    Returns:
        [B, S, R, R, 3]; see `synthesize` for the other arguments.

    Raises:
        ValueError: latents of another generator.
    """
    _check_latents(generator, w_plus)
    synthesis = {"method": "synthesis", **options}
    if not inversion.offsets and not inversion.replaced:
        flat = w_plus.reshape(-1, *w_plus.shape[2:])
        images = generator(flat, noise, **synthesis)
        return images.reshape(*w_plus.shape[:2], *images.shape[1:])

    # For a gradient the convolutions' results are kept, not the kernels that each image
    # has of its own: they are larger, and cheap to make again.
    kept = jax.checkpoint_policies.save_only_these_names(ops.CONVOLVED)

    @partial(jax.checkpoint, policy=kept)
    def render_one(image):
        w, offsets, replaced = image
        params = apply_offsets(generator.params, offsets, replaced)
        return generator.with_params(params)(w, noise, **synthesis)

    chunk = chunk or _CHUNK.get(jax.default_backend(), 8)
    images = (w_plus, inversion.offsets, inversion.replaced)
    return jax.lax.map(render_one, images, batch_size=chunk)


def _check_latents(generator, w_plus):
    rows = (generator.module.num_ws, generator.module.w_dim)
    if w_plus.ndim != 4 or w_plus.shape[2:] != rows:
        raise ValueError(
            f"latents of shape {(*w_plus.shape[:1], *w_plus.shape[2:])}: the generator "
            f"reads [B, {rows[0]}, {rows[1]}]; was the inversion made for another one?"
        )
