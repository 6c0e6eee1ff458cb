"""Checks of the W-encoder, the hypernetworks, and their shared head."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from hyperstyle_jax import trees
from hyperstyle_jax.convert import layouts
from hyperstyle_jax.convert.kinds.hyperstyle import layer_index, shared_head_table
from hyperstyle_jax.inversion.hyperstyle import single_iteration
from hyperstyle_jax.models.offset_decoders import SharedDecoder
from hyperstyle_jax.net import Net
from hyperstyle_jax.parity.case import Case, convert, nchw, oihw
from hyperstyle_jax.parity.check import Output


@jax.jit
def with_layers(net: Net, *inputs):
    """A network's output, and the outputs of all its modules by their paths."""
    output, state = net(*inputs, mutable=["intermediates"], capture_intermediates=True)
    return output, _layers(state)


def _layers(state) -> dict[str, jax.Array]:
    flat = trees.flatten(state["intermediates"])
    calls = {k.removesuffix("/__call__"): v[0] for k, v in flat.items()}
    return {k: v for k, v in calls.items() if isinstance(v, jax.Array)}


def w_encoder(case: Case) -> Iterator[Output]:
    """The W-encoder: its latent, which the release repeats, and its blocks."""
    net = convert(case.tensors(case.specs[0]))["encoder"]
    w, layers = with_layers(net, case.image("x"))
    rows = case.arrays["codes"].shape[1]
    values = {"codes": np.repeat(np.asarray(w)[:, None], rows, 1)}
    yield from case.outputs(values | trunk_outputs(layers, "body"), "image")


def trunk_outputs(layers, root: str) -> dict[str, np.ndarray]:
    """The outputs of a backbone's layers by their official names.

    Args:
        layers: outputs by path, as `with_layers` gives them.
        root: the backbone's path.
    """
    names = {"stem": "input_layer", "stem/conv": "conv1", "stem/prelu": "relu"}
    values = {}
    for path, value in layers.items():
        if not path.startswith(f"{root}/"):
            continue
        path = path.removeprefix(f"{root}/")
        if path.startswith("block"):
            block, _, part = path.removeprefix("block").partition("/")
            parts = {"": "", "se": ".res_layer.5", "shortcut": ".shortcut_layer"}
            if part in parts:
                values[f"body.{block}{parts[part]}"] = nchw(value)
        elif path in names:
            values[names[path]] = nchw(value)
        if path.startswith("stem/"):
            stem = {"conv": "conv1", "norm": "bn1", "prelu": "relu"}
            values[f"stem.{stem[path.removeprefix('stem/')]}"] = nchw(value)
    return values


def hypernet(case: Case) -> Iterator[Output]:
    """The hypernetwork: its offsets, its blocks, in training also its statistics."""
    net = case.hypernet()["hypernet"]
    x, y_hat = case.image("x"), case.image("y_hat")
    train = case.meta["bn_mode"] == "train"
    if train:
        embeddings, layers, statistics = _train(net, x, y_hat)
        values = _statistics(statistics["trunk"])
        yield from case.outputs(values, "statistic")
    else:
        embeddings, layers = with_layers(net, x, y_hat)
    linears, deltas = _decode(net, single_iteration(net.module, embeddings))
    kind = "train image" if train else "image"
    values = trunk_outputs(layers, "trunk") | _blocks(net, layers, linears)
    yield from case.outputs(values, kind)
    yield from case.outputs(offsets_by_number(net, deltas), "offset")


@jax.jit
def _train(net, x, y_hat):
    embeddings, state = net(
        x, y_hat, True, mutable=["intermediates", "batch_stats"],
        capture_intermediates=True,
    )  # fmt: skip
    return embeddings, _layers(state), state["batch_stats"]


@jax.jit
def _decode(net, embeddings):
    """The outputs of the linear layers before the shared head, and the offsets."""
    deltas, state = net(
        embeddings,
        method="decode",
        mutable=["intermediates"],
        capture_intermediates=True,
    )
    flat = trees.flatten(state["intermediates"])
    return {k: v[0] for k, v in flat.items() if k.startswith("linear_")}, deltas


def _blocks(net, layers, linears) -> dict[str, np.ndarray]:
    values = {}
    for layer in net.module.tuned_layers:
        place = layer.name
        name = f"refinement_blocks.{layer_index(layer.path)}"
        count = sum(k.startswith(f"embed_{place}/conv") for k in layers)
        last = nn.leaky_relu(layers[f"embed_{place}/conv{count - 1}"], 0.01)
        values[f"{name}.convs"] = nchw(last)
        if f"linear_{place}/__call__" in linears:
            values[f"{name}.linear"] = linears[f"linear_{place}/__call__"]
    return values


def _statistics(tree) -> dict[str, np.ndarray]:
    """BatchNorm's statistics by their official names."""
    values = {}
    for path, value in trees.flatten(tree).items():
        path = path.replace("stem/norm", "bn1").replace("block", "body/")
        path = path.replace("norm", "bn").replace("shortcut/bn", "downsample/1")
        *names, last = path.split("/")
        values[f"new_buffer.{'.'.join(names)}.running_{last}"] = value
    return values


def offsets_by_number(net: Net, deltas, prefix="delta") -> dict[str, np.ndarray]:
    """Offsets in the official shape [B, O, I, K, K], by the layers' official numbers.

    Args:
        net: the hypernetwork.
        deltas: {path: [B, I, O] or [B, K, K, I, O]}.
        prefix: of the names.
    """
    kernels = {layer.path: layer.kernel for layer in net.module.tuned_layers}
    values = {}
    for path, delta in deltas.items():
        k = kernels[path]
        if delta.ndim == 3:
            shape = (len(delta), k, k, *delta.shape[1:])
            delta = np.broadcast_to(np.asarray(delta)[:, None, None], shape)
        values[f"{prefix}.{layer_index(path)}"] = oihw(delta)
    return values


def shared_head(case: Case) -> Iterator[Output]:
    """The head shared by the layers of 512 channels, per kernel tap and per channel."""
    z = jnp.asarray(case.arrays["z"])
    names = ("", "_delta_per_channel")
    for name, kernel in zip(names, (3, 1), strict=True):
        tensors = case.tensors(f"shared_weights_hypernet{name}.spec.json")
        module = SharedDecoder(512, 512, 512, kernel)
        shapes = jax.eval_shape(module.init, jax.random.key(0), z[:, None], 1)
        flat = {k: v.shape for k, v in trees.flatten(shapes).items()}
        table = shared_head_table(kernel)
        table = [r._replace(path=r.path.replace("shared/", "")) for r in table]
        arrays = layouts.apply(table, flat, tensors, "shared head")
        net = Net(module, jax.tree.map(jnp.asarray, trees.unflatten(arrays)))
        delta = np.asarray(net(z[:, None], 1)[:, 0])
        if kernel == 1:
            delta = np.broadcast_to(delta[:, None, None], (2, 3, 3, *delta.shape[1:]))
        yield Output(f"kernel{name.replace('_', '.', 1)}", oihw(delta), "offset")
