"""Steps of edits: what is added to the latents and the styles; steps add up."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax.editing import amounts, channels, flow_edits, keeping, styleclip
from hyperstyle_jax.editing.amounts import Edit
from hyperstyle_jax.editing.effect_files import load_shifts
from hyperstyle_jax.editing.flow_edits import FlowEdit
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion, render, synthesize
from hyperstyle_jax.weights.bundle import Bundle

_CHANNEL = "channel:"


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


def resolve(model: Bundle, edit: Edit, keep: Sequence[str] = ()) -> list[Step]:
    """The step of each amount of an edit.

    Args:
        model: whose directions are meant.
        edit: of `amounts.parse`.
        keep: directions whose attributes shall stay as they are.

    Raises:
        ValueError: the bundle has no such direction, it is of another generator, or it
            cannot be edited in this unit.
    """
    if edit.name.startswith(_CHANNEL):
        return _channel_steps(model, edit)
    if edit.name.startswith(flow_edits.PREFIX):
        return _flow_steps(model, edit)
    if edit.name.endswith(".npz") and not edit.unit:
        return _style_steps(model, load_shifts(Path(edit.name)), edit)
    return _direction_steps(model, edit, keep)


def _direction_steps(model: Bundle, edit: Edit, keep: Sequence[str]) -> list[Step]:
    """Of a direction; others are kept by what was measured, or by their angles."""
    keep = [name for name in keep if name != edit.name]
    direction, strengths = _rows(model, edit.name), _strengths(model, edit)
    if not keep:
        return [Step(np.float32(strength) * direction) for strength in strengths]
    others = {name: _rows(model, name) for name in keep}
    measured = model.calibrations
    if not {edit.name, *keep} <= set(measured):
        moved = keeping.project_scaled(direction, list(others.values()))
        return [Step(np.float32(strength) * moved) for strength in strengths]
    shares = keeping.compensation(edit.name, keep, measured)
    steps = []
    for strength in strengths:
        amount = measured[edit.name].change(strength) / measured[edit.name].std
        parts = [
            np.float32(measured[name].strength(share * amount, "sd"))
            * (others | {edit.name: direction})[name]
            for name, share in shares.items()
        ]
        steps.append(Step(sum(parts[1:], parts[0])))
    return steps


def _channel_steps(model: Bundle, edit: Edit) -> list[Step]:
    """Of channel:LAYER:NUMBER, in standard deviations of the channel."""
    (generator,) = model.require("generator")
    if edit.unit not in ("", "sd"):
        raise ValueError(f"{edit.name} has no unit {edit.unit}: give sd")
    channel = channels.parse(generator, edit.name.removeprefix(_CHANNEL))
    return _style_steps(model, channels.shift(generator, channel), edit)


def _style_steps(model, shifts: Mapping[str, np.ndarray], edit: Edit) -> list[Step]:
    """Of shifts of styles, as many times as the amounts say."""
    return [
        Step(_nothing(model), {k: np.float32(amount) * v for k, v in shifts.items()})
        for amount in edit.amounts
    ]


def _flow_steps(model: Bundle, edit: Edit) -> list[Step]:
    """Of flow:NAME."""
    name = edit.name.removeprefix(flow_edits.PREFIX)
    return [
        Step(_nothing(model), flow=flow_edits.resolve(model, name, amount, edit.unit))
        for amount in edit.amounts
    ]


def _nothing(model: Bundle) -> np.ndarray:
    (generator,) = model.require("generator")
    return np.zeros((generator.module.num_ws, generator.module.w_dim), np.float32)


def remarks(model: Bundle, edits: Iterable[Edit]) -> list[str]:
    """A line for each edit that goes beyond its direction's safe range."""
    lines = []
    for edit in edits:
        if edit.name in model.calibrations:
            low, high = model.calibrations[edit.name].safe
            strengths = _strengths(model, edit)
            if min(strengths) < low - 1e-6 or max(strengths) > high + 1e-6:
                summary = model.calibrations[edit.name].summary()
                lines.append(f"{edit.name} beyond its safe range, {summary}")
    return lines


def _strengths(model: Bundle, edit: Edit) -> list[float]:
    """The strengths of a direction that an edit's amounts stand for."""
    if not edit.unit:
        return list(edit.amounts)
    model.direction(edit.name)  # there is one
    if edit.name not in model.calibrations:
        raise ValueError(
            f"{edit.name} in {edit.unit}: this direction was not calibrated; give a "
            "number without unit, or run `hyperstyle calibrate` first"
        )
    calibration = model.calibrations[edit.name]
    return [calibration.strength(amount, edit.unit) for amount in edit.amounts]


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


def apply_edits(
    bundle: Bundle, inversion: Inversion, *edits: str, keep: Sequence[str] = ()
) -> Inversion:
    """Edits an inversion by what people write; the edits add up.

    Args:
        bundle: whose networks made the inversion.
        inversion: of B images.
        edits: "smile=2", "yaw=-10deg", "age=+1sd", … as `hyperstyle edit --edit`.
        keep: directions whose attributes shall stay as they are.

    Returns:
        The inversion with other latents or styles.

    Raises:
        ValueError: another form, a range, or no such direction.
    """
    single, ranges = amounts.split_ranges([amounts.parse(text) for text in edits])
    if ranges:
        raise ValueError(f"{ranges[0].name}: expected one amount, not a range")
    for line in remarks(bundle, single):
        warnings.warn(line, stacklevel=2)
    if not single:
        return inversion
    (generator,) = bundle.require("generator")
    step = total(resolve(bundle, edit, keep)[0] for edit in single)
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


def _rows(model: Bundle, name: str) -> np.ndarray:
    """A direction of the bundle with a row for each layer, [L, D]."""
    (generator,) = model.require("generator")
    direction = model.direction(name)
    rows = (generator.module.num_ws, generator.module.w_dim)
    if direction.shape not in (rows, rows[1:]):
        raise ValueError(
            f"direction {name} of shape {direction.shape}: expected {rows[1:]} or "
            f"{rows} as the latents; was it made for another generator?"
        )
    return np.broadcast_to(direction, rows)
