"""`hyperstyle faces` writes procedural faces as PNG files with their labels."""

import json
from pathlib import Path

from hyperstyle_jax.cli.seeds import parse_seeds
from hyperstyle_jax.system import folder_lock

_BATCH = 32


def add_commands(commands):
    """Adds `hyperstyle faces`."""
    parser = commands.add_parser(
        "faces",
        help="draw procedural faces and their attributes",
        description="Draws procedural faces. Training uses seeds below 1,000,000 only: "
        "larger ones are unseen. Writes face_SEED.png and labels.jsonl.",
    )
    parser.add_argument(
        "--seeds", type=parse_seeds, required=True, help="e.g. 1000000-1000015"
    )
    parser.add_argument(
        "--accessories",
        action="store_true",
        help="hats, face paint, …: things that no training image shows",
    )
    parser.add_argument(
        "--style",
        choices=("portrait", "cartoon"),
        default="portrait",
        help="two drawings of the same faces (default portrait)",
    )
    parser.add_argument("--size", type=int, default=64, help="pixels (default 64)")
    parser.add_argument("--out", type=Path, required=True, help="folder")
    parser.set_defaults(run=run)


def run(args):
    """Draws the faces; the folder is held meanwhile."""
    with folder_lock.hold(args.out):
        _run(args)


def _run(args):
    from tqdm import tqdm

    from hyperstyle_jax import faces, images
    from hyperstyle_jax.system import atomic_files

    labels = []
    options = {"size": args.size, "accessories": args.accessories}
    options["style"] = args.style
    with tqdm(total=len(args.seeds), unit="face", disable=None) as progress:
        for i in range(0, len(args.seeds), _BATCH):
            seeds = args.seeds[i : i + _BATCH]
            drawn = faces.draw(seeds, **options)
            for image, label in zip(
                drawn["image"], faces.to_labels(drawn), strict=True
            ):
                name = f"face_{label['index']:07d}.png"
                images.save_png(args.out / name, image)
                labels.append(json.dumps({"file": name, **label}))
            progress.update(len(seeds))
    text = "".join(f"{line}\n" for line in labels)
    atomic_files.write_whole(args.out / "labels.jsonl", text.encode())
    print(f"{len(labels)} faces and labels.jsonl in {args.out}")
