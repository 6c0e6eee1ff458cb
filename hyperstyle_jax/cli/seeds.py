"""Reads numbers and ranges on the command line, as `0-15` and `3,7,20-25`."""

import argparse
import re

LIMIT = 1_000_000  # more images at once are a mistake


def parse_seeds(text: str) -> list[int]:
    """The numbers that `0-3,7` names, in order, for argparse's `type`."""
    seeds = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,10})(?:-(\d{1,10}))?\s*", part)
        first = int(match[1]) if match else 0
        last = int(match[2] or first) if match else -1
        if last < first or last >= 2**31:
            raise argparse.ArgumentTypeError(
                f"{part!r}: expected numbers or ranges such as 0-15 or 3,7,20-25"
            )
        if last - first + len(seeds) >= LIMIT:
            raise argparse.ArgumentTypeError(f"{text!r}: more than {LIMIT} images")
        seeds.extend(range(first, last + 1))
    return list(dict.fromkeys(seeds))
