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


class Recipe(NamedTuple):
    """What is done to each of B images; None where a family is not used.

    Attributes:
        blit: places (row, column) that pixels come from, 2 × [B, S, S] int.
        geometry: maps of places [B, 2, 3], see `warp`, and whether there is one [B].
        color: matrices [B, 3, 4] of (r, g, b, 1), the identity where nothing is done.
    """

    blit: tuple[jax.Array, jax.Array] | None
    geometry: tuple[jax.Array, jax.Array] | None
    color: jax.Array | None


def draw(keys: jax.Array, p: jax.Array, size: tuple[int, int], kinds: Kinds) -> Recipe:
    """Draws what is done to images.

    Args:
        keys: [B], one per image.
        p: the chance of each transformation.
        size: (H, W) of the images; square if `kinds.blit`.
        kinds: the families that are used.
    """

    def one(key):
        blit, geometry, color = jax.random.split(key, 3)
        return Recipe(
            _draw_blit(blit, p, size[0]) if kinds.blit else None,
            _draw_geometry(geometry, p, size) if kinds.geometry else None,
            _draw_color(color, p) if kinds.color else None,
        )

    return jax.vmap(one)(keys)


def augment(x: jax.Array, recipe: Recipe) -> jax.Array:
    """Augments each image on its own; with the strength 0 they stay as they are.

    Args:
        x: [B, H, W, 3] in [-1, 1].
        recipe: of `draw`.

    Returns:
        [B, H, W, 3], about [-1, 1].
    """
    if recipe.blit is not None:
        x = jax.vmap(lambda image, rows, columns: image[rows, columns])(x, *recipe.blit)
    if recipe.geometry is not None:
        matrix, moved = recipe.geometry
        x = jnp.where(moved[:, None, None, None], jax.vmap(warp)(x, matrix), x)
    if recipe.color is not None:
        linear, offset = recipe.color[..., :3], recipe.color[..., 3]
        exact = jax.lax.Precision.HIGHEST
        x = jnp.einsum("bhwc,bdc->bhwd", x, linear, precision=exact)
        x += offset[:, None, None]
    return x


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


def blit_places(size: int, mirrored, quarters, shift) -> tuple[jax.Array, jax.Array]:
    """Where the pixels of a moved image come from: (rows, columns), [S, S] each.

    Args:
        size: S. mirrored: whether the image is mirrored, at first.
        quarters: turns of 90°, 0 to 3, counter-clockwise, after that.
        shift: [2] whole numbers, down and to the right, at last; less than S.
    """
    last = size - 1
    row, column = (_reflected(jnp.arange(size) - step, size) for step in shift)
    rows, columns = row[:, None] + 0 * column, column + 0 * row[:, None]
    turned = (
        (rows, columns),
        (columns, last - rows),
        (last - rows, last - columns),
        (last - columns, rows),
    )
    rows, columns = (jnp.stack(part)[quarters] for part in zip(*turned, strict=True))
    return rows, jnp.where(mirrored, last - columns, columns)


def warp(image: jax.Array, matrix: jax.Array) -> jax.Array:
    """Moves an image by an affine map, on a grid of twice its resolution.

    Up-sampled with sym6, sampled bilinearly, down-sampled with the same filter: little
    is lost, and nothing where the map is the identity or a shift by whole pixels.

    Args:
        image: [H, W, C]; beyond the edge it goes on as its mirror image.
        matrix: [2, 3], from places (x, y, 1) of the result to places in the image, in
            pixels from the middle.
    """
    height, width, _ = image.shape
    fine = _separable(image, _up(height), _up(width))
    sides = (jnp.arange(2 * n + _TAPS - 2) for n in (height, width))
    rows, columns = ((side - _SHIFT) / 2 for side in sides)
    y, x = jnp.meshgrid(
        rows - (height - 1) / 2, columns - (width - 1) / 2, indexing="ij"
    )
    from_x = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] + (width - 1) / 2
    from_y = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] + (height - 1) / 2
    out = _bilinear(fine, 2 * from_y + _SHIFT, 2 * from_x + _SHIFT)
    return _separable(out, _down(height), _down(width))


def _separable(x, rows, columns):
    """x [H, W, C] times a matrix for its rows and one for its columns.

    Filters as matrices: XLA compiles them in a moment, and sums of shifted images for
    minutes on a CPU. Up to 256² they cost little.
    """
    exact = jax.lax.Precision.HIGHEST
    x = jnp.einsum("ih,hwc->iwc", rows, x, precision=exact)
    return jnp.einsum("jw,iwc->ijc", columns, x, precision=exact)


def _up(n: int) -> np.ndarray:
    """[2·period, n]: one period of the up-sampled signal of n mirrored pixels.

    Sample j is the sum over pixels k of x[k]·h[j − 2k]; the period is 2·n − 2 pixels.
    """
    period = max(2 * n - 2, 1)
    matrix = np.zeros((2 * period, n), np.float32)
    for k in range(period):
        pixel = k if k < n else period - k
        for i, tap in enumerate(_SYM6):
            matrix[(2 * k + i) % (2 * period), pixel] += tap
    return matrix


def _down(n: int) -> np.ndarray:
    """[n, 2·n + taps − 2]: pixel m is the sum over i of h[i]·x[2·m + i]."""
    matrix = np.zeros((n, 2 * n + _TAPS - 2), np.float32)
    for m in range(n):
        matrix[m, 2 * m : 2 * m + _TAPS] = _SYM6
    return matrix


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


def _draw_blit(key, p, size):
    flip, turn, shift = (jax.random.split(k) for k in jax.random.split(key, 3))
    mirrored = _chosen(flip[0], p) & (jax.random.uniform(flip[1]) < 0.5)
    quarters = jax.random.randint(turn[1], (), 0, 4)
    pixels = jnp.round(jax.random.uniform(shift[1], (2,), minval=-1) * size / 8)
    return blit_places(
        size,
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
    """The matrix [3, 4] of colours (r, g, b, 1)."""
    keys = [jax.random.split(k) for k in jax.random.split(key, 5)]
    use = jnp.stack([_chosen(k[0], p) for k in keys])
    draw = [k[1] for k in keys]
    greys, eye = jnp.array(np.outer(_LUMA, _LUMA)), jnp.eye(3)
    brightness = jnp.where(use[0], 0.2 * jax.random.normal(draw[0]), 0.0)
    contrast = jnp.where(use[1], jnp.exp2(0.5 * jax.random.normal(draw[1])), 1.0)
    inverted = use[2] & jax.random.bernoulli(draw[2])  # the brightness alone
    hue = jnp.where(use[3], jax.random.uniform(draw[3], minval=-1) * math.pi, 0.0)
    saturation = jnp.where(use[4], jnp.exp2(jax.random.normal(draw[4])), 1.0)
    linear = contrast * (eye - 2 * inverted * greys)
    turn = jnp.where(use[3], _turn_about(_LUMA, hue), eye)
    linear = (greys + saturation * (eye - greys)) @ turn @ linear
    return jnp.concatenate([linear, linear.sum(1, keepdims=True) * brightness], axis=1)


def _turn_about(axis, angle):
    """The rotation [3, 3] about a unit vector (Rodrigues' formula)."""
    x, y, z = map(float, axis)
    cross = jnp.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return jnp.eye(3) + jnp.sin(angle) * cross + (1 - jnp.cos(angle)) * cross @ cross


def _chosen(key, p):
    return jax.random.uniform(key) < p
