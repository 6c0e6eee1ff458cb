"""The networks that a run begins with: fresh, of a bundle, on a converted backbone.

`tasks.load_networks` also knows the networks of other runs.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from hyperstyle_jax import trees
from hyperstyle_jax.models.irnet import FaceNet
from hyperstyle_jax.models.lpips import LPIPS
from hyperstyle_jax.models.resnet import ResNet
from hyperstyle_jax.net import Net
from hyperstyle_jax.weights import bundle, specs

# In place of a source: untrained weights, to measure what a run costs.
RANDOM = "random"
_PUBLISHED = {
    "lpips": LPIPS(),
    "arcface": FaceNet(),
    "moco": ResNet(bottleneck=True),
}
_ENCODERS_OF_METHODS = ("psp", "e4e", "restyle_psp", "restyle_e4e")
# From a source, as `config.init` names it, to the networks that it holds.
Load = Callable[[str], dict[str, Net]]


def bundle_networks(source: str) -> dict[str, Net]:
    """The networks of a bundle, by name.

    Args:
        source: "demo" or a bundle's folder.

    Raises:
        ValueError: it is no bundle, or a damaged one.
    """
    return bundle.load(source).nets


def network(
    name: str,
    source: str,
    module: nn.Module,
    seed: int,
    inputs: Sequence[tuple[int, ...]] | None = None,
    load: Load = bundle_networks,
) -> Net:
    """The network `name` for a run.

    Args:
        name: "generator", "encoder", "feature_extractor" or "hypernet".
        source: "" or RANDOM for fresh weights, else what `load` takes.
        module: what the config describes; a loaded network must be the same.
        seed: of fresh weights.
        inputs: shapes of one input each, as in `specs.init_net`.
        load: gives the networks of a source.

    Raises:
        ValueError: the source does not hold this network, or another architecture.
    """
    if source in ("", RANDOM):
        return specs.init_net(module, jax.random.key(seed), inputs)
    nets = load(source)
    if name not in nets:
        raise ValueError(f"{source} has no {name}; it has {_listed(nets)}")
    net = nets[name]
    if net.module != module:
        there, here = specs.spec(net.module), specs.spec(module)
        lines = [
            f"{k}: {there.get(k)!r} there, {here.get(k)!r} here"
            for k in sorted(there.keys() | here.keys())
            if there.get(k) != here.get(k)
        ]
        raise ValueError(
            f"{source}: its {name} differs from the config ({'; '.join(lines)}); "
            f"change config.model.{name} or config.init.{name}"
        )
    return net


def _listed(nets: dict[str, Net]) -> str:
    """The networks of a source, and which method those of other methods are for."""
    listed = ", ".join(sorted(nets))
    for role in _ENCODERS_OF_METHODS:
        if role in nets:
            listed += f" (a {role} encoder is for the method {role.replace('_', '-')})"
    return listed


def published(name: str, source: str, field: str = "") -> Net:
    """A network that others have published, converted.

    Args:
        name: of the network in the bundle: "lpips", "arcface", "moco", or "resnet".
        source: a bundle's folder; RANDOM for the published architecture, untrained.
        field: of `config.init` for the error, where it is not `name`.

    Raises:
        ValueError: the bundle does not hold it.
    """
    if source == RANDOM:
        return specs.init_net(_PUBLISHED[name], jax.random.key(0))
    nets = bundle_networks(source)
    if name not in nets:
        raise ValueError(
            f"config.init.{field or name}: {source} has no {name}; it has "
            f"{', '.join(sorted(nets))} (convert_weights.py makes one of its file)"
        )
    return nets[name]


def with_trunk(net: Net, inside: str, name: str, source: str) -> Net:
    """A network with the weights of a converted backbone in it.

    A first convolution that sees two images gets half of the backbone's kernel for
    each, and so answers on two equal images as the backbone did on one. Weights that
    the backbone does not have (PReLU, heads) stay.

    Args:
        net: the network.
        inside: where in `net` the backbone is, as "trunk".
        name: of the backbone in the bundle: "resnet", or "arcface" for its body.
        source: a bundle's folder; "" or RANDOM leaves `net` as it is.

    Raises:
        ValueError: the bundle does not hold it, or a weight does not fit.
    """
    if source in ("", RANDOM):
        return net
    backbone = published(name, source, field="trunk").variables
    if name == "arcface":
        backbone = {k: v["body"] for k, v in backbone.items()}
    variables = dict(net.variables)
    for collection in ("params", "batch_stats"):
        flat = trees.flatten(variables[collection])
        for path, value in trees.flatten(backbone[collection]).items():
            path = f"{inside}/{path}"
            flat[path] = _fitted(flat, path, value, source)
        variables[collection] = trees.unflatten(flat)
    return Net(net.module, variables)


def _fitted(flat, path, value, source):
    """A backbone's weight in the shape that it must have at `path`."""
    shape = flat[path].shape if path in flat else None
    if shape and value.ndim == 4 and shape[2] == 2 * value.shape[2]:
        value = jnp.concatenate([value / 2, value / 2], axis=2)
    if value.shape != shape:
        raise ValueError(
            f"config.init.trunk: {path} of {source} has shape {value.shape}, the "
            f"config has {shape or 'no such weight'}; change widths and depths"
        )
    return value
