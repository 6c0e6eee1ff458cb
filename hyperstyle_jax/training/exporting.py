"""Makes a bundle of what runs have trained, with where it comes from."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from hyperstyle_jax import faces, trees
from hyperstyle_jax.config import fields as cfg
from hyperstyle_jax.config import reading
from hyperstyle_jax.loop import checkpoint, logs
from hyperstyle_jax.net import Net
from hyperstyle_jax.system import atomic_files
from hyperstyle_jax.training import labels, tasks
from hyperstyle_jax.weights import bundle, manifests, provenance
from hyperstyle_jax.weights.calibrations import Calibration

ROLES = (
    "generator",
    "encoder",
    "hypernet",
    "feature_extractor",
    "flow",
    *cfg.METHODS,
)


def export(
    runs: Sequence[Path],
    out: str | Path,
    *,
    best: bool = False,
    half: bool = False,
    num_iters: int | None = None,
    roles: Sequence[str] = ROLES,
    info: Mapping[str, Any] | None = None,
    beside: str = "",
) -> tuple[str, dict[str, Net]]:
    """Writes the bundle of some runs.

    Args:
        runs: workdirs; of two that trained one role the later one counts.
        out: folder of the bundle.
        best: the checkpoints of the best evaluation, not the newest ones.
        half: store parameters as float16.
        num_iters: iterations by default; by default those of the last run.
        roles: the networks to take, of those that the runs have.
        info: further facts, as "licence" and "summary".
        beside: a bundle of the same generator. All that it holds stays, and encoders
            to W+ and other networks that it lacks are added.

    Returns:
        The bundle's id, and its networks.

    Raises:
        ValueError: a folder is not a run, or has no checkpoint yet; the bundle is of
            another generator.
    """
    nets, configs = {}, []
    for run in runs:
        if not (run / "config.json").is_file():
            raise ValueError(f"{run} is not a run: expected a workdir of train.py")
        trained = tasks.run_nets(run, best)
        nets |= {k: v for k, v in trained.items() if k in roles}
        configs.append(json.loads((run / "config.json").read_text()))
    facts = _facts(nets, runs, configs, num_iters)
    made_of = [_run(run, best) for run in runs]
    directions: Mapping[str, np.ndarray] = {}
    measured: Mapping[str, Calibration] = {}
    if beside:
        base = bundle.load(beside)
        nets = _beside(base, nets, facts["image_size"], beside)
        facts = base.info | {"made_by": [*_listed(base.info.get("made_by")), *configs]}
        directions, measured = base.directions, base.calibrations
        made_of.append({"name": beside, "kind": "bundle", "id": base.id})
    bundle_id = bundle.save(
        out,
        nets,
        directions=directions,
        measured=measured,
        info=facts | dict(info or {}),
        dtype="float16" if half else "float32",
        made_of=provenance.record("hyperstyle export", made_of),
    )
    return bundle_id, nets


def _facts(nets, runs, configs, num_iters) -> dict[str, Any]:
    """What a bundle says of its networks."""
    facts: dict[str, Any] = {
        "made_by": configs,
        "image_size": cfg.image_size(configs[-1]["data"]),
        "num_iters": num_iters or configs[-1]["num_iters"],
        "metrics": _metrics(runs[-1]),
    }
    if "flow" in nets:
        facts["made_for"] = _identity(configs[-1]["init"]["generator"])
    if "feature_extractor" in nets:
        facts["attributes"] = list(attribute_names(reading.read_run(runs[-1])))
    return facts


def _beside(base: bundle.Bundle, nets, image_size, name: str) -> dict[str, Net]:
    """A bundle's networks, and of `nets` the encoders to W+ and those it lacks.

    Raises:
        ValueError: the bundle is of another generator, or of images of another size.
    """
    if tuple(image_size) != base.image_size:
        raise ValueError(
            f"{name} is of images of {base.image_size}, the run of {image_size}: "
            "export the run alone"
        )
    ours, theirs = (
        trees.flatten(n["generator"].variables) if "generator" in n else {}
        for n in (nets, base.nets)
    )
    same = ours.keys() == theirs.keys() and all(
        np.array_equal(ours[k], theirs[k]) for k in ours
    )
    if not (ours and same):
        raise ValueError(
            f"the run was trained for another generator than that of {name}: train it "
            f"with --config.init.generator={name}, or export it alone"
        )
    added = {k: v for k, v in nets.items() if k in cfg.METHODS or k not in base.nets}
    return base.nets | added


def _listed(made_by) -> list:
    return made_by if isinstance(made_by, list) else [made_by] if made_by else []


def attribute_names(config: ConfigDict) -> tuple[str, ...]:
    """The attributes that a run's feature extractor tells, in their order.

    They are those of the images that it was trained on, by this run or by another.
    """
    source = config.init.feature_extractor
    if config.task == "recognition":
        return labels.known(config).attributes
    if (Path(source) / "config.json").is_file():
        return attribute_names(reading.read_run(source))
    if not source:
        return tuple(faces.ATTRIBUTES) if config.data.kind == "faces" else ()
    return tuple(bundle.load(source).info.get("attributes", ()))


def _metrics(run: Path) -> dict[str, Any]:
    """The last evaluation of a run, by name."""
    rows = [{k: v for k, v in row.items() if "eval/" in k} for row in logs.read(run)]
    last = next((row for row in reversed(rows) if row), {})
    values = {name.removeprefix("eval/"): value for name, value in last.items()}
    return {"dataset": f"the evaluation set of {run.name}", "values": values}


def _run(run: Path, best: bool) -> dict[str, Any]:
    """A run for the bundle's provenance, with the networks that it started from."""
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
    if (Path(source) / "config.json").is_file():
        checksum = atomic_files.sha256(Path(source) / "config.json")
        return f"run {Path(source).name}, sha256 of its config.json {checksum}"
    try:
        folder = bundle.find(source)
    except ValueError:
        return f"{source}, which is not there any more"
    manifest = manifests.read(folder)
    return f"bundle {Path(source).name} with the id {manifests.identity(manifest)}"
