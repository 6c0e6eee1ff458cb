"""`hyperstyle invert` writes inversions, images and measures of photos."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyperstyle_jax.cli import inverted, photo_files, photo_runs, precision, shards
from hyperstyle_jax.cli.names import unique_names
from hyperstyle_jax.system import atomic_files, folder_lock, program

if TYPE_CHECKING:  # it takes long to import
    from hyperstyle_jax.cli.ways import Way

_MOST_NOTES = 50  # lines on the screen


def add_commands(commands):
    """Adds `hyperstyle invert`."""
    parser = commands.add_parser(
        "invert",
        help="invert photos",
        description="Inverts photos, also those of folders, zip files and patterns. "
        "Writes STEM.npz (for `hyperstyle edit`), STEM.png (the reconstruction) and "
        "STEM_iterations.png (target and every iteration) for each, and "
        "metrics.jsonl and summary.json. What is done already is not done again.",
    )
    photo_runs.add_photo_options(parser)
    parser.add_argument("--model", default="demo", help="bundle (default: demo)")
    parser.add_argument(
        "--method",
        default="hyperstyle",
        metavar="NAME",
        help="hyperstyle (default), w, w-plus, pti, ...: docs/methods.md",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        dest="settings",
        metavar="NAME=VALUE",
        help="settings of the method, as steps=200 lr=0.05",
    )
    parser.add_argument(
        "--num-iters", type=int, help="iterations; 0 is the initial inversion alone"
    )
    parser.add_argument(
        "--until",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="iterate each image only until it is good enough: lpips=0.1, l2=0.01, "
        "identity=0.8 (several: all of them)",
    )
    parser.add_argument(
        "--batch-size", type=int, default=8, help="photos at a time (default 8)"
    )
    parser.add_argument(
        "--align",
        action="store_true",
        help="find faces and cut them out first; STEM_crop.png and STEM.align.json "
        "are kept for `hyperstyle paste-back`",
    )
    photo_runs.add_face_options(parser)
    parser.add_argument(
        "--shard",
        default="1/1",
        metavar="I/N|auto",
        help="one of N processes that fill the same folder, numbered from 1; auto "
        "asks SLURM or jax's cluster",
    )
    precision.add_option(parser)
    parser.set_defaults(run=run)


def run(args):
    """Inverts; the folder of results is held meanwhile. Returns 1 if a photo failed."""
    from hyperstyle_jax.cli.inverting import Inverting
    from hyperstyle_jax.system import compilation_cache
    from hyperstyle_jax.weights import bundle

    if args.batch_size < 1:
        raise ValueError(f"--batch-size {args.batch_size}: expected 1 or more")
    shard = shards.parse(args.shard)
    compilation_cache.enable()
    model = bundle.load(args.model)
    way, facts = _way(args, model)
    aligner = _aligner(args, model)
    inputs = list(photo_runs.expanded(args.inputs))
    files, failed, left_out = photo_files.collect(inputs, args.out)
    paths = [Path(file.path) for file in files]
    endings = inverted.ALIGNED_ENDINGS if aligner else inverted.ENDINGS
    stems = unique_names(paths, ("", "_iterations", "_crop"))
    _refuse_overwriting(paths, stems, args, endings)
    settings = {"bundle": model.id, **facts, "type": args.precision}
    settings |= aligner.key() if aligner else {}
    facts |= {"model": args.model, "bundle": model.id, "left_out": left_out}
    work = list(zip(range(len(files)), files, stems, strict=True))
    with shard.hold(args.out, {"settings": settings, "photos": stems}):
        done = inverted.Inverted(args.out, settings, endings, shard)
        inverting = Inverting(model, way, aligner, args, done)
        inverting.failed |= failed
        return _invert(inverting, done, shard.part(work), shard, args.out, facts)


def _way(args, model) -> "tuple[Way, dict[str, Any]]":
    """How to invert, and what the results depend on besides bundle and photo."""
    from hyperstyle_jax.cli import ways
    from hyperstyle_jax.inversion import measuring, methods

    until, given = dict(map(_bound, args.until)), ways.parse_settings(args.settings)
    if args.num_iters is not None:
        given["num_iters"] = args.num_iters
    settings = methods.checked(model, args.method, given)
    if args.method == "hyperstyle":
        args.precision = given.get("dtype", args.precision)
        measuring.checked_bounds(until, model.nets.get("feature_extractor"))
        num_iters = methods.checked_num_iters(model, settings["num_iters"])
        facts = {"num_iters": num_iters} | ({"until": until} if until else {})
        return ways.HyperStyle(model, num_iters, until, args.precision), facts
    if until or args.precision != "float32":
        raise ValueError(
            f"--until and --precision are HyperStyle's: leave them out with --method "
            f"{args.method}"
        )
    facts = {"method": args.method, "settings": settings}
    return ways.Other(model, args.method, settings), facts


def _bound(text: str) -> tuple[str, float]:
    """ "lpips=0.1" → ("lpips", 0.1)."""
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise ValueError(f"--until {text}: expected NAME=VALUE, as lpips=0.1") from None


def _aligner(args, model):
    """How faces are found, or None; its options without --align are refused."""
    from hyperstyle_jax.cli.targets import Aligner
    from hyperstyle_jax.inversion import pipeline

    if not args.align:
        plain = (args.face, args.landmarks, args.landmark_model)
        if plain != ("largest", "dlib", None):
            raise ValueError("--face and --landmarks need --align")
        return None
    size = pipeline.crop_side(model)
    find, label = photo_runs.load_finder(args)
    return Aligner(find, label, args.landmarks, args.face, size, args.out)


def _refuse_overwriting(files, stems, args, endings):
    out, written = args.out.resolve(), set()
    for stem in stems:
        written |= {out / f"{stem}{end}" for end in endings if end.endswith(".png")}
    mine = [f for f in files if f.resolve() in written]
    if args.align and args.face == "all":  # names end with a number
        mine = [f for f in files if f.resolve().parent == out]
    if mine:
        raise ValueError(
            f"--out {args.out} would overwrite the photo {mine[0]}: choose another "
            "folder"
        )


def _invert(inverting, done, work, shard, out, facts) -> int:
    """Inverts and sums up within the folder that is held; returns the exit code."""
    start = time.perf_counter()
    total = f"{len(work)} photos are inverted"
    with program.telling(lambda: f"{len(done)} of {total}"):
        inverting.go(work)
    summary = _summarize(done.finish(), facts, inverting.failed)
    summary["seconds"] = round(time.perf_counter() - start, 3)
    summary["seconds_waited"] = round(inverting.waited, 3)
    atomic_files.write_json(out / shard.file(shards.SUMMARY), summary)
    whole = _merge(out, shard, facts)
    _report(inverting, summary, out)
    if shard.of > 1:
        print(f"shard {shard}: {_SHARDS[whole]}")
    return 1 if inverting.failed else 0


_SHARDS = {
    True: "all shards are through; metrics.jsonl and summary.json are of all",
    False: "others are at work, or to come; the last one writes summary.json",
}


def _merge(out: Path, shard, facts: dict) -> bool:
    """Makes one summary, once all shards are through; returns whether they are."""
    if shard.of == 1:
        shards.remove(out)
        return True
    with folder_lock.alone(out):
        parts = shards.summaries(out, shard)
        if not parts:
            return False
        failed = {k: v for part in parts for k, v in part["failed"].items()}
        summary = _summarize(inverted.merge(out, shard.of), facts, failed)
        for name in ("seconds", "seconds_waited"):
            summary[name] = max(part[name] for part in parts)
        summary["shards"] = shard.of
        atomic_files.write_json(out / shards.SUMMARY, summary)
        shards.remove(out)
    return True


def _summarize(rows, facts, failed) -> dict:
    """Counts, and the means after each iteration; images that stopped keep theirs."""
    from hyperstyle_jax.inversion.measuring import MEASURES

    summary = {"photos": len(rows), "failed": failed, **facts}
    summary["unlike"] = sum(row.get("unlike", False) for row in rows)
    for measure in MEASURES:
        values = [row[measure] for row in rows if measure in row]
        if values:
            longest = max(map(len, values))
            values = [v + v[-1:] * (longest - len(v)) for v in values]
            means = [sum(of_one) / len(values) for of_one in zip(*values, strict=True)]
            summary[measure] = [round(mean, 6) for mean in means]
    if counts := [row["num_iters"] for row in rows if "num_iters" in row]:
        summary["mean_num_iters"] = round(sum(counts) / len(counts), 3)
    return summary


def _report(run, summary, out):
    from hyperstyle_jax.data.entries import left_out_line
    from hyperstyle_jax.inversion.measuring import MEASURES

    for file, remark in run.remarks[:_MOST_NOTES]:
        print(f"note: {file}: {remark}", file=sys.stderr)
    if (more := len(run.remarks) - _MOST_NOTES) > 0:
        count = f"{summary['unlike']} pictures are unlike the model's (metrics.jsonl)"
        print(f"note: {more} more notes; {count}", file=sys.stderr)
    for file, why in summary["failed"].items():
        line = f"failed: {file}: {why.removeprefix(f'{file}: ')}"
        print(" ".join(line.split()), file=sys.stderr)
    if summary["left_out"]:
        print(left_out_line(summary["left_out"]), file=sys.stderr)
    for measure in MEASURES:
        if measure in summary:
            values = " → ".join(f"{value:.4f}" for value in summary[measure])
            print(f"{measure}: {values}")
    if "mean_num_iters" in summary:
        print(f"iterations: {summary['mean_num_iters']:.2f} on average")
    count = f"{summary['photos']} photos in {out}"
    count += f" ({run.kept} were there before)" if run.kept else ""
    failed = f", {len(summary['failed'])} failed" if summary["failed"] else ""
    print(f"{count}{failed}; {summary['seconds']:.1f} s")
