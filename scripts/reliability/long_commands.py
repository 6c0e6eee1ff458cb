"""The long commands of the campaign, and how their folders are checked.

A command's items are what an interruption may not take away: finished files of a data
set, inverted photos, checkpoints with the rows of metrics up to them. Commands without
any put their result in place as a whole, or make all of it again.
"""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import folders
from forks import ROOT, Forks

_STEPS, _SAVE_EVERY = 6, 2  # of the toy run


class CannotMake(Exception):
    """Inputs of a command could not be made; says why."""


class LongCommand(NamedTuple):
    """What to start, in words of the folder of inputs and of the result."""

    name: str
    program: str
    argv: list[str]  # INPUTS and OUT stand for folders
    items: Callable[[Path], dict[str, str]] = lambda out: {}
    result: Callable[[Path], dict[str, str]] = lambda out: folders.digests(out)

    def arguments(self, inputs: Path, out: Path) -> list[str]:
        places = {"INPUTS": str(inputs), "OUT": str(out)}
        argv = self.argv
        for name, place in places.items():
            argv = [a.replace(name, place) for a in argv]
        return argv


def make_inputs(forks: Forks, inputs: Path, argv: list[str]) -> None:
    """Makes the inputs that a command line names, and what they come from; once each.

    Images, photos, faces, a bundle and official files are always made.

    Raises:
        CannotMake: a command that makes some of them failed.
    """
    records = ["prepare", "folder", "--source", "INPUTS/images", "--size", "16"]
    tiny = ["--config", "configs/tiny.py", "--config.num_steps=2"]
    tiny += ["--config.eval_every=0", "--config.image_every=0", "--workdir"]
    nets = ("generator", "encoder", "feature_extractor")
    # Networks out of a bundle are read faster than drawn.
    sources = [f"--config.init.{name}=INPUTS/begun" for name in nets]
    points = ["--landmarks", "INPUTS/points.json", "--size", "64"]
    steps = {
        "": ("inputs", ["INPUTS"]),
        "records": ("hyperstyle", [*records, "--eval-count", "16", "--out"]),
        "begun_run": ("train", tiny),
        "begun": ("hyperstyle", ["export", "INPUTS/begun_run", "--out"]),
        "run": ("train", [*tiny[:2], *sources, *tiny[2:]]),
        "aligned": ("hyperstyle", ["align", "INPUTS/faces", *points, "--out"]),
    }
    for name in ["", *re.findall(r"INPUTS/(\w+)", " ".join(argv))]:
        if name not in steps or (inputs / f"ready_{name}").exists():
            continue
        program, step = steps[name]
        if name:
            make_inputs(forks, inputs, step)
            step = [*step, f"INPUTS/{name}"]
        ended = forks.run(program, [a.replace("INPUTS", str(inputs)) for a in step])
        if ended.code:
            said = " ".join(ended.said[-300:].split())
            raise CannotMake(f"making its inputs failed: {said}")
        (inputs / f"ready_{name}").touch()


def _shards(out: Path) -> dict[str, str]:
    """Finished files of a data set: each has a JSON file that says what is in it."""
    return {f.stem: _identity(f) for f in (out / "parts").glob("[!.]*.json")}


def _photos(out: Path) -> dict[str, str]:
    names = [row["name"] for row in folders.rows(out)]
    return {n: _identity(f) for n in names if (f := out / f"{n}.npz").exists()}


def _noted(ending: str) -> Callable[[Path], dict[str, str]]:
    """Photos that are finished: the command has written a note of this ending."""
    return lambda out: {p.name: _identity(p) for p in out.glob(f"[!.]*{ending}")}


def _compared(out: Path) -> dict[str, str]:
    """Inversions with their notes, and what was measured of each method."""
    notes = {str(p.relative_to(out).with_suffix("")): p for p in out.glob("*/*.json")}
    files = {n: p.with_suffix(".npz") for n, p in notes.items()}
    return {n: _identity(f if f.exists() else notes[n]) for n, f in files.items()}


def _checkpoints(out: Path) -> dict[str, str]:
    """Checkpoints, and the rows that were written before the newest of them."""
    saved = _steps(out)
    items = {f"step {n}": _identity(out / "checkpoints" / str(n)) for n in saved}
    for row in folders.rows(out):
        if row["step"] < max(saved, default=0):
            items[f"row {row['step']}"] = json.dumps(row)
    return items


