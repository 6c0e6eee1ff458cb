"""Where a run's networks come from: fresh, a bundle, or another run's folder."""

import importlib
import json
from pathlib import Path

import jax
import jax.numpy as jnp
from flax import linen as nn
from ml_collections import ConfigDict

from hyperstyle_jax import trees
from hyperstyle_jax.config import fields as cfg
from hyperstyle_jax.loop import checkpoint, fit
from hyperstyle_jax.models.lpips import LPIPS
from hyperstyle_jax.models.resnet import FaceNet, ResNet
from hyperstyle_jax.net import Net
from hyperstyle_jax.weights import bundle, specs

# In place of a source: what costs time and memory is as with trained weights.
RANDOM = "random"
_PUBLISHED = {
    "lpips": LPIPS(),
    "arcface": FaceNet(),
    "moco": ResNet(bottleneck=True),
}


def net(name: str, source: str, module: nn.Module, seed: int, inputs=None) -> Net:
    """The network `name` for a run.

    Args:
        name: "generator", "encoder", "feature_extractor" or "hypernet".
        source: "" or RANDOM for fresh weights, "demo", a bundle folder or a run's
            workdir.
        module: what the config describes; a loaded network must be the same.
        seed: for fresh weights.
        inputs: shapes of one input each, as in `build.init_net`.

    Raises:
        ValueError: the source does not hold this network, or another architecture.
    """
    if source in ("", RANDOM):
        return specs.init_net(module, jax.random.key(seed), inputs)
    nets = run_nets(source) if _is_run(source) else bundle.load(source).nets
    if name not in nets:
        raise ValueError(f"{source} has no {name}; it has {', '.join(sorted(nets))}")
    found = nets[name]
    if found.module != module:
        there, here = specs.spec(found.module), specs.spec(module)
        lines = [
            f"{k}: {there.get(k)!r} there, {here.get(k)!r} here"
            for k in sorted(there.keys() | here.keys())
            if there.get(k) != here.get(k)
        ]
        raise ValueError(
            f"{source}: its {name} differs from the config ({'; '.join(lines)}); "
            f"change config.model.{name} or config.init.{name}"
        )
    return found


def released(name: str, source: str, field: str = "") -> Net:
    """A converted network: "lpips", "arcface", "moco", or a backbone.

    Args:
        name: of the network in the bundle.
        source: a bundle folder; RANDOM for the published architecture, untrained.
        field: of `config.init` for the error, where it is not `name`.

    Raises:
        ValueError: the bundle does not hold it.
    """
    if source == RANDOM:
        return specs.init_net(_PUBLISHED[name], jax.random.key(0))
    nets = bundle.load(source).nets
    if name not in nets:
        raise ValueError(
            f"config.init.{field or name}: {source} has no {name}; it has "
            f"{', '.join(sorted(nets))} (convert_weights.py makes one of its file)"
        )
    return nets[name]


def with_trunk(net: Net, inside: str, name: str, source: str) -> Net:
    """`net` with the weights of a converted backbone in it; `source` "": as it is.

    A first convolution that sees two images gets half of the kernel for each, so that
    equal images look to it as one did. What the backbone lacks (PReLU, heads) stays.

    Args:
        inside: where in `net` the backbone is, as "trunk".
        name: of the backbone in the bundle: "resnet", or "arcface" for its body.
        source: a bundle folder.

    Raises:
        ValueError: the bundle does not hold it, or a weight does not fit.
    """
    if source in ("", RANDOM):
        return net
    found = released(name, source, field="trunk").variables
    if name == "arcface":
        found = {k: v["body"] for k, v in found.items()}
    variables = dict(net.variables)
    for collection in ("params", "batch_stats"):
        old = trees.flatten(variables[collection])
        for path, value in trees.flatten(found[collection]).items():
            old[f"{inside}/{path}"] = _fitted(old, f"{inside}/{path}", value, source)
        variables[collection] = trees.unflatten(old)
    return Net(net.module, variables)


def _fitted(old, path, value, source):
    want = old[path].shape if path in old else None
    if want and value.ndim == 4 and want[2] == 2 * value.shape[2]:
        value = jnp.concatenate([value / 2, value / 2], axis=2)
    if value.shape != want:
        raise ValueError(
            f"config.init.trunk: {path} of {source} has shape {value.shape}, the "
            f"config has {want or 'no such weight'}; change widths and depths"
        )
    return value


def run_nets(workdir: str | Path, best: bool = False) -> dict[str, Net]:
    """The networks that a run has trained so far, and those it rests on.

    Args:
        best: of the best evaluation (see `config.best`) and not of the newest step.
    """
    path = Path(workdir) / "config.json"
    config = cfg.base(json.loads(path.read_text())["task"])
    with config.unlocked():
        config.update(ConfigDict(json.loads(path.read_text())))
    if not checkpoint.steps(workdir):
        raise ValueError(f"{workdir} has no checkpoint yet; train it further first")
    module = importlib.import_module(f"hyperstyle_jax.training.{config.task}")
    task = module.make_task(config)
    like = fit.abstract_state(task, config.seed, jax.local_devices()[:1])
    read = checkpoint.restore_best if best else checkpoint.restore
    _, state, _ = read(workdir, like)
    return module.export(config, state, task.frozen)


def _is_run(source: str) -> bool:
    return (Path(source) / "config.json").exists()
