"""The idea: a picture is a latent plus a small relative change of the generator.

θ̂ = θ·(1 + Δ), HyperStyle equation 4 (https://arxiv.org/abs/2111.15666). The generator
never hears about offsets: it gets other parameters.
"""

from functools import partial
from typing import Any

import flax
import jax
import numpy as np

from hyperstyle_jax import trees
from hyperstyle_jax.models import ops
from hyperstyle_jax.net import Net

# Images rendered together when every image has its own kernels. A batch of them is a
# grouped convolution: 5–6 times slower than one after another on a CPU (256², batch 4:
# 12.4 s against 2.1 s). On an H200 a batch of 8 takes 0.83–1.1 times as long as its
# images one by one (64² to 1024², bfloat16).
_CHUNK = {"cpu": 1}


@flax.struct.dataclass
class Inversion:
    """What every inversion method returns.

    Attributes:
        w_plus: [B, L, D], or w [B, D] where all rows are equal.
        offsets: {path: [B, I, O] or [B, K, K, I, O]}; {} for latent-only methods.
        codes: {path: [B, C]} from which a hypernetwork decodes the offsets; or {}.
        image: the reconstruction [B, H, W, 3] as the method last saw it.
    """

    w_plus: jax.Array
    offsets: dict[str, jax.Array]
    codes: dict[str, jax.Array]
    image: jax.Array


def apply_offsets(params: dict[str, Any], offsets: dict[str, jax.Array]):
    """New parameters θ·(1 + Δ); paths without an offset are shared, not copied.

    Args:
        params: nested dict of one network.
        offsets: {path: Δ}, Δ broadcasting to the parameter: [I, O] (one number per
            channel pair) or [K, K, I, O].

    Raises:
        ValueError: an offset has no parameter of its name, or does not fit it.
    """
    flat = trees.flatten(params)
    for path, delta in offsets.items():
        if path not in flat:
            raise ValueError(f"offset for {path!r}: the generator has no such weight")
        shape = flat[path].shape
        if not _broadcasts(delta.shape, shape):
            raise ValueError(
                f"offset for {path!r} has shape {delta.shape}, expected one that "
                f"broadcasts to {shape}"
            )
        flat[path] = flat[path] * (1 + delta)
    return trees.unflatten(flat)


def _broadcasts(small: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(small, shape) == shape
    except ValueError:
        return False


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
        inversion: with w_plus [B, …] and offsets [B, …].
        noise: as in `Generator.synthesis`; so are options, `dtype` and `remat`.
        chunk: images rendered at a time when there are offsets (default: measured
            per backend).

    Returns:
        [B, R, R, 3], not clipped.
    """
    if not inversion.offsets:
        return generator(inversion.w_plus, noise, method="synthesis", **options)

    # For a gradient the convolutions' results are kept, not the kernels that each image
    # has of its own: they are larger, and cheap to make again.
    kept = jax.checkpoint_policies.save_only_these_names(ops.CONVOLVED)

    @partial(jax.checkpoint, policy=kept)
    def render(one):
        w, offsets = one
        net = generator.with_params(apply_offsets(generator.params, offsets))
        return net(w[None], noise, method="synthesis", **options)[0]

    chunk = chunk or _CHUNK.get(jax.default_backend(), 8)
    return jax.lax.map(render, (inversion.w_plus, inversion.offsets), batch_size=chunk)
