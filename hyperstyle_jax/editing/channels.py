"""Single channels of the styles: which attribute each moves, and where.

StyleSpace (https://arxiv.org/abs/2011.12799): single channels are the least entangled
controls of a StyleGAN2. A channel is written LAYER:NUMBER, as b16/conv0:12.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax import trees
from hyperstyle_jax.editing import styleclip
from hyperstyle_jax.editing.calibrating import Meter
from hyperstyle_jax.net import Net

_LATENTS = 512  # that give the deviation of each channel
_CELLS = (("top", "middle", "bottom"), ("left", "centre", "right"))


class Channel(NamedTuple):
    """One channel of one layer's style; its text is LAYER:NUMBER."""

    layer: str
    number: int

    def __str__(self) -> str:
        return f"{self.layer}:{self.number}"

    @property
    def path(self) -> str:
        """Of the layer's kernel."""
        return f"synthesis/{self.layer}/weight"


class ChannelEffect(NamedTuple):
    """What a channel does when it moves by one standard deviation, on average.

    Attributes:
        channel: which.
        changes: of each attribute, in their standard deviations, [A].
        consistency: of each attribute, the share of images that change the same way,
            [A], 0.5 to 1.
        region: the ninth of the image with most of the change, as "middle centre".
        focus: its share of the change; 1/9 is everywhere alike.
        size: mean absolute change of the image, in [-1, 1].
    """

    channel: Channel
    changes: np.ndarray
    consistency: np.ndarray
    region: str
    focus: float
    size: float

    def purity(self, attribute: int) -> float:
        """The attribute's share of all changes of attributes."""
        total = np.abs(self.changes).sum()
        return float(np.abs(self.changes[attribute]) / total) if total else 0.0


def parse(generator: Net, text: str) -> Channel:
    """Reads LAYER:NUMBER.

    Raises:
        ValueError: the generator has no such channel.
    """
    layer, _, index = text.rpartition(":")
    sizes = {
        found.path.removeprefix("synthesis/").removesuffix("/weight"): found.in_channels
        for found in generator.module.layers()
    }
    if layer not in sizes or not index.isdecimal() or int(index) >= sizes[layer]:
        known = ", ".join(f"{k} (0 to {n - 1})" for k, n in sizes.items())
        raise ValueError(f"no channel {text!r}: expected LAYER:NUMBER of {known}")
    return Channel(layer, int(index))


def deviations(generator: Net, seed: int = 0) -> dict[str, np.ndarray]:
    """Standard deviation of each channel among generated images.

    Args:
        generator: Net of a Generator.
        seed: of the images.

    Returns:
        {path of the layer's kernel: [I]}.
    """
    z = jax.random.normal(jax.random.key(seed), (_LATENTS, generator.module.z_dim))
    styles = styleclip.styles(generator, _map(generator, z))
    return {path: np.asarray(s.std(0)) for path, s in styles.items()}


@jax.jit
def _map(generator, z):
    return generator(z, method="mapping")


def shift(generator: Net, channel: Channel) -> dict[str, np.ndarray]:
    """The shift of styles by one standard deviation of a channel."""
    std = deviations(generator)[channel.path]
    return {channel.path: np.where(np.arange(len(std)) == channel.number, std, 0)}


