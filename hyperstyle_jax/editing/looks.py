"""A look is all that is done to an inversion, in an order that does not matter.

Style mixing replaces rows of w+; drags and edits are added to what stands there; where
a mask is painted, only the pixels under it change.
"""

from collections.abc import Iterable
from typing import NamedTuple

import jax
import numpy as np

from hyperstyle_jax.editing import amounts, latents, mixing, steps
from hyperstyle_jax.offsets import Inversion, latent_only
from hyperstyle_jax.weights.bundle import Bundle

_FEATHER = 0.015  # standard deviation of a mask's soft edge, a part of the side


class Mix(NamedTuple):
    """Style mixing: layers above a resolution read the latent of a seed."""

    seed: int
    above: int


class Look(NamedTuple):
    """What is done to an inversion; by default nothing.

    Attributes:
        edits: "smile=+1sd", … of the bundle's directions; they add up.
        keep: directions whose attributes shall stay as they are.
        mix: layers that read another latent.
        moved: [L, D], what drags have added to the latents.
        mask: [R, R] bool, where the picture may change; None is everywhere.
    """

    edits: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    mix: Mix | None = None
    moved: np.ndarray | None = None
    mask: np.ndarray | None = None


def check(model: Bundle, look: Look) -> None:
    """Refuses a look that does not fit a bundle.

    Only the bundle's own directions are edits here: a look may come from a stranger,
    and other names of edits are files.

    Raises:
        ValueError: names what does not fit.
    """
    (generator,) = model.require("generator")
    for edit in map(amounts.parse, look.edits):
        model.direction(edit.name)
        if len(edit.amounts) != 1:
            raise ValueError(f"{edit.name}: expected one amount, not a range")
    for name in look.keep:
        model.direction(name)
    module = generator.module
    _check_array("moved", look.moved, (module.num_ws, module.w_dim))
    _check_array("mask", look.mask, (module.resolution, module.resolution))
    if look.mix:
        mixing.rows_above(generator, look.mix.above)
        if not 0 <= look.mix.seed < 2**32:
            raise ValueError(f"seed {look.mix.seed}: expected 0 to {2**32 - 1}")


def apply(model: Bundle, inversion: Inversion, look: Look) -> Inversion:
    """The inversion with the latents of a look; its mask is for pixels.

    Args:
        model: whose networks made the inversion.
        inversion: of B images.
        look: checked.

    Raises:
        ValueError: an edit in a unit that its direction does not have.
    """
    (generator,) = model.require("generator")
    if look.mix:
        other = latent_only(of_seed(model, look.mix.seed), generator.module.num_ws)
        rows = mixing.rows_above(generator, look.mix.above)
        inversion = mixing.mix(inversion, other, rows)
    added = np.zeros(inversion.w_plus.shape[1:], np.float32)
    if look.moved is not None:
        added += look.moved
    for edit in map(amounts.parse, look.edits):
        added += steps.resolve(model, edit, look.keep)[0].w
    return inversion.replace(w_plus=inversion.w_plus + added)


def of_seed(model: Bundle, seed: int) -> jax.Array:
    """The latent [1, D] that `hyperstyle generate --seeds` draws for a seed."""
    (generator,) = model.require("generator")
    z = latents.gaussian_of_seed(seed, generator.module.z_dim)
    return _map(generator, z[None])


@jax.jit
def _map(generator, z):
    return generator(z, method="mapping")


def within(
    mask: np.ndarray | None, before: np.ndarray, after: np.ndarray
) -> np.ndarray:
    """The picture after a change, where a mask allows it; elsewhere bit for bit before.

    Args:
        mask: [R, R] bool, or None for everywhere.
        before, after: [R, R, 3] uint8.

    Returns:
        [R, R, 3] uint8; the change begins softly inside of the mask.
    """
    if mask is None:
        return after
    from scipy import ndimage

    sigma = max(0.7, _FEATHER * len(mask))
    share = ndimage.gaussian_filter(np.float32(mask), sigma, mode="nearest")
    share = np.where(mask, share, 0)[..., None]
    return np.rint(before + share * (np.float32(after) - before)).astype(np.uint8)


def titles(look: Look) -> Iterable[str]:
    """A word or two for each thing that is done, for people."""
    yield from look.edits
    if look.mix:
        yield f"style of seed {look.mix.seed} above {look.mix.above}"
    if look.moved is not None:
        yield "dragged"
    if look.mask is not None:
        yield f"within {100 * look.mask.mean():.0f} % of the picture"


def _check_array(name, array, shape):
    if array is not None and array.shape != shape:
        raise ValueError(f"{name} of shape {array.shape}: expected {shape}")
