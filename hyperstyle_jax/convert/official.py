"""Our networks as contents of official files, whether they came from such or not."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hyperstyle_jax import trees
from hyperstyle_jax.convert import layouts, rules
from hyperstyle_jax.convert.layouts import Table
from hyperstyle_jax.net import Net


def contents(nets: Mapping[str, Net]) -> dict[str, dict[str, Any]]:
    """Values for `torch_files.write` by file name without suffix.

    A hypernetwork and an encoder carry the generator along, as the official
    checkpoints do.
    """
    made: dict[str, dict[str, Any]] = {}
    if "generator" in nets:
        generator = stylegan2(nets["generator"])
        if "discriminator" in nets:
            generator["d"] = tensors(nets["discriminator"])
        made["generator"] = generator
        for role in ("hypernet", "encoder"):
            if role in nets:
                made[role] = _checkpoint(role, nets[role], nets["generator"])
    alone = set(nets) - {"generator", "discriminator", "hypernet", "encoder"}
    for role in sorted(alone):
        made[role] = tensors(nets[role])
    if not made:
        raise ValueError(
            f"the official layouts of {', '.join(sorted(nets))} include the generator, "
            "which the bundle does not have"
        )
    return made


def stylegan2(generator: Net, layout: str = "rosinality") -> dict[str, Any]:
    """A generator alone, in rosinality's or NVIDIA's names."""
    if layout == "nvidia":
        table = rules.nvidia_generator(generator.module)
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
    state = {f"{role}.{k}": v for k, v in tensors(net).items()}
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
    indices = [str(rules.layer_index(layer.path)) for layer in layers]
    return {
        "encoder_type": f"SharedWeightsHyperNetResNet{separable}",
        "input_nc": 6,
        "layers_to_tune": ",".join(indices),
    }


def _encoder_opts(net) -> dict[str, Any]:
    module = net.module
    if not hasattr(module, "pyramid"):
        return {"encoder_type": "WEncoder"}
    names = {
        (True, False): "GradualStyleEncoder",
        (True, True): "Encoder4Editing",
        (False, False): "BackboneEncoder",
        (False, True): "ProgressiveBackboneEncoder",
    }
    resnet = "ResNet" if module.trunk == "resnet" else ""
    return {"encoder_type": resnet + names[module.pyramid, module.progressive]}


def _table(net: Net) -> Table:
    module, params = net.module, net.params
    name = type(module).__name__
    if name == "FaceNet":
        positions = len(params["head"]["linear"]["weight"]) // module.widths[-1]
        return rules.face_net(module, int(positions**0.5))
    if name == "StyleEncoder":
        counts = [_convs(params[f"style{i}"]) for i in range(module.num_ws)]
        return rules.style_encoder(module, counts)
    if name == "Hypernet":
        places = {layer.path: layer.name for layer in module.tuned_layers}
        counts = {k: _convs(params[f"embed_{v}"]) for k, v in places.items()}
        return rules.hypernet(module, counts)
    if name == "Heads":
        return rules.lpips_heads(len(module.widths))
    if name == "LPIPS":
        return rules.lpips(module)
    if name in ("PNet", "RNet", "ONet"):
        return rules.mtcnn(name.lower())
    simple = {
        "Generator": rules.generator,
        "Discriminator": rules.discriminator,
        "WEncoder": rules.w_encoder,
        "ResNet": rules.resnet,
        "Trunk": rules.lpips_trunk,
    }
    if name not in simple:
        raise ValueError(f"there is no official layout for a {name}")
    return simple[name](module)


def _convs(params) -> int:
    return sum(name.startswith("conv") for name in params)