def _identity(path: Path) -> str:
    """Changes when a file is written again."""
    stat = path.stat()
    return f"{stat.st_ino} {stat.st_mtime_ns}"


def _steps(out: Path) -> list[int]:
    folder = out / "checkpoints"
    names = [p.name for p in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(name) for name in names if name.isdecimal())


def _trained(out: Path) -> dict[str, str]:
    """Rows of metrics, steps with checkpoints, and the newest state's numbers.

    A stop saves its own step too.
    """
    import jax

    from hyperstyle_jax.loop import checkpoint

    state = checkpoint.load_arrays(out, "params", "opt", "ema")
    numbers = b"".join(a.tobytes() for a in jax.tree.leaves(state))
    return {
        "rows": json.dumps(folders.timeless(folders.rows(out))),
        "steps": str([n for n in _steps(out) if n % _SAVE_EVERY == 0]),
        "state": hashlib.sha256(numbers).hexdigest(),
    }


_MODEL = ["--model", "INPUTS/model"]
_TINY = str(ROOT / "configs" / "tiny.py")
_TOY = str(ROOT / "tests" / "support" / "toy_config.py")
COMMANDS = (
    LongCommand(
        "prepare",
        "hyperstyle",
        ["prepare", "folder", "--source", "INPUTS/images", "--size", "16"]
        + ["--eval-count", "16", "--out", "OUT"],
        _shards,
    ),
    LongCommand(
        "pre-extract",
        "hyperstyle",
        ["pre-extract", _TINY, "--out", "OUT", "--set", "data.kind=tfds"]
        + ["data.path=INPUTS/records", "data.eval_split=test", "num_devices=1"]
        + ["init.generator=INPUTS/begun", "init.encoder=INPUTS/begun"],
        _shards,
    ),
    LongCommand(
        "train",
        "toy",
        ["--config", _TOY, "--workdir", "OUT", f"--config.num_steps={_STEPS}"]
        + [
            f"--config.save_every={_SAVE_EVERY}",
            "--config.keep=99",
            "--config.log_every=1",
        ],
        _checkpoints,
        _trained,
    ),
    LongCommand(
        "invert",
        "hyperstyle",  # one photo at a time: batches would be others after a kill
        ["invert", "INPUTS/photos", *_MODEL, "--batch-size", "1", "--out", "OUT"],
        _photos,
    ),
    LongCommand(
        "evaluate",
        "hyperstyle",
        ["evaluate", "INPUTS/model", "--count", "4", "--batch-size", "4"]
        + ["--out", "OUT"],
    ),
    LongCommand(
        "benchmark",
        "hyperstyle",
        ["benchmark", "--data", "INPUTS/photos", *_MODEL, "--batch-size", "2"]
        + ["--methods", "w-encoder", "w", "hyperstyle", "--set", "w.steps=3"]
        + ["--parts", "quality", "edits", "--out", "OUT"],
        _compared,
    ),
    LongCommand(
        "convert",
        "convert",
        ["INPUTS/official/hypernet.pt", "INPUTS/official/encoder.pt"]
        + ["--image-size", "16x16", "--out", "OUT"],
    ),
    LongCommand(
        "convert --to-torch", "convert", ["INPUTS/model", "--to-torch", "--out", "OUT"]
    ),
    LongCommand("export", "hyperstyle", ["export", "INPUTS/run", "--out", "OUT"]),
    LongCommand(
        "align",
        "hyperstyle",
        ["align", "INPUTS/faces", "--landmarks", "INPUTS/points.json"]
        + ["--size", "64", "--out", "OUT"],
        _noted(".align.json"),
    ),
    LongCommand(
        "edit-photo",
        "hyperstyle",
        ["edit-photo", "INPUTS/faces", "--landmarks", "INPUTS/points.json", *_MODEL]
        + ["--edit", "smile=1", "--out", "OUT"],
        _noted(".edit.json"),
    ),
    LongCommand(
        "paste-back",
        "hyperstyle",
        ["paste-back", "INPUTS/aligned", "--out", "OUT"],
        _noted(".paste.json"),
    ),
)
