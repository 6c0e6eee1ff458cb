"""`hyperstyle invert` writes inversions, images and measures of photos."""

import sys
import time
from pathlib import Path

from hyperstyle_jax.cli import inverted, photo_files, precision
from hyperstyle_jax.cli.names import unique_names
from hyperstyle_jax.system import atomic_files, folder_lock, program


def add_commands(commands):
    """Adds `hyperstyle invert`."""
    parser = commands.add_parser(
        "invert",
        help="invert photos",
        description="Inverts photos, also those of folders and zip files. Writes "
        "STEM.npz (for `hyperstyle edit`), STEM.png (the reconstruction) and "
        "STEM_iterations.png (target and every iteration) for each, and "
        "metrics.jsonl and summary.json.",
    )
    parser.add_argument(
        "inputs", nargs="+", type=Path, metavar="FILE_OR_FOLDER", help="photos"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder")
    parser.add_argument("--model", default="demo", help="bundle (default: demo)")
    parser.add_argument(
        "--num-iters", type=int, help="iterations; 0 is the initial inversion alone"
    )
    parser.add_argument(
        "--batch-size", type=int, default=8, help="photos at a time (default 8)"
    )
    precision.add_option(parser)
    parser.set_defaults(run=run)


def run(args):
    """Inverts; the folder of results is held meanwhile. Returns 1 if a photo failed."""
    from hyperstyle_jax.inversion import pipeline
    from hyperstyle_jax.system import compilation_cache
    from hyperstyle_jax.weights import bundle

    if args.batch_size < 1:
        raise ValueError(f"--batch-size {args.batch_size}: expected 1 or more")
    compilation_cache.enable()
    model = bundle.load(args.model)
    num_iters = pipeline.checked_num_iters(model, args.num_iters)
    files, failed, left_out = photo_files.collect(args.inputs, args.out)
    paths = [Path(file.path) for file in files]
    stems = unique_names(paths, ("", "_iterations"))
    _refuse_overwriting(paths, stems, args.out)
    start = time.perf_counter()
    settings = {"bundle": model.id, "num_iters": num_iters, "type": args.precision}
    with folder_lock.hold(args.out):
        done = inverted.Inverted(args.out, settings)
        kept = done.keep(files, stems)
        total = f"{len(files)} photos are inverted"
        with program.telling(lambda: f"{len(done)} of {total}"):
            _invert_all(model, files, stems, failed, num_iters, args, done)
        rows = done.finish(stems)
        summary = _summarize(rows, failed, num_iters, model, args.model)
        summary["left_out"] = left_out
        summary["seconds"] = round(time.perf_counter() - start, 3)
        atomic_files.write_json(args.out / "summary.json", summary)
    _report(summary, args.out, kept)
    return 1 if failed else 0


def _refuse_overwriting(files, stems, out):
    written = {
        (out / f"{n}{s}.png").resolve() for n in stems for s in ("", "_iterations")
    }
    if mine := [f for f in files if f.resolve() in written]:
        raise ValueError(
            f"--out {out} would overwrite the photo {mine[0]}: choose another folder"
        )


def _invert_all(model, files, stems, failed, num_iters, args, done):
    """Inverts in batches of one size; `done` gets a row of measures for each photo."""
    from tqdm import tqdm

    pairs = zip(files, stems, strict=True)
    left = [(file, name) for file, name in pairs if name not in done]
    size = min(args.batch_size, len(left))
    count = {"total": len(files), "initial": len(done)}
    with tqdm(**count, unit="photo", disable=None) as progress:
        batch = []
        for i, (file, name) in enumerate(left):
            try:
                batch.append((file, name, _read(model, file)))
            except (ValueError, OSError, MemoryError) as error:
                failed[file.path] = str(error)
                progress.update()
            if batch and (len(batch) == size or i == len(left) - 1):
                _invert_batch(model, batch, size, num_iters, args, done)
                progress.update(len(batch))
                batch = []


def _read(model, file):
    from hyperstyle_jax import images
    from hyperstyle_jax.inversion import pipeline

    return pipeline.prepare(model, [images.read(file.read(), file.path)])[0]


def _invert_batch(model, batch, size, num_iters, args, done):
    """Inverts a batch, filled up with its first photo to the size of the others.

    All batches have one size, so one compiled program serves them.
    """
    import jax
    import numpy as np

    from hyperstyle_jax.inversion import pipeline

    start = time.perf_counter()
    x = np.stack([photo for *_, photo in batch])
    x = np.concatenate([x, np.repeat(x[:1], size - len(x), axis=0)])
    refinement = pipeline.refine(model, x, num_iters, args.precision)
    measures = pipeline.measure(model, x, refinement.images)
    rendered = pipeline.full_size(model, refinement, args.precision)
    refinement, rendered = jax.device_get((refinement, rendered))
    seconds = (time.perf_counter() - start) / len(batch)
    for i, (file, name, target) in enumerate(batch):
        _write_photo(args.out / name, model, refinement, rendered[i], target, i)
        values = {k: [round(float(v), 6) for v in m[:, i]] for k, m in measures.items()}
        row = {"file": file.path, "name": name, **values, "seconds": round(seconds, 4)}
        done.add(file, name, row)


def _write_photo(stem, model, refinement, reconstruction, target, i):
    from hyperstyle_jax import images
    from hyperstyle_jax.inversion import storage

    row = [images.to_uint8(image) for image in (target, *refinement.images[:, i])]
    row.append(images.error_map(target, row[-1]))
    iterations = [str(t) for t in range(1, len(refinement.images))]
    labels = ["target", "initial", *iterations, "error"]
    scale = max(1, 96 // target.shape[0])
    images.save_png(f"{stem}_iterations.png", images.grid([row], labels, scale=scale))
    images.save_png(f"{stem}.png", reconstruction)
    storage.save(f"{stem}.npz", refinement, i, model)


def _summarize(rows, failed, num_iters, model, name) -> dict:
    from hyperstyle_jax.inversion.pipeline import MEASURES

    summary = {"photos": len(rows), "failed": failed, "num_iters": num_iters}
    summary |= {"model": name, "bundle": model.id}
    for measure in MEASURES:
        values = [row[measure] for row in rows if measure in row]
        if values:
            iterations = zip(*values, strict=True)
            means = [sum(of_one) / len(values) for of_one in iterations]
            summary[measure] = [round(mean, 6) for mean in means]
    return summary


def _report(summary, out, kept):
    from hyperstyle_jax.data.entries import left_out_line
    from hyperstyle_jax.inversion.pipeline import MEASURES

    for file, why in summary["failed"].items():
        line = f"failed: {file}: {why.removeprefix(f'{file}: ')}"
        print(" ".join(line.split()), file=sys.stderr)
    if summary["left_out"]:
        print(left_out_line(summary["left_out"]), file=sys.stderr)
    for measure in MEASURES:
        if measure in summary:
            values = " → ".join(f"{value:.4f}" for value in summary[measure])
            print(f"{measure}: {values}")
    count = f"{summary['photos']} photos in {out}"
    count += f" ({kept} were there before)" if kept else ""
    failed = f", {len(summary['failed'])} failed" if summary["failed"] else ""
    print(f"{count}{failed}; {summary['seconds']:.1f} s")
