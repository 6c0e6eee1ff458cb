"""`hyperstyle export` makes a bundle of runs."""

import json
from pathlib import Path

from hyperstyle_jax.system import folder_lock

ROLES = ("generator", "encoder", "hypernet", "feature_extractor", "flow")


def add_commands(commands):
    """Adds `hyperstyle export`."""
    parser = commands.add_parser(
        "export",
        help="make a bundle of trained runs",
        description="Writes the networks of train.py's runs as a bundle. A run of the "
        "hypernetwork has all that inversion needs; of several runs the last one wins.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="WORKDIR")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    parser.add_argument(
        "--best",
        action="store_true",
        help="the checkpoints of the best evaluation (config.best), not the newest",
    )
    parser.add_argument("--half", action="store_true", help="parameters as float16")
    parser.add_argument(
        "--num-iters", type=int, help="iterations by default (default: the run's)"
    )
    parser.add_argument("--licence", default="unspecified", help="e.g. MIT")
    parser.add_argument("--summary", help="what the bundle is, for its README.md")
    parser.add_argument("--limits", help="what it is not good at, for its README.md")
    parser.set_defaults(run=export)


def export(args):
    """Writes the bundle of some runs; its folder is held meanwhile."""
    with folder_lock.hold(args.out, beside=True):
        _export(args)


def _export(args):
    from hyperstyle_jax import faces
    from hyperstyle_jax.config import fields as cfg
    from hyperstyle_jax.training import tasks
    from hyperstyle_jax.weights import bundle, provenance

    nets, configs = {}, []
    for run in args.runs:
        if not (run / "config.json").is_file():
            raise ValueError(f"{run} is not a run: expected a workdir of train.py")
        trained = tasks.run_nets(run, args.best)
        nets |= {k: v for k, v in trained.items() if k in ROLES}
        configs.append(json.loads((run / "config.json").read_text()))
    info = {
        "licence": args.licence,
        "made_by": configs,
        "image_size": cfg.image_size(configs[-1]["data"]),
        "num_iters": args.num_iters or configs[-1]["num_iters"],
        "metrics": _metrics(args.runs[-1]),
    }
    info |= {k: v for k in ("summary", "limits") if (v := getattr(args, k))}
    if "flow" in nets:
        started = configs[-1]["init"]
        info["made_for"] = _identity(started["generator"])
    if "feature_extractor" in nets:
        info["attributes"] = list(faces.ATTRIBUTES)
    made_of = [_run(run, args.best) for run in args.runs]
    bundle_id = bundle.save(
        args.out,
        nets,
        info=info,
        dtype="float16" if args.half else "float32",
        made_of=provenance.record("hyperstyle export", made_of),
    )
    size = sum(f.stat().st_size for f in args.out.iterdir()) / 2**20
    print(f"bundle {bundle_id} in {args.out}: {', '.join(nets)}; {size:.1f} MiB")
    missing = [r for r in ROLES[:3] if r not in nets]
    if missing and set(nets) != {"flow"}:
        print(f"to invert photos it also needs: {', '.join(missing)}")


def _metrics(run: Path) -> dict:
    """The last evaluation of a run, by name."""
    from hyperstyle_jax.loop import logs

    rows = [{k: v for k, v in row.items() if "eval/" in k} for row in logs.read(run)]
    last = next((row for row in reversed(rows) if row), {})
    values = {name.removeprefix("eval/"): value for name, value in last.items()}
    return {"dataset": f"the evaluation set of {run.name}", "values": values}


def _run(run: Path, best: bool) -> dict:
    """A run for the bundle's provenance, with the networks that it started from."""
    from hyperstyle_jax.loop import checkpoint
    from hyperstyle_jax.system import atomic_files

    config = json.loads((run / "config.json").read_text())
    started_from = {k: v for k, v in config.get("init", {}).items() if v}
    return {
        "name": run.name,
        "kind": f"run of {config['task']}",
        "step": "best evaluation" if best else max(checkpoint.steps(run)),
        "sha256": atomic_files.sha256(run / "config.json"),
        "started_from": {k: _identity(v) for k, v in started_from.items()},
    }


def _identity(source: str) -> str:
    """A network's source with what names its weights: a bundle's id or checksum."""
    from hyperstyle_jax.system import atomic_files
    from hyperstyle_jax.weights import bundle, manifests

    if (Path(source) / "config.json").is_file():
        checksum = atomic_files.sha256(Path(source) / "config.json")
        return f"run {Path(source).name}, sha256 of its config.json {checksum}"
    try:
        folder = bundle.find(source)
    except ValueError:
        return f"{source}, which is not there any more"
    manifest = manifests.read(folder)
    return f"bundle {Path(source).name} with the id {manifests.identity(manifest)}"
