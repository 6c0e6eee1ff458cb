"""MTCNN, which finds faces: its three networks are published in a file each."""

from typing import Any

from hyperstyle_jax.convert.layouts import Rule, Table
from hyperstyle_jax.convert.rules import conv, linear, linear_over_map
from hyperstyle_jax.convert.sources import Part, Source, Tensors, has_tensors
from hyperstyle_jax.models.mtcnn import ONet, PNet, RNet

KINDS = ("mtcnn",)
_NETWORKS = {"pnet": PNet, "rnet": RNet, "onet": ONet}
_CONVOLUTIONS = {"pnet": 3, "rnet": 3, "onet": 4}
_OUTPUTS = {  # official names of the last layers, and ours
    "pnet": {"conv4_1": "face", "conv4_2": "box"},
    "rnet": {"conv5_1": "face", "conv5_2": "box"},
    "onet": {"conv6_1": "face", "conv6_2": "box", "conv6_3": "landmarks"},
}


def matches(value: Any) -> bool:
    """Whether a file holds the tensors of one of the networks."""
    return has_tensors(value, "features.conv1.weight")


def read(value: Tensors, _: str) -> Source:
    """The network of a file; its role is "pnet", "rnet" or "onet"."""
    roles = {"conv4_1.weight": "pnet", "conv5_1.weight": "rnet"}
    role = next((v for k, v in roles.items() if k in value), "onet")
    part = Part(role, table(role), value, ())
    return Source(*KINDS, {role: _NETWORKS[role]()}, [part])


def table(role: str) -> Table:
    """The rows of "pnet", "rnet" or "onet"."""
    count = _CONVOLUTIONS[role]
    rows: list[Rule] = []
    for i in range(1, count + 1):
        rows += conv(f"features.conv{i}", f"conv{i}")
    if role == "pnet":
        for name, path in _OUTPUTS[role].items():
            rows += conv(name, path)
    else:
        last = count + 1
        # The map before the linear layer lies as c, w, h.
        rows += linear_over_map(f"features.conv{last}", f"fc{last}", 3, "c w h")
        for name, path in _OUTPUTS[role].items():
            rows += linear(name, path)
    for i in range(1, count + 1 + (role != "pnet")):
        rows += [Rule(f"features.prelu{i}.weight", f"params/prelu{i}/weight")]
    return rows
