"""ResNets: torchvision's, and the one of MoCo v2."""

from collections.abc import Mapping
from typing import Any

from hyperstyle_jax.convert import sources
from hyperstyle_jax.convert.architectures import numbered, tensor
from hyperstyle_jax.convert.sources import Part, Source, Tensors
from hyperstyle_jax.convert.trunks import resnet_table
from hyperstyle_jax.models.resnet import ResNet

KINDS = ("resnet",)
MOCO_KINDS = ("moco",)
_CLASSIFIER = r"fc\..*"  # is not read


def matches(value: Any) -> bool:
    """Whether a file holds the tensors of torchvision's ResNet."""
    return sources.has_tensors(value, "conv1.weight", "layer1.0.conv1.weight")


def read(value: Tensors, _: str) -> Source:
    """The ResNet of a file, without its classifier."""
    return _read(*KINDS, value, (), "")


def matches_moco(value: Any) -> bool:
    """Whether a file holds MoCo's query encoder."""
    state_dict = sources.has_state_dict(value, "encoder_q")
    return state_dict or sources.has(value, "encoder_q.conv1.weight")


def read_moco(value: Mapping[str, Any], _: str) -> Source:
    """The trunk of MoCo's query encoder; nothing else of a file is used."""
    root, tensors = ((), value)
    if "state_dict" in value:
        root, tensors = ("state_dict",), value["state_dict"]
    prefix = "encoder_q."
    return _read(*MOCO_KINDS, sources.with_prefix(tensors, prefix), root, prefix)


def _read(role: str, tensors: Tensors, root: tuple[str, ...], prefix: str) -> Source:
    module = _resnet(tensors)
    part = Part(role, resnet_table(module), tensors, root, prefix, _CLASSIFIER)
    return Source(role, {role: module}, [part])


def _resnet(tensors: Tensors) -> ResNet:
    depths = [
        numbered(tensors, rf"layer{i}\.(\d{{1,3}})\.")
        for i in range(1, 1 + numbered(tensors, r"layer(\d)\."))
    ]
    depths = [n for n in depths if n] or [0]
    names = [f"layer{i + 1}.0.conv2.weight" for i in range(len(depths))]
    widths = [tensor(tensors, name, 4).shape[0] for name in names]
    bottleneck = "layer1.0.conv3.weight" in tensors
    return ResNet(tuple(widths), tuple(depths), bottleneck)
