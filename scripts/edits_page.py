"""Makes the pictures of docs/edits.md: every edit on the same three photos.

    python scripts/edits_page.py          # all, into docs/edits
    python scripts/edits_page.py drag     # one of them

Each picture is the result of one command of the page, which runs in a folder of its
own. The photos are drawn faces that no network has seen.
"""

import argparse
import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from hyperstyle_jax import images
from hyperstyle_jax.cli.main import main as hyperstyle

SEEDS = (1_000_001, 1_000_005, 1_000_008)
NAMES = [f"face_{seed}" for seed in SEEDS]
FILES = [f"inverted/{name}.npz" for name in NAMES]
START = (
    f"faces --seeds {','.join(map(str, SEEDS))} --out photos",
    "invert photos --out inverted",
)
# Picture: (commands, the file that the last of them writes). A new edit is a row here
# and a section of docs/edits.md.
PICTURES = {
    "directions": (
        ["edit inverted --edit smile=-3:3:1.5 --out edited"],
        "edited/overview_smile.png",
    ),
    "several": (
        [f"edit {FILES[0]} --edit yaw=-2:2:1 --edit smile=-2:2:2 --out edited"],
        f"edited/{NAMES[0]}_yaw_smile.png",
    ),
    "flow": (
        [f"edit {FILES[0]} --edit flow:age=-2:2:1sd --edit flow:yaw=-20:20:20deg"],
        f"inverted/{NAMES[0]}_flow-age_flow-yaw.png",
    ),
    "mixing": ([f"mix {' '.join(FILES)} --with {' '.join(FILES)}"], "mixed/mixed.png"),
    "interpolation": (
        [f"interpolate {FILES[0]} {FILES[1]} mean"],
        "interpolated/interpolated.png",
    ),
    "drag": ([], ""),
    "adaptation": (
        [
            "adapt inverted --generator demo_cartoon --swap 8 16",
            "adapt inverted --generator demo_cartoon --offsets 0.3 --out weak",
        ],
        "",
    ),
}
# What is dragged: photo, from, to; the mask is a disc around the target.
DRAGS = (
    (NAMES[0], "31,40", "36,40", 24),
    (NAMES[1], "36,42", "38,39", 13),
    (NAMES[2], "26,39", "26,35", 24),
)


def make(name: str, out: Path) -> None:
    """Makes one picture, in the folder of the inversions."""
    commands, file = PICTURES[name]
    for command in commands:
        run(command)
    if name == "drag":
        images.save_png(out / "drag.png", drags())
    elif name == "adaptation":
        images.save_png(out / f"{name}.png", adaptation())
    else:
        shutil.copyfile(file, out / f"{name}.png")


def run(command: str) -> None:
    """Runs a command of `hyperstyle`; a failure ends this script."""
    print(f"hyperstyle {command}", flush=True)
    if hyperstyle(command.split()):
        raise SystemExit(1)


def drags() -> np.ndarray:
    """Before and after of three drags, side by side."""
    pairs = []
    for name, start, end, radius in DRAGS:
        mask = disc(*map(float, end.split(",")), radius)
        images.save_png("mask.png", mask)
        files = f"inverted/{name}.npz --out dragged --mask mask.png"
        run(f"drag {files} --from {start} --to {end}")
        pairs.append(images.read(f"dragged/{name}_drag_before_after.png"))
    return np.concatenate(pairs, axis=0)


def disc(x: float, y: float, radius: float, size: int = 64) -> np.ndarray:
    """A mask, white in a disc."""
    rows, columns = np.mgrid[:size, :size]
    inside = np.hypot(columns - x, rows - y) < radius
    return np.repeat(np.uint8(255 * inside)[..., None], 3, axis=-1)


def adaptation() -> np.ndarray:
    """Photos, inversions and what `hyperstyle adapt` made of them."""
    columns = {
        "photo": "photos/{}.png",
        "inversion": "inverted/{}.png",
        "adapted": "adapted/{}_adapted.png",
        "--offsets 0.3": "weak/{}_adapted.png",
        "--swap 8": "adapted/{}_adapted_8.png",
        "--swap 16": "adapted/{}_adapted_16.png",
    }
    rows = [[images.read(p.format(n)) for p in columns.values()] for n in NAMES]
    return images.grid(rows, [*columns], scale=2)


def main() -> None:
    """Reads the command line and makes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("only", nargs="*", choices=[*PICTURES, []], default=[])
    parser.add_argument("--out", type=Path, default=Path("docs/edits"))
    parser.add_argument(
        "--work", type=Path, help="folder of inversions to keep (default: none)"
    )
    args = parser.parse_args()
    out = args.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        work = args.work or held.enter_context(tempfile.TemporaryDirectory())
        Path(work).mkdir(parents=True, exist_ok=True)
        held.enter_context(contextlib.chdir(os.fspath(work)))
        for command in START:
            run(command)
        for name in args.only or PICTURES:
            make(name, out)


if __name__ == "__main__":
    main()
