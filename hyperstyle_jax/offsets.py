"""An inverted image is a latent together with the generator's weights for this image.

HyperStyle changes weights relatively, θ̂ = θ·(1 + Δ) (https://arxiv.org/abs/2111.15666,
equation 4); pivotal tuning replaces them (https://arxiv.org/abs/2106.05744). The
generator knows of neither: it is applied with other parameters.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax import trees
from hyperstyle_jax.models import ops
from hyperstyle_jax.net import Net


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


class Inversion(flax.struct.PyTreeNode):
    """B inverted images, ready to render; every inversion method returns one.

    Attributes:
        w_plus: latents [B, L, D], a row for each layer of the generator.
        offsets: {path: Δ [B, I, O] or [B, K, K, I, O]}, relative changes of weights.
        replaced: {path: [B, …]}, parameters that take the place of the generator's.
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
    """Makes the parameters θ·(1 + Δ) of one image.

    Args:
        params: nested dict of a network.
        offsets: {path: Δ} of a shape that broadcasts to the weight: [I, O] (one number
            for each channel pair) or [K, K, I, O].
        replaced: {path: θ}, parameters that take the place of those in `params` before
            the offsets are applied.

    Returns:
        A new nested dict; parameters that do not change are shared with `params`.

    Raises:
        ValueError: `params` has no parameter of this path, or one of another shape.
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


def generator_of(generator: Net, inversion: Inversion, i: int = 0) -> Net:
    """The generator with the weights of one inverted image.

    Args:
        generator: Net of a Generator.
        inversion: of B images.
        i: the index of the image.

    Raises:
        ValueError: weights of another generator.
    """
    own = {k: v[i] for k, v in inversion.offsets.items()}
    replaced = {k: v[i] for k, v in inversion.replaced.items()}
    return generator.with_params(apply_offsets(generator.params, own, replaced))


def _check_fit(kind, path, shape, flat, new_shape):
    """Refuses a change of a parameter unless it keeps its shape."""
    if path not in flat:
        raise ValueError(f"{kind} for {path!r}: the generator has no such weight")
    if new_shape != flat[path].shape:
        raise ValueError(
            f"{kind} for {path!r} has shape {shape}, expected one that broadcasts to "
            f"{flat[path].shape}"
        )


def _broadcast(shape: tuple[int, ...], target: tuple[int, ...] | None):
    """The shape of a product of arrays of two shapes; None if there is none."""
    try:
        return np.broadcast_shapes(shape, target or ())
    except ValueError:
        return None


def synthesize(
    generator: Net,
    inversion: Inversion,
    *,
    noise: str | Mapping[str, jax.Array] = "const",
    chunk: int | None = None,
    **options,
) -> jax.Array:
    """Renders an inversion with any generator of the same layers.

    Args:
        generator: Net of a Generator.
        inversion: of B images.
        noise: as in `Generator.synthesis`; so are the options `dtype` and `remat`.
        chunk: the number of images at a time when each has weights of its own; the
            default was measured for each backend.

    Returns:
        [B, R, R, 3], about [-1, 1], not clipped.

    Raises:
        ValueError: latents of another generator.
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
    noise: str | Mapping[str, jax.Array] = "const",
    chunk: int | None = None,
    **options,
) -> jax.Array:
    """Renders several latents with the weights of each image, which are made once.

    Args:
        generator, noise, chunk, options: as in `synthesize`.
        inversion: of B images; its weights are used, its latents are not.
        w_plus: S latents for each image, [B, S, L, D].

    Returns:
        [B, S, R, R, 3], about [-1, 1], not clipped.

    Raises:
        ValueError: latents of another generator.
    """
    _check_latents(generator, w_plus)
    synthesis = {"method": "synthesis", **options}
    if not inversion.offsets and not inversion.replaced:
        flat = w_plus.reshape(-1, *w_plus.shape[2:])
        images = generator(flat, noise, **synthesis)
        return images.reshape(*w_plus.shape[:2], *images.shape[1:])

    # A gradient keeps the results of convolutions and not the kernels of each image,
    # which are larger and cheap to make again.
    policy = jax.checkpoint_policies.save_only_these_names(ops.CONVOLVED)

    @partial(jax.checkpoint, policy=policy)
    def render_image(image):
        w, offsets, replaced = image
        params = apply_offsets(generator.params, offsets, replaced)
        return generator.with_params(params)(w, noise, **synthesis)

    chunk = chunk or images_at_once()
    images = (w_plus, inversion.offsets, inversion.replaced)
    return jax.lax.map(render_image, images, batch_size=chunk)


def images_at_once() -> int:
    """How many images are computed together when each has kernels of its own.

    A batch of them is a grouped convolution. On a CPU it is 5–6 times slower than one
    image after another: 12.4 s instead of 2.1 s for 4 images of 256². On an H200 a
    batch of 8 takes 0.83–1.1 times as long as its images one by one (64² to 1024²,
    bfloat16).
    """
    return 1 if jax.default_backend() == "cpu" else 8


def _check_latents(generator, w_plus):
    rows = (generator.module.num_ws, generator.module.w_dim)
    if w_plus.ndim != 4 or w_plus.shape[2:] != rows:
        raise ValueError(
            f"latents of shape {(*w_plus.shape[:1], *w_plus.shape[2:])}: the generator "
            f"reads [B, {rows[0]}, {rows[1]}]; was the inversion made for another one?"
        )
