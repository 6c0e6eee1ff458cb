"""LPIPS: torchvision's trunks and the linear weights, which are published apart.

https://github.com/richzhang/PerceptualSimilarity
"""

from collections.abc import Sequence
from typing import Any

from flax import linen as nn

from hyperstyle_jax.convert.architectures import numbered, tensor
from hyperstyle_jax.convert.layouts import Rule, Table
from hyperstyle_jax.convert.rules import conv
from hyperstyle_jax.convert.sources import Part, Source, Tensors, has, is_tensors
from hyperstyle_jax.models.lpips import LPIPS, Heads, Trunk

KINDS = ("lpips",)


def matches(value: Any) -> bool:
    """Whether a file holds the tensors of a trunk, of linear weights, or of both."""
    return is_tensors(value) and (
        has(value, "features.0.weight") or has(value, "lin0.model.1.weight")
    )


def read(value: Tensors, _: str) -> Source:
    """The trunk and the linear weights of a file, as it has one or both."""
    trunk = {
        k: v for k, v in value.items() if k.startswith(("features.", "classifier"))
    }
    heads = {k: v for k, v in value.items() if k not in trunk}
    modules: dict[str, nn.Module] = {}
    parts = []
    if trunk:
        modules["lpips_trunk"] = module = Trunk(_trunk_name(trunk))
        rows, unused = trunk_table(module), r"classifier\..*"
        parts += [Part("lpips_trunk", rows, trunk, (), "", unused)]
    if heads:
        widths = [
            tensor(heads, f"lin{i}.model.1.weight", 4).shape[1]
            for i in range(numbered(heads, r"lin(\d)\."))
        ]
        modules["lpips_heads"] = Heads(tuple(widths))
        parts += [Part("lpips_heads", heads_table(len(widths)), heads, ())]
    return Source(*KINDS, modules, parts)


def _trunk_name(tensors: Tensors) -> str:
    if "features.3.squeeze.weight" in tensors:
        return "squeeze"
    return "alex" if tensor(tensors, "features.0.weight", 4).shape[2] == 11 else "vgg"


def trunk_table(module: Trunk, path: str = "") -> Table:
    """The rows of torchvision's AlexNet, VGG16 or SqueezeNet."""
    rows: list[Rule] = []
    for layer in module.convolutions():
        rows += conv(f"features.{layer.replace('/', '.')}", f"{path}layer{layer}")
    return rows


def heads_table(count: int, path: str = "") -> Table:
    """The rows of the linear weights, one vector for each of `count` layers."""
    return [
        Rule(f"lin{i}.model.1.weight", f"params/{path}lin{i}", "1 c 1 1 -> c")
        for i in range(count)
    ]


def table(module: LPIPS) -> Table:
    """The rows of trunk and linear weights in one dict."""
    trunk = Trunk(module.net)
    heads = heads_table(len(trunk.widths()), "heads/")
    return [*trunk_table(trunk, "trunk/"), *heads]


def join(sources: Sequence[Source]) -> list[Source]:
    """Makes one network of trunk and linear weights, wherever both are given.

    Raises:
        ValueError: the linear weights are those of another trunk.
    """
    modules = {k: m for source in sources for k, m in source.modules.items()}
    if not {"lpips_trunk", "lpips_heads"} <= modules.keys():
        return list(sources)
    trunk, heads = modules["lpips_trunk"], modules["lpips_heads"]
    if trunk.widths() != tuple(heads.widths):
        raise ValueError(
            f"LPIPS: linear weights for layers of {tuple(heads.widths)} channels, but "
            f"the trunk is {trunk.net} with {trunk.widths()}"
        )
    return [_joined(source, trunk.net) for source in sources]


def _joined(source: Source, net: str) -> Source:
    others = {k: m for k, m in source.modules.items() if "lpips" not in k}
    if len(others) == len(source.modules):
        return source
    modules = others | {"lpips": LPIPS(net)}
    parts = [_within_lpips(p) if "lpips" in p.role else p for p in source.parts]
    return source._replace(modules=modules, parts=parts)


def _within_lpips(part: Part) -> Part:
    place = part.role.removeprefix("lpips_")
    rows = [
        row._replace(path=row.path.replace("params/", f"params/{place}/", 1))
        for row in part.table
    ]
    return part._replace(role="lpips", table=rows)