def measure(
    generator: Net,
    meter: Meter,
    *,
    count: int = 8,
    strength: float = 6.0,
    seed: int = 1,
    together: int = 8,
    progress: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> list[ChannelEffect]:
    """Moves every channel up and down on some images, and reads what happens.

    Args:
        generator: Net of a Generator.
        meter: reads attributes.
        count: the number of images.
        strength: of the moves, in standard deviations of the channel.
        seed: of the images.
        together: the number of channels that are rendered at a time.
        progress: wraps the loop over these groups.

    Returns:
        An effect for each channel, in the order of the layers.
    """
    w = _map(generator, _latents(generator, count, seed))
    std = deviations(generator)
    channels = [
        Channel(path.removeprefix("synthesis/").removesuffix("/weight"), index)
        for path, values in std.items()
        for index in range(len(values))
    ]
    starts = range(0, len(channels), together)
    effects: list[ChannelEffect] = []
    for start in progress(starts):
        # The last group is filled up: one shape compiles once.
        group = [channels[min(start + i, len(channels) - 1)] for i in range(together)]
        raised, lowered = (
            _render_moved(generator, w, _moves(group, std, sign * strength))
            for sign in (1.0, -1.0)
        )
        flat = (raised.shape[0] * count, *raised.shape[2:])
        read = [meter.read(x.reshape(flat))[0] for x in (raised, lowered)]
        up, down = (np.asarray(r).reshape(together, count, -1) for r in read)
        changes = (up - down) / (2 * strength) / np.maximum(meter.std, 1e-9)
        maps = np.asarray(jnp.abs(raised - lowered).mean((1, -1))) / 2
        for i, channel in enumerate(group[: len(channels) - start]):
            effects.append(_effect(channel, changes[i], maps[i], strength))
    return effects


def _latents(generator, count, seed):
    return jax.random.normal(jax.random.key(seed), (count, generator.module.z_dim))


def _moves(group: Sequence[Channel], std, strength: float) -> dict[str, np.ndarray]:
    """Shifts of the styles, {path: [V, I]}, of which each row has one channel."""
    moves = {path: np.zeros((len(group), len(s)), "f4") for path, s in std.items()}
    for row, channel in enumerate(group):
        size = strength * std[channel.path][channel.number]
        moves[channel.path][row, channel.number] = size
    return moves


@jax.jit
def _render_moved(generator, w, moves):
    """Images [V, N, R, R, 3] of latents w [N, D] under V shifts of the styles."""
    params = trees.flatten(generator.params)

    def render(shifts):
        changed = dict(params)
        for path, values in shifts.items():
            bias = f"{path.removesuffix('weight')}affine/bias"
            changed[bias] = params[bias] + values
        net = generator.with_params(trees.unflatten(changed))
        return jnp.clip(net(w, method="synthesis"), -1, 1)

    return jax.vmap(render)(moves)


def _effect(channel, changes, heat, strength) -> ChannelEffect:
    """Sums up changes [N, A] and a map of where the image changes [R, R]."""
    mean = changes.mean(0)
    same = (np.sign(changes) == np.sign(mean)).mean(0)
    thirds = [np.array_split(rows, 3, axis=1) for rows in np.array_split(heat, 3)]
    cells = np.array([[cell.sum() for cell in row] for row in thirds])
    y, x = np.unravel_index(cells.argmax(), cells.shape)
    focus = float(cells.max() / cells.sum()) if cells.sum() else 0.0
    region = f"{_CELLS[0][y]} {_CELLS[1][x]}"
    size = float(heat.mean() / strength)
    return ChannelEffect(channel, mean, np.maximum(same, 1 - same), region, focus, size)


def ranked(
    effects: Sequence[ChannelEffect], names: Sequence[str], per_attribute: int = 3
) -> Iterator[dict[str, Any]]:
    """Rows of a table: the channels that move each attribute most and others least.

    Args:
        effects: of `measure`.
        names: of the attributes.
        per_attribute: the number of channels for each.

    Yields:
        Rows by attribute, the best channel first.
    """
    for index, name in enumerate(names):
        best = sorted(
            effects, key=lambda e: -abs(e.changes[index]) * np.sqrt(e.purity(index))
        )
        for rank, effect in enumerate(best[:per_attribute], 1):
            yield {
                "attribute": name,
                "rank": rank,
                "channel": str(effect.channel),
                "change": round(float(effect.changes[index]), 4),
                "purity": round(effect.purity(index), 3),
                "consistency": round(float(effect.consistency[index]), 2),
                "region": effect.region,
                "focus": round(effect.focus, 2),
            }
