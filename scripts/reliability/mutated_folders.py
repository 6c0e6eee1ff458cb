"""Mutated data sets, and what train.py is told: options, the config.json of a run."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import command  # of tests/support
import numpy as np

from hyperstyle_jax import images
from hyperstyle_jax.config import fields, reading
from hyperstyle_jax.data import builders, preparing
from hyperstyle_jax.data.examples import RecordSource

_TINY = Path(__file__).parents[2] / "configs" / "tiny.py"
_WORDS = (
    "", "-1", "0", "1", "2", "1e999", "nan", "-0.5", "None", "True", "[]", "{}",
    "(1,2)", "(5,3)", "(0,)", "é", "x" * 5000, "2147483648", "9" * 40, "../x", "%s",
    "__import__('os')", "demo", "\0", "'", "1,2,3", "config.seed",
)  # fmt: skip


class Mutators(NamedTuple):
    """Changes that `mutated_files` makes, of bytes and of a value in JSON."""

    content: Callable[[bytes, random.Random], bytes]
    value: Callable[[object, random.Random], None]


def data_set(folder: Path) -> dict[str, bytes]:
    """The files of a small prepared data set, by their paths in its folder."""
    for i in range(3):
        images.save_png(folder / "images" / f"{i}.png", command.photo(i))
    out = folder / "data"
    preparing.prepare("folder", [str(folder / "images")], out, size=16)
    files = [p for p in sorted(out.rglob("*")) if p.is_file()]
    content = {str(p.relative_to(out)): p.read_bytes() for p in files}
    shutil.rmtree(out)
    return content


def mutate_data_set(files, rng, mutators: Mutators):
    """One or two files: bytes, values of JSON, or gone; lengths that are told agree."""
    files = dict(files)
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice(sorted(files))
        if name.endswith(".json") and rng.random() < 0.7:
            try:
                content = json.loads(files[name])
                mutators.value(content, rng)
            except (ValueError, TypeError):
                continue  # an earlier change has left no JSON with values
            files[name] = json.dumps(content).encode()
        elif rng.random() < 0.1 and len(files) > 1:
            del files[name]
        elif files[name]:
            files[name] = mutators.content(files[name], rng)
            _mend_length(files, name)
    return files


def _mend_length(files, name):
    try:
        report = json.loads(files["report.json"])
        report["shards"][name]["bytes"] = len(files[name])
    except (KeyError, ValueError, TypeError):
        return
    files["report.json"] = json.dumps(report).encode()


def read_data_set(place: Path) -> None:
    """As a run does: checksums, shapes, all examples."""
    source = RecordSource(place)
    source.image_sums()
    builders.shapes(place)
    source.take(np.arange(min(len(source), 8)))


def options() -> dict[str, bytes]:
    """A file with options for a config, one a line; the right ones."""
    return {"options": b"seed=3\ndata.size=8"}


def mutate_options(files, rng, mutators: Mutators):
    """Some fields with odd values; some of odd names."""
    names = sorted(fields.flatten(fields.base("hyperstyle")))
    lines = []
    for _ in range(rng.choice((1, 1, 2, 4))):
        name = rng.choice(names)
        if rng.random() < 0.1:
            name = mutators.content(name.encode(), rng).decode(errors="replace")
        lines.append(f"{name}={rng.choice(_WORDS)}".replace("\n", " "))
    return {"options": "\n".join(lines).encode()}


def read_options(place: Path) -> None:
    """As `train.py` and `pre-extract` read them."""
    reading.read(_TINY, (place / "options").read_text().split("\n"))


def run_config() -> dict[str, bytes]:
    """The config.json of a run."""
    return {"config.json": fields.to_json(reading.read(_TINY)).encode()}


def mutate_run_config(files, rng, mutators: Mutators):
    """Values, or bytes."""
    content = files["config.json"]
    if rng.random() < 0.3:
        return {"config.json": mutators.content(content, rng)}
    values = json.loads(content)
    for _ in range(rng.choice((1, 1, 2, 5))):
        mutators.value(values, rng)
    return {"config.json": json.dumps(values).encode()}


def read_run_config(place: Path) -> None:
    """As `export` and `evaluate` read it."""
    reading.read_run(place)
