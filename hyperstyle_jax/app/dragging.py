"""Points that a person clicks, and the drag that moves them."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jax.typing import ArrayLike

from hyperstyle_jax import images
from hyperstyle_jax.app.engine import Engine
from hyperstyle_jax.app.session import Session
from hyperstyle_jax.editing import drag, looks

LEAST = 384  # pixels, to which small pictures are enlarged
_MOST_POINTS = 16


class Points(NamedTuple):
    """Clicks, each [x, y] in pixels of the picture: handle, target, handle, …"""

    clicks: tuple[tuple[float, float], ...] = ()

    def clicked(self, x: float, y: float, scale: int, side: int) -> "Points":
        """One click more.

        Args:
            x, y: in pixels of the enlarged picture.
            scale: how many times it is enlarged.
            side: of the picture before.

        Raises:
            ValueError: too many points.
        """
        if len(self.clicks) >= 2 * _MOST_POINTS:
            raise ValueError(f"at most {_MOST_POINTS} points: clear them first")
        place = np.clip(np.array([x, y]) / scale - 0.5, 0, side - 1)
        return Points((*self.clicks, (float(place[0]), float(place[1]))))

    @property
    def pairs(self) -> tuple[list, list]:
        """Handles and targets, of those that have both."""
        whole = self.clicks[: len(self.clicks) // 2 * 2]
        return list(whole[::2]), list(whole[1::2])

    def drawn(self, picture: np.ndarray, scale: int) -> np.ndarray:
        """The picture, enlarged, with an arrow for each pair; the last may be alone."""
        handles, targets = self.pairs
        if len(self.clicks) % 2:
            handles, targets = [*handles, self.clicks[-1]], [*targets, self.clicks[-1]]
        return drawn(picture, handles, targets, scale)


class Dragged(NamedTuple):
    """A drag in the making.

    Attributes:
        session: with the best step so far.
        picture: of this step, enlarged, with what is left of the way.
        text: for people.
    """

    session: Session
    picture: np.ndarray
    text: str


def scale_of(side: int) -> int:
    """How many times a picture is enlarged to be clicked on."""
    return max(1, LEAST // side)


def drawn(picture: ArrayLike, points: Any, targets: Any, scale: int) -> np.ndarray:
    """A picture, smoothly enlarged, with an arrow from each point to its target."""
    small = images.to_uint8(np.asarray(picture))
    big = images.resize(small, scale * len(small), scale * len(small))
    start, end = (
        (np.reshape(p, (-1, 2)) + 0.5) * scale - 0.5 for p in (points, targets)
    )
    return images.arrows(big, start, end)


def run(
    engine: Engine,
    session: Session,
    points: Points,
    within: bool = False,
    max_steps: int = 200,
) -> Iterator[Dragged]:
    """Drags step by step; whoever stops it keeps the best step so far.

    Args:
        within: changes the picture under the session's mask only.
        max_steps: the most steps.

    Yields:
        The step without a change first.

    Raises:
        ValueError: nothing inverted, no pair of points, or no mask to keep within.
    """
    inverted, look = session.need_inverted(), session.look
    handles, targets = map(np.array, points.pairs)
    if not len(handles):
        raise ValueError("click a point of the picture, then where it shall go")
    if within and look.mask is None:
        raise ValueError("no mask is painted: see the tab Mask")
    (generator,) = engine.model.require("generator")
    start = looks.apply(engine.model, inverted.inversion, look)
    mask = look.mask if within else None
    taken = drag.steps(generator, start, handles, targets, mask, max_steps=max_steps)
    before = 0.0 if look.moved is None else look.moved
    way = {"from": points.pairs[0], "to": points.pairs[1]}
    notes = {**session.notes, "drag": way}
    scale, best = scale_of(generator.module.resolution), None
    for number, step in enumerate(taken):
        best = step if best is None else drag.best([best, step])
        if best is step:
            added = np.asarray(step.inversion.w_plus[0] - start.w_plus[0])
            moved = look._replace(moved=(before + added).astype(np.float32))
            session = session._replace(look=moved, notes=notes)
        picture = drawn(step.image, step.points, targets, scale)
        far = ", ".join(f"{distance:.1f}" for distance in step.distances)
        yield Dragged(session, picture, f"step {number}: {far} pixels left")
