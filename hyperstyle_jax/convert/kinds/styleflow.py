"""StyleFlow's flow of FFHQ's latents, as modellarge10k.pt holds it."""

from typing import Any

import numpy as np

from hyperstyle_jax.convert.architectures import numbered, tensor
from hyperstyle_jax.convert.layouts import Constant, Rule, Table
from hyperstyle_jax.convert.rules import LINEAR
from hyperstyle_jax.convert.sources import Part, Source, Tensors, has_tensors
from hyperstyle_jax.models.styleflow import StyleFlow

KINDS = ("styleflow",)
# What the released flow was given with each latent, in this order, and the rows of w+
# that the release lets an edit of it change (`main.py`, `real_time_editing`).
_LIGHTS = {f"light{i}": (7, 11) for i in range(9)}
_FACES = {
    "gender": (0, 7),
    "glasses": (2, 3),
    "yaw": (0, 3),
    "pitch": (0, 3),
    "baldness": (0, 5),
    "beard": (5, 9),
    "age": (4, 7),
    "expression": (4, 5),
}
RELEASED = {**_LIGHTS, **_FACES}
_LAYERS = "chain.1.odefunc.diffeq.layers"


def matches(value: Any) -> bool:
    """Whether a file holds a flow's tensors."""
    return has_tensors(value, "chain.1.sqrt_end_time", f"{_LAYERS}.0._layer.weight")


def read(value: Tensors, _: str) -> Source:
    """The flow of a file; its role is "flow".

    Attributes of another number than the release's get numbers for names.
    """
    last = numbered(value, rf"{_LAYERS}\.(\d+)\._layer\.weight") - 1
    count = tensor(value, f"{_LAYERS}.0._hyper_gate.weight", 2).shape[1] - 1
    widths = [
        tensor(value, f"{_LAYERS}.{i}._layer.weight", 2).shape[0] for i in range(last)
    ]
    released = count == len(RELEASED)
    module = StyleFlow(
        w_dim=tensor(value, "chain.0.weight", 1).shape[0],
        attributes=tuple(RELEASED) if released else _numbers(count),
        rows=tuple(RELEASED.values()) if released else (),
        widths=tuple(widths),
    )
    return Source(*KINDS, {"flow": module}, [Part("flow", table(module), value, ())])


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(f"attribute{i}" for i in range(count))


def table(module: StyleFlow) -> Table:
    """The rows of a flow."""
    rows: list[Rule | Constant] = [
        Rule("chain.1.sqrt_end_time", "params/sqrt_end_time"),
        Constant("chain.1.odefunc._num_evals", np.zeros((), np.float32)),
    ]
    for name, path in (("chain.0", "norm_in"), ("chain.2", "norm_out")):
        rows += [
            Rule(f"{name}.weight", f"params/{path}/weight"),
            Rule(f"{name}.bias", f"params/{path}/bias"),
            Constant(f"{name}.step", np.zeros(1, np.float32)),
            Rule(f"{name}.running_mean", f"batch_stats/{path}/mean"),
            Rule(f"{name}.running_var", f"batch_stats/{path}/var"),
        ]
    paths = [f"hidden_{i}" for i in range(len(module.widths))] + ["output"]
    for i, path in enumerate(paths):
        name = f"{_LAYERS}.{i}"
        rows += [
            Rule(f"{name}._layer.weight", f"params/{path}/weight", LINEAR),
            Rule(f"{name}._layer.bias", f"params/{path}/bias"),
            Rule(f"{name}._hyper_gate.weight", f"params/{path}/gate_weight", LINEAR),
            Rule(f"{name}._hyper_gate.bias", f"params/{path}/gate_bias"),
            Rule(f"{name}._hyper_bias.weight", f"params/{path}/shift_weight", LINEAR),
        ]
    return rows
