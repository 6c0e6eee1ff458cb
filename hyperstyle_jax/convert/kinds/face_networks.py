"""Face recognition networks: ArcFace (IR-SE-50) and CurricularFace (IR-101)."""

import math
from typing import Any

from hyperstyle_jax.convert.architectures import tensor
from hyperstyle_jax.convert.layouts import Table
from hyperstyle_jax.convert.rules import linear_over_map, norm
from hyperstyle_jax.convert.sources import Part, Source, Tensors, has_tensors
from hyperstyle_jax.convert.trunks import ir_stages, ir_table
from hyperstyle_jax.models.irnet import FaceNet

KINDS = ("arcface", "curricularface")


def matches(value: Any) -> bool:
    """Whether a file holds the tensors of such a network."""
    return has_tensors(value, "input_layer.0.weight")


def read(value: Tensors, _: str) -> Source:
    """The network of a file; only ArcFace's has squeeze-and-excitation blocks."""
    linear = tensor(value, "output_layer.3.weight", 2)
    stages = ir_stages(value)
    module = FaceNet(
        **stages,
        squeeze_excite="body.0.res_layer.5.fc1.weight" in value,
        embedding=linear.shape[0],
        affine="output_layer.4.weight" in value,
    )
    kind = "arcface" if module.squeeze_excite else "curricularface"
    size = math.isqrt(linear.shape[1] // stages["widths"][-1])
    return Source(kind, {kind: module}, [Part(kind, table(module, size), value, ())])


def table(module: FaceNet, size: int = 7) -> Table:
    """The rows of a network; its linear layer reads a map of size × size."""
    head = norm("output_layer.0", "head/norm1")
    head += linear_over_map("output_layer.3", "head/linear", size)
    head += norm("output_layer.4", "head/norm2", module.affine)
    return [*ir_table(module, "body"), *head]
