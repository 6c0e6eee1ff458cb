"""One slider for each direction of a bundle, in the unit and range it was measured."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hyperstyle_jax.editing import amounts
from hyperstyle_jax.weights.bundle import Bundle

_STEPS = {"deg": 1.0, "years": 1.0, "sd": 0.1, "": 0.1}
_UNMEASURED = 3.0  # strength either way of a direction that nobody calibrated


class Slider(NamedTuple):
    """A direction as people set it.

    Attributes:
        name: of the direction.
        unit: "deg", "years", "sd", or "" for strengths of one that is not calibrated.
        low, high: the safe range, multiples of `step`.
        step: by which it moves.
    """

    name: str
    unit: str
    low: float
    high: float
    step: float

    @property
    def label(self) -> str:
        """As "hair length (sd)"."""
        name = self.name.replace("_", " ")
        return f"{name} ({self.unit})" if self.unit else name


def of_bundle(model: Bundle) -> list[Slider]:
    """The sliders, those that were measured first, as bundle.json orders them."""
    names = [*model.calibrations, *sorted(model.directions)]
    return [_slider(model, name) for name in dict.fromkeys(names)]


def to_edits(sliders: Sequence[Slider], values: Sequence[float]) -> tuple[str, ...]:
    """What sliders ask for, as texts of `--edit`; those at 0 ask for nothing."""
    pairs = zip(sliders, values, strict=True)
    return tuple(f"{s.name}={v:+g}{s.unit}" for s, v in pairs if v)


def to_values(sliders: Sequence[Slider], edits: Sequence[str]) -> list[float]:
    """Where sliders stand for these edits, the inverse of `to_edits`.

    Raises:
        ValueError: an edit that no slider can show, by its name, unit or amount.
    """
    asked: dict[str, float] = {}
    units: Mapping[str, str] = {s.name: s.unit for s in sliders}
    for edit in map(amounts.parse, edits):
        if units.get(edit.name) != edit.unit or len(edit.amounts) != 1:
            raise ValueError(f"{edit.name}: this page has no slider for it")
        asked[edit.name] = asked.get(edit.name, 0.0) + edit.amounts[0]
    for s in sliders:
        if not s.low - 1e-6 <= asked.get(s.name, 0.0) <= s.high + 1e-6:
            raise ValueError(
                f"{s.name} {asked[s.name]:+g}: its slider ends at {s.low:+g} and "
                f"{s.high:+g}"
            )
    return [asked.get(s.name, 0.0) for s in sliders]


def _slider(model, name) -> Slider:
    if name not in model.calibrations:
        return Slider(name, "", -_UNMEASURED, _UNMEASURED, _STEPS[""])
    measured = model.calibrations[name]
    unit = measured.unit or "sd"
    factor = 1.0 if measured.unit else measured.std
    step = _STEPS[unit]
    low, high = (
        round(int(measured.change(strength) / factor / step) * step, 6)
        for strength in measured.safe
    )
    return Slider(name, unit, low, high, step)
