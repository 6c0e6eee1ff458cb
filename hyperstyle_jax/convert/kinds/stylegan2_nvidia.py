"""StyleGAN2 generators and discriminators in the layout of NVIDIA's code.

https://github.com/NVlabs/stylegan2-ada-pytorch
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from hyperstyle_jax.convert.architectures import channel_fields, numbered, tensor
from hyperstyle_jax.convert.kinds import stylegan2
from hyperstyle_jax.convert.layouts import Constant, Rule, Table
from hyperstyle_jax.convert.rules import FIR, conv, linear, linear_over_map
from hyperstyle_jax.convert.sources import Source, Tensors
from hyperstyle_jax.models.discriminator import Discriminator
from hyperstyle_jax.models.generator import Generator

KINDS = ("stylegan2-nvidia",)
NAMES = stylegan2.Names("G_ema", "G", "D")


def matches(value: Any) -> bool:
    """Whether a file holds such networks."""
    return stylegan2.has_networks(value, NAMES)


def read(value: Mapping[str, Any], _: str) -> Source:
    """The networks of a file."""
    modules, parts = stylegan2.read_networks(
        value, NAMES, (generator, generator_table), (discriminator, discriminator_table)
    )
    return Source(*KINDS, modules, parts)


def generator(tensors: Tensors) -> Generator:
    """The generator that has these tensors.

    Raises:
        ValueError: it takes class labels.
    """
    if "mapping.embed.weight" in tensors:
        labels = tensor(tensors, "mapping.embed.weight", 2).shape[1]
        raise ValueError(
            f"a conditional generator: it takes class labels (c_dim = {labels}), and "
            "only unconditional ones are converted"
        )
    blocks = len({k.split(".")[1] for k in tensors if k.startswith("synthesis.b")})
    names = [f"synthesis.b{4 << i}.conv1.weight" for i in range(blocks)]
    widths = [tensor(tensors, name, 4).shape[0] for name in names]
    return Generator(
        2 << blocks,
        **channel_fields(widths),
        z_dim=tensor(tensors, "mapping.fc0.weight", 2).shape[1],
        w_dim=tensor(tensors, "synthesis.b4.conv1.affine.weight", 2).shape[1],
        num_mapping_layers=numbered(tensors, r"mapping\.fc(\d{1,2})\.weight"),
        image_channels=tensor(tensors, "synthesis.b4.torgb.weight", 4).shape[0],
    )


def generator_table(module: Generator) -> Table:
    """The rows of a generator."""
    rows: list[Rule | Constant] = [Rule("mapping.w_avg", "buffers/mapping/w_avg")]
    for i in range(module.num_mapping_layers):
        rows += linear(f"mapping.fc{i}", f"mapping/fc{i}")
    const = "params/synthesis/b4/const"
    rows += [Rule("synthesis.b4.const", const, "c h w -> h w c")]
    for layer in module.layers():
        path = layer.path.removesuffix("/weight")
        name = path.replace("/", ".")
        rows += conv(name, path) + linear(f"{name}.affine", f"{path}/affine")
        if layer.kernel == 1:
            block = name.rpartition(".")[0]
            rows += [Constant(f"{block}.resample_filter", FIR, True)]
            continue
        rows += [
            Rule(f"{name}.noise_strength", f"params/{path}/noise_strength"),
            Rule(f"{name}.noise_const", f"buffers/{path}/noise_const"),
            Constant(f"{name}.resample_filter", FIR, True),
        ]
    return rows


def discriminator(tensors: Tensors) -> Discriminator:
    """The discriminator that has these tensors.

    Raises:
        ValueError: it takes class labels.
    """
    if "mapping.embed.weight" in tensors:
        raise ValueError(
            "a conditional discriminator, which takes class labels: only unconditional "
            "ones are converted"
        )
    blocks = len({k.split(".")[0] for k in tensors if re.match(r"b\d+\.", k)})
    names = ["b4.conv.weight"]
    names += [f"b{4 << i}.conv0.weight" for i in range(1, blocks)]
    widths = [tensor(tensors, name, 4).shape[0] for name in names]
    return Discriminator(2 << blocks, **channel_fields(widths))


def discriminator_table(module: Discriminator) -> Table:
    """The rows of a discriminator, NVIDIA's architecture "resnet"."""
    rows: list[Rule | Constant] = []
    for k in range(int(math.log2(module.resolution)), 2, -1):
        name = path = f"b{2**k}"
        if 2**k == module.resolution:
            rows += conv(f"{name}.fromrgb", f"{path}/fromrgb")
        for part in ("conv0", "conv1"):
            rows += conv(f"{name}.{part}", f"{path}/{part}")
        rows += conv(f"{name}.skip", f"{path}/skip", bias=False)
        filters = ("", "fromrgb.", "conv0.", "conv1.", "skip.")
        rows += [Constant(f"{name}.{f}resample_filter", FIR, True) for f in filters]
    rows += conv("b4.conv", "b4/conv") + [Constant("b4.conv.resample_filter", FIR)]
    return rows + linear_over_map("b4.fc", "b4/fc", 4) + linear("b4.out", "b4/out")
