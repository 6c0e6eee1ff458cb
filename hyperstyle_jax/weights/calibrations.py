"""What a direction does, as measured: its curve, its safe range, its side effects.

bundle.json holds one of these for each calibrated direction.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

UNITS = ("", "deg", "years")
_MOST = 200  # points of a curve, attributes


class Calibration(NamedTuple):
    """The measured effect of a direction.

    Attributes:
        attribute: what was measured, as the feature extractor calls it.
        unit: of the attribute: "deg", "years", or "" where it has none.
        std: its standard deviation among the generator's images.
        strengths: of the measured edits, increasing, 0 among them.
        changes: mean change of the attribute at each strength, in its unit, increasing.
        safe: the lowest and the highest strength that keep images in the domain and
            the attribute rising.
        side_effects: {other attribute: its change in its own standard deviations when
            this one changes by one}.
        identity: mean cosine similarity to the unedited image after a change by one
            standard deviation; None where nothing measures identity.
        images: the number of images that were edited.
    """

    attribute: str
    unit: str
    std: float
    strengths: tuple[float, ...]
    changes: tuple[float, ...]
    safe: tuple[float, float]
    side_effects: Mapping[str, float]
    identity: float | None
    images: int

    def strength(self, amount: float, unit: str) -> float:
        """The strength that changes the attribute by an amount; 0 for 0.

        Args:
            amount: of change.
            unit: "sd", or the attribute's own.

        Returns:
            Read off the curve; beyond its ends, off the straight line through the
            end and 0.

        Raises:
            ValueError: the attribute has another unit.
        """
        if unit not in ("sd", self.unit) or not unit:
            own = f" or {self.unit}" if self.unit else ""
            raise ValueError(f"{self.attribute} has no unit {unit}: give sd{own}")
        change = amount * self.std if unit == "sd" else amount
        return _follow(change, self.changes, self.strengths)

    def change(self, strength: float) -> float:
        """The mean change at a strength, in the attribute's unit; as `strength`."""
        return _follow(strength, self.strengths, self.changes)

    def safe_changes(self) -> tuple[float, float]:
        """The change at both ends of the safe range, in standard deviations."""
        low, high = (self.change(strength) / self.std for strength in self.safe)
        return low, high

    def largest_side_effects(self) -> list[tuple[str, float]]:
        """Up to three, the largest first; those below 0.1 count as none."""
        ranked = sorted(self.side_effects.items(), key=lambda pair: -abs(pair[1]))
        return [(name, value) for name, value in ranked[:3] if abs(value) >= 0.1]

    def summary(self) -> str:
        """One line for people."""
        low, high = self.safe_changes()
        text = f"{low:+.1f} to {high:+.1f} sd"
        if self.unit:
            low, high = (self.change(strength) for strength in self.safe)
            text = f"{low:+.0f} to {high:+.0f} {self.unit} ({text})"
        text += f" at strengths {self.safe[0]:+.2g} to {self.safe[1]:+.2g}"
        most = ", ".join(f"{k} {v:+.2f}" for k, v in self.largest_side_effects())
        text += f"; +1 sd also moves {most}" if most else "; moves little else"
        if self.identity is not None:
            text += f"; identity {self.identity:.2f}"
        return text

    def to_json(self) -> dict[str, Any]:
        """The calibration for bundle.json."""
        return self._asdict() | {
            "strengths": [round(v, 4) for v in self.strengths],
            "changes": [round(v, 5) for v in self.changes],
            "safe": [round(v, 4) for v in self.safe],
            "std": round(self.std, 5),
            "side_effects": {k: round(v, 3) for k, v in self.side_effects.items()},
            "identity": None if self.identity is None else round(self.identity, 3),
        }


def _follow(x: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """Reads y at x off a curve through (0, 0), or beyond it off a line through 0."""
    if xs[0] <= x <= xs[-1]:
        return float(np.interp(x, xs, ys))
    end = 0 if x < 0 and xs[0] < 0 or xs[-1] <= 0 else -1
    return x * ys[end] / xs[end]


def from_json(value: Any) -> Calibration:
    """Reads one entry of bundle.json.

    Raises:
        ValueError: it is not as `Calibration.to_json` writes it.
    """
    if not isinstance(value, dict) or set(value) != set(Calibration._fields):
        raise ValueError(f"expected the fields {', '.join(Calibration._fields)}")
    strengths = _numbers(value, "strengths")
    changes, safe = _numbers(value, "changes"), _numbers(value, "safe")
    effects, identity = value["side_effects"], value["identity"]
    if not 2 <= len(strengths) == len(changes) <= _MOST:
        raise ValueError("expected as many strengths as changes, at least two")
    if 0.0 not in strengths or changes[strengths.index(0.0)] != 0.0:
        raise ValueError("expected a change of 0 at the strength 0")
    if not all(np.all(np.diff(v) > 0) for v in (strengths, changes)):
        raise ValueError("expected strengths and changes that increase")
    if len(safe) != 2 or not strengths[0] <= safe[0] <= 0 <= safe[1] <= strengths[-1]:
        raise ValueError("expected a safe range around 0 within the strengths")
    if not isinstance(effects, dict) or len(effects) > _MOST:
        raise ValueError("expected side_effects by name")
    texts = (value["attribute"], value["unit"], *effects)
    if not all(isinstance(t, str) for t in texts) or value["unit"] not in UNITS:
        raise ValueError(f"expected names, and a unit of {UNITS}")
    (std,) = _numbers({"std": [value["std"]]}, "std")
    side_effects = dict(
        zip(effects, _numbers({"effects": [*effects.values()]}, "effects"), strict=True)
    )
    if identity is not None:
        (identity,) = _numbers({"identity": [identity]}, "identity")
    images = value["images"]
    if not std > 0 or not isinstance(images, int) or isinstance(images, bool):
        raise ValueError("expected a std above 0 and a number of images")
    return Calibration(
        value["attribute"], value["unit"], std, strengths, changes, (safe[0], safe[1]),
        side_effects, identity, images,
    )  # fmt: skip


def _numbers(value: Mapping[str, Any], name: str) -> tuple[float, ...]:
    numbers = value[name]
    if not isinstance(numbers, list) or not all(
        isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n)
        for n in numbers
    ):
        raise ValueError(f"expected a list of finite numbers as {name}")
    return tuple(float(n) for n in numbers)
