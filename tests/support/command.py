"""What the tests of the command line share: a small model, photos, error lines."""

from pathlib import Path

import numpy as np
from networks import tiny_nets

from hyperstyle_jax.cli.main import main
from hyperstyle_jax.weights import bundle

SIZE, NUM_ITERS = 16, 2


def save_model(path: Path) -> Path:
    """A bundle of random networks with a direction "smile"."""
    directions = {"smile": np.eye(6, dtype=np.float32)[0]}
    info = {"num_iters": NUM_ITERS, "licence": "MIT"}
    bundle.save(path, tiny_nets(SIZE), info=info, directions=directions)
    return path


def photo(seed: int, height: int = 20, width: int = 24) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def invert(model, *inputs, out, more=()) -> int:
    argv = ["invert", *map(str, inputs), "--out", str(out), "--model", str(model)]
    return main([*argv, "--batch-size", "2", *more])


def edit(model, *inputs, out=None, edits=("smile=-3:3:3",)) -> int:
    argv = ["edit", *map(str, inputs), "--model", str(model)]
    argv += [f"--edit={text}" for text in edits]
    return main(argv + (["--out", str(out)] if out else []))


def error_of(capsys) -> str:
    """The one line that a failed command leaves."""
    text = capsys.readouterr().err
    lines = [line for line in text.splitlines() if line.startswith("error:")]
    assert len(lines) == 1 and "Traceback" not in text, text
    return lines[0]
