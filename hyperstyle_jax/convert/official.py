"""Lays networks out as official files do, also those that were trained here."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from hyperstyle_jax import trees
from hyperstyle_jax.convert import image_sizes, layouts
from hyperstyle_jax.convert.kinds import (
    clip,
    encoders,
    face_networks,
    hyperstyle,
    lpips,
    mtcnn,
    styleflow,
    stylegan2,
    stylegan2_nvidia,
)
from hyperstyle_jax.convert.layouts import Table
from hyperstyle_jax.convert.trunks import resnet_table
from hyperstyle_jax.net import Net

# Networks whose official checkpoints hold the generator too.
_WITH_GENERATOR = ("hypernet", *image_sizes.ENCODERS)


class Contents(NamedTuple):
    """Values for `torch_files.write` by file name without suffix.

    `stays_behind` says for every network without an official layout why it has none.
    """

    files: dict[str, Any]
    stays_behind: dict[str, str]


def contents(
    nets: Mapping[str, Net], directions: Mapping[str, np.ndarray] | None = None
) -> Contents:
    """Networks and edit directions as contents of official files.

    A hypernetwork and every encoder carry the generator along, as the official
    checkpoints do.

    Raises:
        ValueError: nothing has an official layout.
    """
    files: dict[str, Any] = {}
    stays_behind: dict[str, str] = {}
    for role, net in nets.items():
        kind = type(net.module).__name__
        if role in _WITH_GENERATOR and "generator" not in nets:
            stays_behind[role] = (
                "its official layout includes the generator, which is missing"
            )
        elif kind not in _TABLES:
            stays_behind[role] = f"there is no official layout for a {kind}"
        elif role in _WITH_GENERATOR:
            files[role] = _checkpoint(role, net, nets["generator"])
        elif role == "generator":
            files[role] = generator_contents(net)
        elif role != "discriminator" or "generator" not in nets:
            files[role] = tensors(net)
    if "discriminator" in nets and "generator" in nets:
        files["generator"]["d"] = tensors(nets["discriminator"])
    for name, direction in (directions or {}).items():
        files[f"directions/{name}"] = np.asarray(direction)[None]
    if not files:
        reasons = "; ".join(f"{role}: {why}" for role, why in stays_behind.items())
        raise ValueError(f"nothing in the bundle can be exported: {reasons or 'empty'}")
    return Contents(files, stays_behind)


def generator_contents(generator: Net, layout: str = "rosinality") -> dict[str, Any]:
    """A generator alone, in rosinality's or NVIDIA's names."""
    if layout == "nvidia":
        table = stylegan2_nvidia.generator_table(generator.module)
        return {"G_ema": layouts.invert(table, _usual_rates(generator))}
    if layout != "rosinality":
        raise ValueError(f"layout {layout!r}: expected rosinality or nvidia")
    w_avg = np.asarray(generator.variables["buffers"]["mapping"]["w_avg"])
    return {"g_ema": tensors(generator), "latent_avg": w_avg}


def tensors(net: Net) -> dict[str, np.ndarray]:
    """All tensors of a network under their official names."""
    return layouts.invert(_table(net), _flat(net))


def _flat(net: Net) -> dict[str, np.ndarray]:
    if type(net.module).__name__ == "Generator":
        return _usual_rates(net)
    return trees.flatten(net.variables)


def _usual_rates(generator: Net) -> dict[str, np.ndarray]:
    """Official files leave out the mapping's learning rate multiplier, 0.01."""
    factor = np.float32(generator.module.mapping_lr_mul / 0.01)
    arrays = trees.flatten(generator.variables)
    if factor == 1:
        return arrays
    name = "params/mapping/"
    return {k: v * factor if k.startswith(name) else v for k, v in arrays.items()}


def _checkpoint(role, net, generator) -> dict[str, Any]:
    prefix = "hypernet" if role == "hypernet" else "encoder"
    state = {f"{prefix}.{k}": v for k, v in tensors(net).items()}
    state |= {f"decoder.{k}": v for k, v in tensors(generator).items()}
    num_ws, avg = generator.module.num_ws, generator.variables["buffers"]["mapping"]
    latent = net.variables.get("buffers", {}).get("latent_avg", avg["w_avg"])
    rows = np.broadcast_to(np.asarray(latent), (num_ws, generator.module.w_dim))
    opts = _hypernet_opts(net) if role == "hypernet" else _encoder_opts(net)
    opts["output_size"] = generator.module.resolution
    return {"state_dict": state, "latent_avg": rows, "opts": opts}


def _hypernet_opts(net) -> dict[str, Any]:
    layers = net.module.tuned_layers
    separable = any(layer.kind == "separable" for layer in layers)
    separable = "Separable" if separable else ""
    indices = [str(hyperstyle.layer_index(layer.path)) for layer in layers]
    return {
        "encoder_type": f"SharedWeightsHyperNetResNet{separable}",
        "input_nc": 6,
        "layers_to_tune": ",".join(indices),
    }


def _encoder_opts(net) -> dict[str, Any]:
    module = net.module
    if not hasattr(module, "pyramid"):
        w_plus = hasattr(module, "num_ws")
        name = "BackboneEncoderUsingLastLayerIntoWPlus" if w_plus else "WEncoder"
        return {"encoder_type": name}
    names = {
        (True, False): "GradualStyleEncoder",
        (True, True): "Encoder4Editing",
        (False, False): "BackboneEncoder",
        (False, True): "ProgressiveBackboneEncoder",
    }
    resnet = "ResNet" if module.trunk == "resnet" else ""
    return {"encoder_type": resnet + names[module.pyramid, module.progressive]}


def _table(net: Net) -> Table:
    return _TABLES[type(net.module).__name__](net)


def _face_net(net: Net) -> Table:
    width = net.module.widths[-1]
    positions = len(net.params["head"]["linear"]["weight"]) // width
    return face_networks.table(net.module, int(positions**0.5))


def _style_encoder(net: Net) -> Table:
    counts = [_convs(net.params[f"style{i}"]) for i in range(net.module.num_ws)]
    return encoders.style_encoder_table(net.module, counts)


def _hypernet(net: Net) -> Table:
    names = {layer.path: layer.name for layer in net.module.tuned_layers}
    counts = {k: _convs(net.params[f"embed_{v}"]) for k, v in names.items()}
    return hyperstyle.table(net.module, counts)


def _mtcnn(net: Net) -> Table:
    return mtcnn.table(type(net.module).__name__.lower())


_TABLES: dict[str, Callable[[Net], Table]] = {
    "Generator": lambda net: stylegan2.generator_table(net.module),
    "Discriminator": lambda net: stylegan2.discriminator_table(net.module),
    "WEncoder": lambda net: encoders.w_encoder_table(net.module),
    "StyleEncoder": _style_encoder,
    "WPlusEncoder": lambda net: encoders.w_plus_encoder_table(net.module),
    "Hypernet": _hypernet,
    "FaceNet": _face_net,
    "ResNet": lambda net: resnet_table(net.module),
    "LPIPS": lambda net: lpips.table(net.module),
    "Trunk": lambda net: lpips.trunk_table(net.module),
    "Heads": lambda net: lpips.heads_table(len(net.module.widths)),
    "PNet": _mtcnn,
    "RNet": _mtcnn,
    "ONet": _mtcnn,
    "CLIP": lambda net: clip.table(net.module),
    "StyleFlow": lambda net: styleflow.table(net.module),
}


def _convs(params) -> int:
    return sum(name.startswith("conv") for name in params)
