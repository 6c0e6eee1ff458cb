"""Faults: what must not be after something has happened to a command."""

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import folders
from forks import Ended

KINDS = ("lost", "repeated", "leftover", "wrong")


class Fault(NamedTuple):
    """Something that must not be; `kind` is one of `KINDS`."""

    kind: str
    what: str


def wrong(ended: Ended, which: str = "") -> Fault:
    """An end that was not expected, with what the command said last."""
    start = ended.said.find("Traceback")
    said = ended.said[start:][:2000] if start >= 0 else ended.said[-300:]
    said = " ".join(said.split())
    return Fault("wrong", f"{which}exit code {ended.code}: {said}")


def refused(ended: Ended, words: str) -> list[Fault]:
    """Unless it ended with exit code 1 and one line that has these words."""
    lines = re.findall(r"^error: .*", ended.said, re.MULTILINE)
    good = ended.code == 1 and len(lines) == 1 and "Traceback" not in ended.said
    if good and words in lines[0]:
        return []
    return [wrong(ended)]


def halves(out: Path) -> list[Fault]:
    """Files that are in place and cannot be whole."""
    return [Fault("wrong", f"half: {p}") for p in folders.half_written(out)]


def left(out: Path) -> list[Fault]:
    """Locks and temporaries beside or in a result."""
    return [Fault("leftover", p) for p in folders.leftovers(out.parent)]


def compared(before: dict, after: dict, whole: dict) -> list[Fault]:
    """Items that were finished must stay as they were, and all must be there."""
    lost = sorted((before.keys() | whole.keys()) - after.keys())
    made = sorted(k for k in before.keys() & after.keys() if before[k] != after[k])
    return [
        *(Fault("lost", k) for k in lost),
        *(Fault("repeated", k) for k in made),
    ]


def differences(result: dict, whole: dict) -> list[Fault]:
    """What differs from an undisturbed result."""
    keys = sorted(result.keys() | whole.keys())
    different = [k for k in keys if result.get(k) != whole.get(k)]
    return [Fault("wrong", f"another result: {k}") for k in different]


def twice(out: Path) -> list[Fault]:
    """Rows of metrics.jsonl that are there more than once."""
    names = [row.get("name", row.get("step")) for row in folders.rows(out)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    return [Fault("repeated", f"row {name}") for name in twice]
