"""The convolutional trunks that several official networks share: IR-SE and ResNet."""

from typing import Any

import numpy as np

from hyperstyle_jax.convert.architectures import numbered, tensor
from hyperstyle_jax.convert.layouts import Constant, Rule, Table
from hyperstyle_jax.convert.rules import conv, conv_norm, norm
from hyperstyle_jax.convert.sources import Tensors


def ir_stages(tensors: Tensors) -> dict[str, Any]:
    """The fields `widths` and `depths` of a trunk of the ArcFace family."""
    widths = _block_widths(tensors, "body.{}.res_layer.3.weight")
    firsts = [i for i, w in enumerate(widths) if i == 0 or w != widths[i - 1]]
    return _stages(widths, firsts)


def resnet_stages(tensors: Tensors) -> dict[str, Any]:
    """The fields `widths` and `depths` of a ResNet whose blocks are numbered."""
    widths = _block_widths(tensors, "body.{}.conv2.weight")
    shortcut = "body.{}.downsample.0.weight"
    firsts = [i for i in range(len(widths)) if i == 0 or shortcut.format(i) in tensors]
    return _stages(widths, firsts)


def _block_widths(tensors: Tensors, name: str) -> list[int]:
    count = numbered(tensors, r"body\.(\d{1,3})\.")
    return [tensor(tensors, name.format(i), 4).shape[0] for i in range(count)]


def _stages(widths: list[int], firsts: list[int]) -> dict[str, Any]:
    """Widths and depths of stages, whose first blocks have the numbers `firsts`."""
    depths = np.diff([*firsts, len(widths)])
    return {
        "widths": tuple(widths[i] for i in firsts),
        "depths": tuple(int(d) for d in depths),
    }


def ir_table(module, path: str) -> Table:
    """The trunk of the ArcFace family under pSp's names; ours start with `path`."""
    rows: list[Rule | Constant] = []
    rows += conv("input_layer.0", f"{path}/stem/conv", bias=False)
    rows += norm("input_layer.1", f"{path}/stem/norm")
    rows += [Rule("input_layer.2.weight", f"params/{path}/stem/prelu/weight")]
    widths = [
        w for w, d in zip(module.widths, module.depths, strict=True) for _ in range(d)
    ]
    for n, width in enumerate(widths):
        name, block = f"body.{n}.res_layer", f"{path}/block{n}"
        rows += norm(f"{name}.0", f"{block}/norm1")
        rows += conv(f"{name}.1", f"{block}/conv1", bias=False)
        rows += [Rule(f"{name}.2.weight", f"params/{block}/prelu/weight")]
        rows += conv(f"{name}.3", f"{block}/conv2", bias=False)
        rows += norm(f"{name}.4", f"{block}/norm2")
        if getattr(module, "squeeze_excite", True):
            for fc in ("fc1", "fc2"):
                rows += conv(f"{name}.5.{fc}", f"{block}/se/{fc}", bias=False)
        if width != widths[max(n - 1, 0)]:
            shortcut = f"body.{n}.shortcut_layer"
            rows += conv_norm(f"{shortcut}.0", f"{shortcut}.1", f"{block}/shortcut")
    return rows


def resnet_table(
    module, path: str = "", *, flat: bool = False, prelu: bool = False
) -> Table:
    """A ResNet under torchvision's names.

    Args:
        module: with `widths`, `depths` and perhaps `bottleneck`.
        path: what our paths start with.
        flat: take HyperStyle's names, which number all blocks without stages.
        prelu: the first activation has weights.
    """
    root = f"{path}/" if path else ""
    rows: list[Rule | Constant] = []
    rows += conv("conv1", f"{root}stem/conv", bias=False)
    rows += norm("bn1", f"{root}stem/norm")
    if prelu:
        rows += [Rule("relu.weight", f"params/{root}stem/prelu/weight")]
    bottleneck = getattr(module, "bottleneck", False)
    blocks = [(stage, i) for stage, d in enumerate(module.depths) for i in range(d)]
    for n, (stage, i) in enumerate(blocks):
        name = f"body.{n}" if flat else f"layer{stage + 1}.{i}"
        block = f"{root}block{n}"
        for part in range(1, 4 if bottleneck else 3):
            rows += conv(f"{name}.conv{part}", f"{block}/conv{part}", bias=False)
            rows += norm(f"{name}.bn{part}", f"{block}/norm{part}")
        if i == 0 and (stage > 0 or bottleneck):
            shortcut = f"{name}.downsample"
            rows += conv_norm(f"{shortcut}.0", f"{shortcut}.1", f"{block}/shortcut")
    return rows
