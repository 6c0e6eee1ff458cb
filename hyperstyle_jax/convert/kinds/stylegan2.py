"""StyleGAN2 generators and discriminators in the layout of rosinality's code.

https://github.com/rosinality/stylegan2-pytorch
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from flax import linen as nn

from hyperstyle_jax.convert import containers
from hyperstyle_jax.convert.architectures import channel_fields, numbered, tensor
from hyperstyle_jax.convert.layouts import SAME, Constant, Rule, Table
from hyperstyle_jax.convert.rules import FIR, conv, linear, linear_over_map
from hyperstyle_jax.convert.sources import Part, Source, Tensors, has, is_tensors
from hyperstyle_jax.models.discriminator import Discriminator
from hyperstyle_jax.models.generator import Generator

KINDS = ("stylegan2",)
# Our paths that a generator's file may lack (`defaults` completes them).
OPTIONAL = r"buffers/.*/noise_const|params/.*/noise_strength|buffers/mapping/w_avg"


class Names(NamedTuple):
    """Under which names a file holds the networks of a training."""

    averaged: str  # the generator's moving average
    raw: str  # the generator as it was trained
    discriminator: str


NAMES = Names("g_ema", "g", "d")


def matches(value: Any) -> bool:
    """Whether a file holds such networks."""
    return has_networks(value, NAMES)


def read(value: Mapping[str, Any], _: str) -> Source:
    """The networks of a file, and the mean latent beside them."""
    modules, parts = read_networks(
        value, NAMES, (generator, generator_table), (discriminator, discriminator_table)
    )
    if "generator" in modules:
        width = (modules["generator"].w_dim,)
        parts += latent_parts(value, "buffers/mapping/w_avg", width, "generator")
    return Source(*KINDS, modules, parts)


def has_networks(value: Any, names: Names) -> bool:
    """Whether networks stand under these names, and none has the other layout."""
    groups = [value[k] for k in names if has(value, k) and is_tensors(value[k])]
    layouts = {containers.official_name(tensors) for tensors in groups}
    return bool(groups) and layouts <= {names.raw, names.discriminator, None}


# What reads a kind of network: tensors → module, and module → table.
_Functions = tuple[Callable[[Tensors], nn.Module], Callable[[Any], Table]]


def read_networks(
    value: Mapping[str, Any],
    names: Names,
    generator_functions: _Functions,
    discriminator_functions: _Functions,
) -> tuple[dict[str, nn.Module], list[Part]]:
    """Modules by role and their tensors; without an average the raw generator counts.

    Args:
        value: the content of a file.
        names: of the networks in it.
        generator_functions: tensors → module and module → table, for generators.
        discriminator_functions: the same for discriminators.
    """
    roles = {names.raw: "generator"}
    if is_tensors(value.get(names.averaged)):
        roles = {names.averaged: "generator", names.raw: "generator_raw"}
    roles[names.discriminator] = "discriminator"
    modules: dict[str, nn.Module] = {}
    parts = []
    for name, role in roles.items():
        if not is_tensors(value.get(name)):
            continue
        is_generator = role != "discriminator"
        architecture, table = (
            generator_functions if is_generator else discriminator_functions
        )
        modules[role] = module = architecture(value[name])
        optional = OPTIONAL if is_generator else None
        rows = table(module)
        parts.append(Part(role, rows, value[name], (name,), optional=optional))
    return modules, parts


def latent_parts(
    value: Mapping[str, Any], path: str, shape: Sequence[int], role: str
) -> list[Part]:
    """The mean latent of a file, which holds it once or once for each layer.

    Args:
        value: the content of a file.
        path: of the mean latent in our network.
        shape: it has there, [D] or [L, D].
        role: of our network.
    """
    latent = value.get("latent_avg")
    if not isinstance(latent, np.ndarray):
        return []
    rows = latent.reshape(-1, latent.shape[-1]) if latent.ndim > 2 else latent
    if len(shape) == 2 and rows.size == shape[1]:  # one row for all layers
        rows = np.broadcast_to(rows.reshape(1, -1), shape)
    # Reshaped or repeated, it is not the file's tensor, which is kept beside it.
    root = () if rows is latent else ("reshaped",)
    layout = "l* d -> d" if rows.ndim == 2 and len(shape) == 1 else SAME
    sizes = {"l": rows.shape[0]} if layout else {}
    table = [Rule("latent_avg", path, layout, sizes)]
    return [Part(role, table, {"latent_avg": rows}, root)]


def generator(tensors: Tensors) -> Generator:
    """The generator that has these tensors."""
    blocks = numbered(tensors, r"to_rgbs\.(\d{1,2})\.")
    names = ["conv1.conv.weight"]
    names += [f"convs.{2 * i}.conv.weight" for i in range(blocks)]
    widths = [tensor(tensors, name, 5).shape[1] for name in names]
    return Generator(
        2 << len(widths),
        **channel_fields(widths),
        z_dim=tensor(tensors, "style.1.weight", 2).shape[1],
        w_dim=tensor(tensors, "conv1.conv.modulation.weight", 2).shape[1],
        num_mapping_layers=numbered(tensors, r"style\.(\d{1,2})\.weight") - 1,
        image_channels=tensor(tensors, "to_rgb1.conv.weight", 5).shape[1],
    )


def generator_table(module: Generator) -> Table:
    """The rows of a generator."""
    rows: list[Rule | Constant] = []
    for i in range(module.num_mapping_layers):
        rows += linear(f"style.{i + 1}", f"mapping/fc{i}")
    const = "params/synthesis/b4/const"
    rows += [Rule("input.input", const, "1 c h w -> h w c")]
    num_noises = 0
    for layer in module.layers():
        name, path = _layer_name(layer), layer.path.removesuffix("/weight")
        modulated = "1 o i h w -> h w i o"
        rows += [Rule(f"{name}.conv.weight", f"params/{path}/weight", modulated)]
        rows += linear(f"{name}.conv.modulation", f"{path}/affine")
        if layer.kernel == 1:
            rows += [Rule(f"{name}.bias", f"params/{path}/bias", "1 c 1 1 -> c")]
            if layer.resolution > 4:
                rows += [Constant(f"{name}.upsample.kernel", 4 * FIR, True)]
            continue
        noise = f"buffers/{path}/noise_const"
        rows += [
            Rule(f"{name}.noise.weight", f"params/{path}/noise_strength", "1 ->"),
            Rule(f"{name}.activate.bias", f"params/{path}/bias"),
            Rule(f"noises.noise_{num_noises}", noise, "1 1 h w -> h w"),
        ]
        if path.endswith("conv0"):
            rows += [Constant(f"{name}.conv.blur.kernel", 4 * FIR, True)]
        num_noises += 1
    return rows


def _layer_name(layer) -> str:
    kind, block = layer.path.split("/")[2], int(math.log2(layer.resolution)) - 3
    if layer.resolution == 4:
        return {"conv1": "conv1", "torgb": "to_rgb1"}[kind]
    return {
        "conv0": f"convs.{2 * block}",
        "conv1": f"convs.{2 * block + 1}",
        "torgb": f"to_rgbs.{block}",
    }[kind]


def discriminator(tensors: Tensors) -> Discriminator:
    """The discriminator that has these tensors."""
    blocks = numbered(tensors, r"convs\.(\d{1,2})\.")
    names = ["convs.0.0.weight"]
    names += [f"convs.{i}.conv2.1.weight" for i in range(1, blocks)]
    widths = [tensor(tensors, name, 4).shape[0] for name in names]
    return Discriminator(2 << blocks, **channel_fields(widths[::-1]))


def discriminator_table(module: Discriminator) -> Table:
    """The rows of a discriminator."""
    rows: list[Rule | Constant] = []
    rows += conv("convs.0.0", f"b{module.resolution}/fromrgb", bias=False)
    rows += [Rule("convs.0.1.bias", f"params/b{module.resolution}/fromrgb/bias")]
    for k in range(1, int(math.log2(module.resolution)) - 1):
        path, name = f"b{2 * module.resolution >> k}", f"convs.{k}"
        for part, place, before in (("conv1", "conv0", 0), ("conv2", "conv1", 1)):
            rows += conv(f"{name}.{part}.{before}", f"{path}/{place}", bias=False)
            bias = f"{name}.{part}.{before + 1}.bias"
            rows += [Rule(bias, f"params/{path}/{place}/bias")]
        rows += conv(f"{name}.skip.1", f"{path}/skip", bias=False)
        for part in ("conv2", "skip"):
            rows += [Constant(f"{name}.{part}.0.kernel", FIR, True)]
    rows += conv("final_conv.0", "b4/conv", bias=False)
    rows += [Rule("final_conv.1.bias", "params/b4/conv/bias")]
    rows += linear_over_map("final_linear.0", "b4/fc", 4)
    return rows + linear("final_linear.1", "b4/out")
