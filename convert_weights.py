"""Converts official weights into a bundle and back; no PyTorch needed.

python convert_weights.py hyperstyle_ffhq.pt faces_w_encoder.pt --out ffhq
python convert_weights.py ffhq --to-torch --out ffhq_torch
python convert_weights.py ffhq --merge photo.npz --out photo_generator.pt
"""

import argparse
import sys
from pathlib import Path

from hyperstyle_jax.system import console, folder_lock, program


def main(argv: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    args = _parser().parse_args(argv)
    return program.run(lambda: run(args))


def run(args: argparse.Namespace):
    """Converts, restores or merges, as the arguments say."""
    with folder_lock.hold(args.out, beside=True):
        _run(args)


def _run(args):
    from hyperstyle_jax.convert import conversion, merging, restoring

    if (args.to_torch or args.merge) and len(args.sources) != 1:
        raise ValueError(f"{len(args.sources)} bundles given: expected one")
    if args.to_torch:
        restoring.export(args.sources[0], args.out)
        return
    with program.telling(lambda: f"nothing was written to {args.out}"):
        if args.merge:
            merging.merge(args.sources[0], args.merge, args.out, args.layout)
            return
        options = {"kind": args.kind, "image_size": args.image_size}
        bundle_id = conversion.convert(args.sources, args.out, **options)
    print(f"bundle {bundle_id} in {args.out}")


def _parser() -> argparse.ArgumentParser:
    from hyperstyle_jax.convert.kinds import KINDS

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("sources", nargs="+", metavar="SOURCE", help="official files, or one bundle")
    add("--out", required=True, type=Path, help="bundle, or with --to-torch .pt file")
    add("--kind", default="auto", choices=("auto", *KINDS), help="default: by content")
    add(
        "--image-size",
        type=_size,
        metavar="HxW",
        help="of the images that go in (default: that of the data set which the files' "
        "training options name, or 256x256)",
    )
    back = parser.add_mutually_exclusive_group()
    back.add_argument("--to-torch", action="store_true", help="bundle → official files")
    back.add_argument("--merge", metavar="NPZ", help="write the inversion's generator")
    add("--layout", default="rosinality", choices=("rosinality", "nvidia"))
    return parser


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    return int(height), int(width or height)


if __name__ == "__main__":
    console.prepare()
    sys.exit(console.finish(main()))
