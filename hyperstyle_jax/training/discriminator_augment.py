"""Augments what the discriminator sees: StyleGAN2-ADA's pipeline and its control.

https://arxiv.org/abs/2006.06676, appendix B: pixel blitting, then geometry, then
colour, each transformation of each image with chance p, with the published strengths.
The same is done to real and generated images, and gradients flow through it.

Mirror images, quarter turns and shifts by whole pixels move pixels and change none; the
published pipeline sends them through the filters of the geometry too. Beyond its edge
an image goes on as its mirror image.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

# The low-pass filter of the wavelet sym6 (Daubechies' least asymmetric one with six
# vanishing moments). It is orthogonal to its own shifts by two, so that up-sampling and
# down-sampling with it give back the image.
_SYM6 = np.array(
    [
        0.015404109327027373, 0.0034907120842174702, -0.11799011114819057,
        -0.048311742585633, 0.4910559419267466, 0.787641141030194,
        0.3379294217276218, -0.07263752278646252, -0.021060292512300564,
        0.04472490177066578, 0.0017677118642428036, -0.007800708325034148,
    ],
    np.float32,
)  # fmt: skip
_TAPS = len(_SYM6)
_SHIFT = (_TAPS - 1) / 2  # sample j of the finer grid is at pixel (j − _SHIFT) / 2
_LUMA = np.full(3, 1 / math.sqrt(3), np.float32)  # the axis of greys
_INTERVAL = 4  # steps from one change of p to the next


class Kinds(NamedTuple):
    """Which families of transformations are used."""

    blit: bool = True
    geometry: bool = True
    color: bool = True


def augment(x: jax.Array, keys: jax.Array, p: jax.Array, kinds: Kinds) -> jax.Array:
    """Augments each image on its own.

    Args:
        x: [B, H, W, 3] in [-1, 1]; square if `kinds.blit`.
        keys: [B], one per image.
        p: the chance of each transformation; 0 gives x itself.
        kinds: the families that are used.

    Returns:
        [B, H, W, 3], about [-1, 1].
    """

    def one(image, key):
        blit, geometry, color = jax.random.split(key, 3)
        if kinds.blit:
            image = _blitted(image, blit, p)
        if kinds.geometry:
            matrix, moved = _draw_geometry(geometry, p, image.shape[:2])
            image = jnp.where(moved, warp(image, matrix), image)
        if kinds.color:
            matrix, changed = _draw_color(color, p)
            recoloured = image @ matrix[:3, :3].T + matrix[:3, 3]
            image = jnp.where(changed, recoloured, image)
        return image

    return jax.vmap(one)(x, keys)


def initial(p: float) -> dict[str, jax.Array]:
    """The state of the control at the start: the strength p, and sums for r_t."""
    return {"p": jnp.float32(p), "signs": jnp.zeros(()), "steps": jnp.zeros(())}


def after_step(
    state: dict[str, jax.Array],
    real_sign: jax.Array,
    batch_size: int,
    target: float,
    images: float,
) -> dict[str, jax.Array]:
    """The control after a step; every fourth step moves p by a constant amount.

    Args:
        state: as of `initial`.
        real_sign: the mean of sign(D(x)) over the step's real images x, on all devices.
            Its mean r_t over four steps says whether D overfits: then it is large.
        batch_size: on all devices.
        target: of r_t, published 0.6; 0 leaves p as it is.
        images: in which p rises from 0 to 1, if it always rises; published 500,000.
    """
    if not target:
        return state
    signs, steps = state["signs"] + real_sign, state["steps"] + 1
    move = jnp.sign(signs / steps - target) * steps * batch_size / images
    due = steps >= _INTERVAL
    return {
        "p": jnp.where(due, jnp.clip(state["p"] + move, 0.0, 1.0), state["p"]),
        "signs": jnp.where(due, 0.0, signs),
        "steps": jnp.where(due, 0.0, steps),
    }


def blit(image, mirrored, quarters, shift) -> jax.Array:
    """Moves pixels: mirror image, quarter turns, then a shift of rows and columns.

    Args:
        image: [S, S, C]. mirrored: bool.
        quarters: 0 to 3, counter-clockwise.
        shift: [2] whole numbers, down and to the right; less than S.
    """
    image = jnp.where(mirrored, image[:, ::-1], image)
    turns = [lambda x, k=k: jnp.rot90(x, k) for k in range(4)]
    image = jax.lax.switch(quarters, turns, image)
    for axis in (0, 1):
        places = jnp.arange(image.shape[axis]) - shift[axis]
        image = jnp.take(image, _reflected(places, image.shape[axis]), axis=axis)
    return image


def warp(image: jax.Array, matrix: jax.Array) -> jax.Array:
    """Moves an image by an affine map, on a grid of twice its resolution.

    Up-sampled with sym6, sampled bilinearly, down-sampled with the same filter: little
    is lost, and nothing where the map is the identity or a shift by whole pixels.

    Args:
        image: [H, W, C]; beyond the edge it goes on as its mirror image.
        matrix: [2, 3], from places (x, y, 1) of the result to places in the image, in
            pixels from the middle.
    """
    fine = image
    for axis in (0, 1):
        fine = _up(fine, axis)
    height, width, _ = image.shape
    sides = (jnp.arange(2 * n + _TAPS - 2) for n in (height, width))
    rows, columns = ((side - _SHIFT) / 2 for side in sides)
    y, x = jnp.meshgrid(
        rows - (height - 1) / 2, columns - (width - 1) / 2, indexing="ij"
    )
    from_x = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] + (width - 1) / 2
    from_y = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] + (height - 1) / 2
    out = _bilinear(fine, 2 * from_y + _SHIFT, 2 * from_x + _SHIFT)
    for axis in (0, 1):
        out = _down(out, axis)
    return out


def _up(x, axis):
    """One period of the up-sampled signal; the mirrored image has period 2·n − 2."""
    n = x.shape[axis]
    period = max(2 * n - 2, 1)
    whole = jnp.take(x, _reflected(np.arange(period), n), axis=axis)
    # Sample j is the sum over pixels k of x[k]·h[j − 2k]: for each parity of j a
    # filter of half the taps.
    phases = [
        sum(
            float(_SYM6[2 * i + phase]) * jnp.roll(whole, i, axis)
            for i in range(_TAPS // 2)
        )
        for phase in (0, 1)
    ]
    shape = (*x.shape[:axis], 2 * period, *x.shape[axis + 1 :])
    return jnp.stack(phases, axis=axis + 1).reshape(shape)


def _down(x, axis):
    """Every second sum over n of h[n]·x[2·m + n]."""
    n = (x.shape[axis] - _TAPS) // 2 + 1
    return sum(
        float(tap) * jax.lax.slice_in_dim(x, i, i + 2 * n - 1, 2, axis)
        for i, tap in enumerate(_SYM6)
    )


def _bilinear(fine, y, x):
    """Samples a periodic image [P, Q, C] at places [H, W]."""
    top, left = jnp.floor(y), jnp.floor(x)
    down, right = (y - top)[..., None], (x - left)[..., None]
    rows = [(top.astype(int) + i) % fine.shape[0] for i in (0, 1)]
    columns = [(left.astype(int) + i) % fine.shape[1] for i in (0, 1)]
    upper, lower = (
        fine[r, columns[0]] * (1 - right) + fine[r, columns[1]] * right for r in rows
    )
    return upper * (1 - down) + lower * down


def _reflected(places, n: int):
    """Places beyond 0 … n − 1 as those of the mirror image; the edge is there once."""
    period = max(2 * n - 2, 1)
    places = places % period
    return jnp.where(places < n, places, period - places)


def _blitted(image, key, p):
    flip, turn, shift = (jax.random.split(k) for k in jax.random.split(key, 3))
    mirrored = _chosen(flip[0], p) & (jax.random.uniform(flip[1]) < 0.5)
    quarters = jax.random.randint(turn[1], (), 0, 4)
    side = image.shape[0]
    pixels = jnp.round(jax.random.uniform(shift[1], (2,), minval=-1) * side / 8)
    return blit(
        image,
        mirrored,
        jnp.where(_chosen(turn[0], p), quarters, 0),
        jnp.where(_chosen(shift[0], p), pixels, 0).astype(int),
    )


def _draw_geometry(key, p, size):
    """The map from places of the result to those of the image, and if it is any.

    Args:
        size: (H, W) in pixels.
    """
    names = ("scale", "before", "stretch", "after", "shift")
    keys = dict(zip(names, jax.random.split(key, 5), strict=True))
    keys = {name: jax.random.split(k) for name, k in keys.items()}
    # Two turns, before and after the stretching, together with chance p.
    chance = dict.fromkeys(names, p) | dict.fromkeys(("before", "after"), _half(p))
    chosen = {name: _chosen(k[0], chance[name]) for name, k in keys.items()}
    draw = {name: k[1] for name, k in keys.items()}
    scale = jnp.exp2(0.2 * jax.random.normal(draw["scale"]))
    stretch = jnp.exp2(0.2 * jax.random.normal(draw["stretch"]))
    shift = 0.125 * jax.random.normal(draw["shift"], (2,)) * jnp.array(size[::-1])
    turns = {
        name: _turn(jax.random.uniform(draw[name], minval=-1) * math.pi)
        for name in ("before", "after")
    }
    steps = {
        "scale": jnp.diag(jnp.stack([1 / scale, 1 / scale])),
        "before": turns["before"],
        "stretch": jnp.diag(jnp.stack([1 / stretch, stretch])),
        "after": turns["after"],
    }
    matrix = jnp.eye(2)
    for name, step in steps.items():  # the image's places come from the last step's
        matrix = matrix @ jnp.where(chosen[name], step, jnp.eye(2))
    offset = jnp.where(chosen["shift"], -shift, 0.0)
    moved = jnp.any(jnp.stack(list(chosen.values())))
    return jnp.concatenate([matrix, (matrix @ offset)[:, None]], axis=1), moved


def _half(p):
    """The chance of each of two events of which at least one shall have chance p."""
    return 1 - jnp.sqrt(1 - jnp.clip(p, 0, 1))


def _turn(angle):
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return jnp.stack([jnp.stack([cos, -sin]), jnp.stack([sin, cos])])


def _draw_color(key, p):
    """The matrix [4, 4] of colours (r, g, b, 1), and whether it changes any."""
    keys = [jax.random.split(k) for k in jax.random.split(key, 5)]
    chosen = jnp.stack([_chosen(k[0], p) for k in keys])
    draw = [k[1] for k in keys]
    greys = jnp.array(np.outer(_LUMA, _LUMA))
    brightness = 0.2 * jax.random.normal(draw[0])
    contrast = jnp.exp2(0.5 * jax.random.normal(draw[1]))
    inverted = jax.random.bernoulli(draw[2]).astype(jnp.float32)
    hue = jax.random.uniform(draw[3], minval=-1) * math.pi
    saturation = jnp.exp2(jax.random.normal(draw[4]))
    steps = [
        _affine(jnp.eye(3), brightness),
        _affine(contrast * jnp.eye(3)),
        _affine(jnp.eye(3) - 2 * inverted * greys),  # of the brightness alone
        _affine(_turn_about(_LUMA, hue)),
        _affine(greys + saturation * (jnp.eye(3) - greys)),
    ]
    matrix = jnp.eye(4)
    for step, use in zip(steps, chosen, strict=True):
        matrix = jnp.where(use, step, jnp.eye(4)) @ matrix
    return matrix, jnp.any(chosen)


def _affine(linear, offset=0.0):
    matrix = jnp.eye(4).at[:3, :3].set(linear)
    return matrix.at[:3, 3].set(offset)


def _turn_about(axis, angle):
    """The rotation [3, 3] about a unit vector (Rodrigues' formula)."""
    x, y, z = map(float, axis)
    cross = jnp.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return jnp.eye(3) + jnp.sin(angle) * cross + (1 - jnp.cos(angle)) * cross @ cross


def _chosen(key, p):
    return jax.random.uniform(key) < p
