"""HyperStyle's checkpoints: a hypernetwork and the generator that it tunes.

https://github.com/yuval-alaluf/hyperstyle
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from hyperstyle_jax.convert.architectures import style_convs, tensor
from hyperstyle_jax.convert.kinds import stylegan2
from hyperstyle_jax.convert.layouts import Rule, Table
from hyperstyle_jax.convert.rules import conv, linear
from hyperstyle_jax.convert.sources import (
    Part,
    Source,
    Tensors,
    has_state_dict,
    options,
    with_prefix,
)
from hyperstyle_jax.convert.trunks import resnet_stages, resnet_table
from hyperstyle_jax.models.generator import Generator
from hyperstyle_jax.models.hypernet import Hypernet, TunedLayer

KINDS = ("hyperstyle",)


def matches(value: Any) -> bool:
    """Whether a file holds a hypernetwork and its generator."""
    return has_state_dict(value, "hypernet", "decoder")


def read(value: Mapping[str, Any], _: str) -> Source:
    """The hypernetwork and the generator of a file."""
    tensors = with_prefix(value["state_dict"], "hypernet.")
    generator, generator_parts = read_generator(value)
    module, table = hypernet(tensors, generator)
    part = Part("hypernet", table, tensors, ("state_dict",), "hypernet.")
    modules = {"hypernet": module, "generator": generator}
    return Source(*KINDS, modules, [part, *generator_parts], opts=options(value))


def read_generator(value: Mapping[str, Any]) -> tuple[Generator, list[Part]]:
    """The generator that HyperStyle and the encoders store as their `decoder`."""
    tensors = with_prefix(value["state_dict"], "decoder.")
    module = stylegan2.generator(tensors)
    rows, place = stylegan2.generator_table(module), (("state_dict",), "decoder.")
    part = Part("generator", rows, tensors, *place, optional=stylegan2.OPTIONAL)
    w_avg = "buffers/mapping/w_avg"
    latent = stylegan2.latent_parts(value, w_avg, (module.w_dim,), "generator")
    return module, [part, *latent]


def layer_index(path: str) -> int:
    """The official number of a generator's layer: conv, toRGB, conv, conv, toRGB, …"""
    _, block, kind, _ = path.split("/")
    first = 3 * (int(math.log2(int(block[1:]))) - 2)
    return first + {"conv0": -1, "conv1": 0, "torgb": 1}[kind]


def hypernet(tensors: Tensors, generator: Generator) -> tuple[Hypernet, Table]:
    """The hypernetwork that has these tensors, and its rows.

    Raises:
        ValueError: it tunes layers that the generator does not have.
    """
    layers = {layer_index(layer.path): layer for layer in generator.layers()}
    name = r"refinement_blocks\.(\d{1,2})\."
    indices = sorted({int(m[1]) for k in tensors if (m := re.match(name, k))})
    if unknown := [i for i in indices if i not in layers]:
        raise ValueError(
            f"offsets for the layers {unknown}, which a generator of "
            f"{generator.resolution}² does not have"
        )
    tuned, convs = [], {}
    for i in indices:
        block = f"refinement_blocks.{i}"
        layer = TunedLayer(*layers[i][:4], _decoder_kind(tensors, block, layers[i]))
        tuned.append(layer)
        convs[layer.path] = style_convs(tensors, f"{block}.convs")
    fields = _width_fields(tensors, tuned)
    module = Hypernet(tuple(tuned), **resnet_stages(tensors), **fields)
    return module, table(module, convs)


def _decoder_kind(tensors: Tensors, block: str, layer) -> str:
    if f"{block}.hypernet.w1" in tensors:
        return "shared"
    if f"{block}.output.0.make_kernel_in.weight" in tensors:
        return "separable"
    return "rgb" if layer.kernel == 1 else "channel"


