"""Steps of edits: what is added to the latents and the styles; steps add up."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax.editing import amounts, flow_edits, styleclip
from hyperstyle_jax.editing.amounts import Edit
from hyperstyle_jax.editing.effect_files import load_shifts
from hyperstyle_jax.editing.flow_edits import FlowEdit
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion, render, synthesize
from hyperstyle_jax.weights.bundle import Bundle


class Step(NamedTuple):
    """What an edit adds to an inversion; its weights stay.

    Attributes:
        w: added to w+, [L, D].
        styles: added to the styles, {path of a layer's kernel: [I]}.
        flow: what a flow changes, before the others are added.
    """

    w: np.ndarray
    styles: Mapping[str, np.ndarray] = {}
    flow: FlowEdit | None = None


def resolve(model: Bundle, edit: Edit) -> list[Step]:
    """The step of each amount of an edit.

    Args:
        model: whose directions are meant.
        edit: of `amounts.parse`.

    Raises:
        ValueError: the bundle has no such direction, or it is of another generator.
    """
    (generator,) = model.require("generator")
    nothing = np.zeros((generator.module.num_ws, generator.module.w_dim), np.float32)
    if edit.name.startswith(flow_edits.PREFIX):
        name = edit.name.removeprefix(flow_edits.PREFIX)
        return [
            Step(nothing, flow=flow_edits.resolve(model, name, amount, edit.unit))
            for amount in edit.amounts
        ]
    if edit.name.endswith(".npz") and not edit.unit:
        shifts = load_shifts(Path(edit.name))
        return [
            Step(nothing, {path: np.float32(amount) * v for path, v in shifts.items()})
            for amount in edit.amounts
        ]
    if edit.unit:
        raise ValueError(
            f"{edit.name} in {edit.unit}: this direction was not calibrated; give a "
            f"number without unit"
        )
    direction = _as_rows(model.direction(edit.name), generator, edit.name)
    return [Step(np.float32(amount) * direction) for amount in edit.amounts]


def total(steps: Iterable[Step]) -> Step:
    """The sum of steps, of which there is at least one."""
    first, *others = steps
    w, styles, flow = first.w, dict(first.styles), first.flow
    for step in others:
        w, flow = w + step.w, flow_edits.total(flow, step.flow)
        for path, shift in step.styles.items():
            styles[path] = styles[path] + shift if path in styles else shift
    return Step(w, styles, flow)


def apply(generator: Net, inversion: Inversion, step: Step) -> Inversion:
    """Takes one step with every image; a step of zeros changes nothing.

    Args:
        generator: Net of the Generator that renders the inversion.
        inversion: of B images.
        step: of `resolve` or `total`.
    """
    shifts = {path: shift for path, shift in step.styles.items() if np.any(shift)}
    if step.flow:
        inversion = flow_edits.apply(generator, inversion, step.flow)
    if np.any(step.w):
        inversion = inversion.replace(w_plus=inversion.w_plus + step.w)
    if shifts:
        inversion = styleclip.shift_styles(inversion, generator, shifts)
    return inversion


def apply_edits(bundle: Bundle, inversion: Inversion, *edits: str) -> Inversion:
    """Edits an inversion by what people write; the edits add up.

    Args:
        bundle: whose networks made the inversion.
        inversion: of B images.
        edits: "smile=2", "yaw=-10deg", "age=+1sd", … as `hyperstyle edit --edit`.

    Returns:
        The inversion with other latents or styles.

    Raises:
        ValueError: another form, a range, or no such direction.
    """
    single, ranges = amounts.split_ranges([amounts.parse(text) for text in edits])
    if ranges:
        raise ValueError(f"{ranges[0].name}: expected one amount, not a range")
    if not single:
        return inversion
    (generator,) = bundle.require("generator")
    step = total(resolve(bundle, edit)[0] for edit in single)
    return apply(generator, inversion, step)


def render_steps(
    generator: Net, inversion: Inversion, steps: Sequence[Step]
) -> jax.Array:
    """Renders each inversion after each of several steps.

    Args:
        generator: Net of a Generator.
        inversion: of B images.
        steps: S of them; each starts at the inversion.

    Returns:
        [B, S, R, R, 3], about [-1, 1], not clipped.
    """
    if any(step.flow or any(map(np.any, step.styles.values())) for step in steps):
        edited = [_synthesize(generator, apply(generator, inversion, s)) for s in steps]
        return jnp.stack(edited, axis=1)
    shifts = np.stack([step.w for step in steps])
    return _render(generator, inversion, inversion.w_plus[:, None] + shifts)


_render = jax.jit(render)
_synthesize = jax.jit(synthesize)


def _as_rows(direction: np.ndarray, generator: Net, name: str) -> np.ndarray:
    """A direction [D] or [L, D] with a row for each layer."""
    rows = (generator.module.num_ws, generator.module.w_dim)
    if direction.shape not in (rows, rows[1:]):
        raise ValueError(
            f"direction {name} of shape {direction.shape}: expected {rows[1:]} or "
            f"{rows} as the latents; was it made for another generator?"
        )
    return np.broadcast_to(direction, rows)
