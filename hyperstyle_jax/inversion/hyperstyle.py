"""HyperStyle's refinement: a few passes, each adds to the offsets. One scan.

Δ ← Δ + H(x, y); y ← G(w; θ·(1 + Δ)) (https://arxiv.org/abs/2111.15666, section 4.2).
The scan carries the summed codes, 17·512 numbers, not the offsets they decode to.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion, synthesize


class Refinement(NamedTuple):
    """Result of `invert`: the inversion, and the picture after every pass.

    `steps` is [T + 1, B, h, w, 3] at the hypernetwork's size; row 0 is the first
    inversion.
    """

    inversion: Inversion
    steps: jax.Array


def pool(image: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Block means of [B, H, W, C] down to `size`, where H and W are multiples of it."""
    (b, height, width, c), (h, w) = image.shape, size
    if (height, width) == (h, w):
        return image
    if height % h or width % w:
        raise ValueError(
            f"cannot average {height}x{width} pictures to {h}x{w}: not a multiple"
        )
    return image.reshape(b, h, height // h, w, width // w, c).mean((2, 4))


def view(image: jax.Array, size: tuple[int, int]) -> jax.Array:
    """A square generator's picture as the hypernetwork sees it: [B, h, w, C].

    Pictures that are wider than high are the middle rows of the square.
    """
    _, height, width, _ = image.shape
    rows = width * size[0] // size[1]
    top = (height - rows) // 2
    return pool(image[:, top : top + rows], size)


def first_inversion(
    encoder: Net, hypernet: Net, generator: Net, x, num_iters: int, noise="const"
) -> Inversion:
    """w = E(x), zero codes, y = G(w; θ).

    Args:
        x: [B, h, w, 3] in [-1, 1].
        num_iters: passes that will follow; separable heads keep a code for each.
    """
    w = encoder(x)
    image = generator(w, noise, method="synthesis", dtype=x.dtype)
    image = view(image, x.shape[1:3])
    batch, size = x.shape[0], hypernet.module.code
    codes = {}
    for head in hypernet.module.heads:
        path, kind = head[0], head[4]
        passes = (max(num_iters, 1),) if kind == "separable" else ()
        codes[path] = jnp.zeros((batch, *passes, size))
    return Inversion(w, {}, codes, image)


def single_pass(module, codes: dict) -> dict:
    """The codes of one pass in the form that `decode` reads."""
    kinds = {head[0]: head[4] for head in module.heads}
    return {
        path: code[:, None] if kinds[path] == "separable" else code
        for path, code in codes.items()
    }


def add_codes(codes: dict, new: dict, step) -> dict:
    """The codes after pass `step` (from 0): sums, or the pass's own row."""

    def add(old, code):
        if old.ndim == code.ndim:
            return old + code
        return jax.lax.dynamic_update_index_in_dim(old, code, step, 1)

    return {path: add(codes[path], new[path]) for path in codes}


def refine(hypernet: Net, generator: Net, x, inversion: Inversion, step, noise="const"):
    """One pass in evaluation mode: the inversion with codes and picture renewed."""
    new = hypernet(x, inversion.image)
    codes = add_codes(inversion.codes, new, step)
    offsets = hypernet(codes, step + 1, method="decode")
    tuned = inversion.replace(offsets=offsets)
    full = synthesize(generator, tuned, noise=noise, dtype=x.dtype)
    return inversion.replace(codes=codes, image=view(full, x.shape[1:3]))


def decode(hypernet: Net, inversion: Inversion, num_iters: int) -> Inversion:
    """The inversion with its offsets worked out from its codes."""
    if num_iters == 0:
        return inversion
    return inversion.replace(
        offsets=hypernet(inversion.codes, num_iters, method="decode")
    )


def invert(
    encoder: Net, hypernet: Net, generator: Net, x, num_iters: int = 5, noise="const"
) -> Refinement:
    """Inverts pictures; pure, to be jitted with `num_iters` static.

    Args:
        encoder: Net of a WEncoder. hypernet: of a Hypernet. generator: of a Generator.
        x: [B, h, w, 3] in [-1, 1] at the size the networks were trained with. Its
            dtype, float32 or bfloat16, is that of all feature maps; parameters, codes
            and pictures stay float32.
        num_iters: passes T; 0 gives the first inversion alone.
        noise: as in `Generator.synthesis`.

    Returns:
        The inversion with codes, but without offsets (`decode` gives them), its image
        [B, h, w, 3], and all steps.
    """
    start = first_inversion(encoder, hypernet, generator, x, num_iters, noise)

    def body(inversion, step):
        inversion = refine(hypernet, generator, x, inversion, step, noise)
        return inversion, inversion.image

    end, images = jax.lax.scan(body, start, jnp.arange(num_iters))
    return Refinement(end, jnp.concatenate([start.image[None], images]))