def _width_fields(tensors: Tensors, tuned: list[TunedLayer]) -> dict[str, Any]:
    """The fields of a hypernetwork that are widths of its heads."""
    fields: dict[str, Any] = {}
    for layer in tuned:
        block = f"refinement_blocks.{layer_index(layer.path)}"
        last = 2 * style_convs(tensors, f"{block}.convs") - 2
        name = "inner_shared" if layer.kind == "shared" else "inner"
        inner = tensor(tensors, f"{block}.convs.0.weight", 4).shape[0]
        embedding_dim = tensor(tensors, f"{block}.convs.{last}.weight", 4).shape[0]
        fields = {name: inner, "embedding_dim": embedding_dim} | fields
        if layer.kind == "shared":
            w1 = tensor(tensors, "shared_weight_hypernet.w1", 2)
            full = w1.shape[1] == layer.in_channels * layer.kernel**2
            fields |= {"hidden": w1.shape[0], "shared_kernel": full}
    return fields


def table(module: Hypernet, convs: Mapping[str, int]) -> Table:
    """The rows of a hypernetwork.

    Args:
        module: the hypernetwork.
        convs: how many convolutions embed each tuned layer, by its path.
    """
    rows = list(resnet_table(module, "trunk", flat=True, prelu=True))
    for layer in module.tuned_layers:
        name = f"refinement_blocks.{layer_index(layer.path)}"
        for i in range(convs[layer.path]):
            rows += conv(f"{name}.convs.{2 * i}", f"embed_{layer.name}/conv{i}")
        rows += _decoder_table(module, layer, name)
    shared = [layer for layer in module.tuned_layers if layer.kind == "shared"]
    if shared:
        kernel = shared[0].kernel if module.shared_kernel else 1
        rows += shared_head_table(kernel, "shared_weight_hypernet.")
    return rows


def _decoder_table(module: Hypernet, layer: TunedLayer, name: str) -> Table:
    """The rows of what decodes a layer's embedding into its offsets."""
    if layer.kind == "shared":
        rows = linear(f"{name}.linear", f"linear_{layer.name}")
        kernel = layer.kernel if module.shared_kernel else 1
        return rows + shared_head_table(kernel, f"{name}.hypernet.")
    path = f"decode_{layer.name}"
    if layer.kind == "separable":
        return _separable_table(f"{name}.output.0", path, layer.kernel)
    output = f"{name}.output.{0 if layer.kind == 'rgb' else 1}"  # 0 is a pooling
    sizes = {"o": layer.out_channels, "i": layer.in_channels}
    layout = "(o i) c 1 1 -> c i o"
    return [
        Rule(f"{output}.weight", f"params/{path}/weight", layout, sizes),
        Rule(f"{output}.bias", f"params/{path}/bias", "(o i) -> i o", sizes),
    ]


def shared_head_table(
    kernel: int, prefix: str = "", path: str = "shared"
) -> list[Rule]:
    """The rows of the shared head: two matrices, the second one's rows are channels.

    Args:
        kernel: sides of the kernels that the head makes offsets for.
        prefix: of the official names.
        path: of the head in our hypernetwork.
    """
    sizes = {"h": kernel, "w": kernel}
    return [
        Rule(f"{prefix}w1", f"params/{path}/w1", "z (i h w) -> z h w i", sizes),
        Rule(f"{prefix}b1", f"params/{path}/b1", "(i h w) -> h w i", sizes),
        Rule(f"{prefix}w2", f"params/{path}/w2", "c (o z) -> c o z"),
        Rule(f"{prefix}b2", f"params/{path}/b2", "(o z) -> o z"),
    ]


def _separable_table(name: str, path: str, kernel: int) -> list[Rule]:
    rows = []
    sizes = {"h": kernel, "w": kernel}
    for official, ours in (("in", "left"), ("out", "right")):
        root, place = f"{name}.make_kernel_{official}", f"params/{path}/{ours}"
        layout = "(h w i) c -> c h w i"
        rows += [
            Rule(f"{root}.weight", f"{place}/weight", layout, sizes),
            Rule(f"{root}.bias", f"{place}/bias", "(h w i) -> h w i", sizes),
        ]
        rows += linear(f"{name}.kernel_linear_{official}", f"{path}/mix_{official}")
    return rows
