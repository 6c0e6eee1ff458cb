"""Reads edits as people write them: smile=2, yaw=-10deg, smile=-3:3:1."""

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

UNITS = ("sd", "deg", "years")
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_AMOUNT = re.compile(
    rf"({_NUMBER})(?::({_NUMBER}):({_NUMBER}))?\s*({'|'.join(UNITS)})?"
)
_MOST = 1001  # amounts of a range


class Edit(NamedTuple):
    """One edit.

    Attributes:
        name: of a direction, or whatever else `steps.resolve` knows.
        amounts: one, or those of a range.
        unit: "" for units of the direction's strength, "sd" for standard deviations
            of its attribute, "deg" or "years" for the attribute's own.
    """

    name: str
    amounts: tuple[float, ...]
    unit: str = ""

    def labels(self) -> list[str]:
        """A text for each amount: "+2", "0", "-10 deg"."""
        ending = self.unit and f" {self.unit}"
        return [(f"{a:+g}" if a else "0") + ending for a in self.amounts]


def parse(text: str) -> Edit:
    """Reads NAME=AMOUNT or NAME=FIRST:LAST:STEP.

    A range holds both its ends; where the step does not meet the last one, the last
    distance is shorter.

    Args:
        text: "smile=2", "smile=+1sd", "yaw=-10deg", "age=-2:2:1sd".

    Raises:
        ValueError: another form.
    """
    name, _, amount = text.rpartition("=")
    found = _AMOUNT.fullmatch(amount.strip())
    if not name.strip() or not found:
        raise ValueError(
            f"--edit {text}: expected NAME=AMOUNT, as smile=2, smile=+1sd, yaw=-10deg "
            "or, for a strip, smile=-3:3:1"
        )
    first, last, step, unit = found.groups()
    if last is None:
        last, step = first, "1"
    return Edit(
        name.strip(), _range(text, *map(Decimal, (first, last, step))), unit or ""
    )


def _range(text, first: Decimal, last: Decimal, step: Decimal) -> tuple[float, ...]:
    """From `first` to `last`; decimal, so that 0.1 + 0.2 is 0.3."""
    if not step:
        raise ValueError(f"--edit {text}: a range needs a step other than 0")
    steps = abs((last - first) / step)
    if not all(math.isfinite(float(v)) for v in (first, last)) or steps >= _MOST:
        raise ValueError(f"--edit {text}: expected finite and at most {_MOST} amounts")
    way = abs(step) if last > first else -abs(step)
    amounts = [first + i * way for i in range(int(steps) + 1)]
    if amounts[-1] != last:
        amounts.append(last)
    return tuple(float(a) for a in amounts)


def split_ranges(edits: Sequence[Edit]) -> tuple[list[Edit], list[Edit]]:
    """Edits of one amount, and those of several.

    Raises:
        ValueError: more than two have several: a picture has rows and columns.
    """
    single = [e for e in edits if len(e.amounts) == 1]
    ranges = [e for e in edits if len(e.amounts) > 1]
    if len(ranges) > 2:
        names = ", ".join(e.name for e in ranges)
        raise ValueError(f"ranges of {names}: at most two fit into one picture")
    return single, ranges
