"""Our modules from the shapes of official tensors: sizes are read, never assumed."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from hyperstyle_jax.convert import rules
from hyperstyle_jax.convert.layouts import Table
from hyperstyle_jax.models.discriminator import Discriminator
from hyperstyle_jax.models.encoders import StyleEncoder, WEncoder
from hyperstyle_jax.models.generator import Generator
from hyperstyle_jax.models.hypernet import Hypernet, TunedLayer
from hyperstyle_jax.models.resnet import ResNet
from hyperstyle_jax.models.synthesis import channels

Tensors = Mapping[str, np.ndarray]


def tensor(tensors: Tensors, name: str, rank: int | None = None) -> np.ndarray:
    """A tensor whose shape tells the architecture."""
    if name not in tensors:
        raise ValueError(f"the tensor {name} is missing, and with it the architecture")
    array = tensors[name]
    if rank is not None and (array.ndim != rank or not all(array.shape)):
        raise ValueError(f"{name} has the shape {array.shape}, expected rank {rank}")
    return array


def numbered(tensors: Tensors, pattern: str) -> int:
    """One more than the largest number that the pattern's group matches."""
    found = (re.match(pattern, name) for name in tensors)
    return 1 + max((int(m[1]) for m in found if m), default=-1)


def rosinality_generator(tensors: Tensors) -> Generator:
    mapping = tensor(tensors, "style.1.weight", 2)
    convs = numbered(tensors, r"to_rgbs\.(\d{1,2})\.")
    widths = [tensor(tensors, "conv1.conv.weight", 5).shape[1]]
    widths += [
        tensor(tensors, f"convs.{2 * i}.conv.weight", 5).shape[1] for i in range(convs)
    ]
    return _generator(
        widths,
        z_dim=mapping.shape[1],
        w_dim=tensor(tensors, "conv1.conv.modulation.weight", 2).shape[1],
        num_mapping_layers=numbered(tensors, r"style\.(\d{1,2})\.weight") - 1,
        image_channels=tensor(tensors, "to_rgb1.conv.weight", 5).shape[1],
    )


def nvidia_generator(tensors: Tensors) -> Generator:
    if "mapping.embed.weight" in tensors:
        labels = tensor(tensors, "mapping.embed.weight", 2).shape[1]
        raise ValueError(
            f"a conditional generator: it takes class labels (c_dim = {labels}), and "
            "only unconditional ones are converted"
        )
    count = len({k.split(".")[1] for k in tensors if k.startswith("synthesis.b")})
    widths = [
        tensor(tensors, f"synthesis.b{4 << i}.conv1.weight", 4).shape[0]
        for i in range(count)
    ]
    return _generator(
        widths,
        z_dim=tensor(tensors, "mapping.fc0.weight", 2).shape[1],
        w_dim=tensor(tensors, "synthesis.b4.conv1.affine.weight", 2).shape[1],
        num_mapping_layers=numbered(tensors, r"mapping\.fc(\d{1,2})\.weight"),
        image_channels=tensor(tensors, "synthesis.b4.torgb.weight", 4).shape[0],
    )


def _generator(widths, **fields) -> Generator:
    resolution = 2 << len(widths)
    return Generator(resolution, **_widths(widths), **fields)


def _widths(widths) -> dict[str, Any]:
    """channel_base and channel_max that give these widths at 4, 8, 16, …"""
    resolutions = [4 << i for i in range(len(widths))]
    largest = max(widths)
    narrow = [w * r for w, r in zip(widths, resolutions, strict=True) if w < largest]
    # Without a narrower layer any sufficient base would do; 32768 is the usual one.
    base = narrow[0] if narrow else max(32768, largest * resolutions[-1])
    for width, resolution in zip(widths, resolutions, strict=True):
        if channels(resolution, base, largest) != width:
            raise ValueError(
                f"widths {widths} at 4², 8², … are not min(base / resolution, max), "
                "which the published networks follow"
            )
    return {"channel_base": base, "channel_max": largest}


def rosinality_discriminator(tensors: Tensors) -> Discriminator:
    blocks = numbered(tensors, r"convs\.(\d{1,2})\.")
    widths = [tensor(tensors, "convs.0.0.weight", 4).shape[0]]
    widths += [
        tensor(tensors, f"convs.{i}.conv2.1.weight", 4).shape[0]
        for i in range(1, blocks)
    ]
    return Discriminator(2 << blocks, **_widths(widths[::-1]))


def nvidia_discriminator(tensors: Tensors) -> Discriminator:
    if "mapping.embed.weight" in tensors:
        raise ValueError(
            "a conditional discriminator, which takes class labels: only unconditional "
            "ones are converted"
        )
    blocks = len({k.split(".")[0] for k in tensors if re.match(r"b\d+\.", k)})
    widths = [tensor(tensors, "b4.conv.weight", 4).shape[0]]
    widths += [
        tensor(tensors, f"b{4 << i}.conv0.weight", 4).shape[0] for i in range(1, blocks)
    ]
    return Discriminator(2 << blocks, **_widths(widths))


def _stages(widths: list[int], firsts: list[int]) -> dict[str, Any]:
    """Widths of single blocks and the first blocks of stages → widths and depths."""
    depths = np.diff([*firsts, len(widths)])
    return {
        "widths": tuple(widths[i] for i in firsts),
        "depths": tuple(int(d) for d in depths),
    }


def _block_widths(tensors, name) -> list[int]:
    count = numbered(tensors, r"body\.(\d{1,3})\.")
    return [tensor(tensors, name.format(i), 4).shape[0] for i in range(count)]


def ir_stages(tensors: Tensors) -> dict[str, Any]:
    widths = _block_widths(tensors, "body.{}.res_layer.3.weight")
    firsts = [i for i, w in enumerate(widths) if i == 0 or w != widths[i - 1]]
    return _stages(widths, firsts)


def _resnet_stages(tensors) -> dict[str, Any]:
    widths = _block_widths(tensors, "body.{}.conv2.weight")
    shortcut = "body.{}.downsample.0.weight"
    firsts = [i for i in range(len(widths)) if i == 0 or shortcut.format(i) in tensors]
    return _stages(widths, firsts)


def w_encoder(tensors: Tensors) -> tuple[WEncoder, Table]:
    module = WEncoder(
        tensor(tensors, "linear.weight", 2).shape[0], **ir_stages(tensors)
    )
    return module, rules.w_encoder(module)


def style_encoder(tensors: Tensors, progressive: bool) -> tuple[StyleEncoder, Table]:
    trunk = "resnet" if "conv1.weight" in tensors else "ir_se"
    stages = _resnet_stages if trunk == "resnet" else ir_stages
    count = numbered(tensors, r"styles\.(\d{1,2})\.")
    module = StyleEncoder(
        num_ws=count,
        w_dim=tensor(tensors, "styles.0.linear.weight", 2).shape[0],
        **stages(tensors),
        trunk=trunk,
        pyramid="latlayer1.weight" in tensors,
        progressive=progressive,
    )
    convs = [_style_convs(tensors, f"styles.{i}.convs") for i in range(count)]
    return module, rules.style_encoder(module, convs)


def _style_convs(tensors, name) -> int:
    """Convolutions of a block, between which there are activations."""
    return (numbered(tensors, re.escape(name) + r"\.(\d{1,2})\.weight") + 1) // 2


def resnet(tensors: Tensors) -> ResNet:
    counts = [
        numbered(tensors, rf"layer{i}\.(\d{{1,3}})\.")
        for i in range(1, 1 + numbered(tensors, r"layer(\d)\."))
    ]
    counts = [n for n in counts if n] or [0]
    name = "layer{}.0.conv2.weight"
    widths = [
        tensor(tensors, name.format(i + 1), 4).shape[0] for i in range(len(counts))
    ]
    bottleneck = "layer1.0.conv3.weight" in tensors
    return ResNet(tuple(widths), tuple(counts), bottleneck)


def lpips_net(tensors: Tensors) -> str:
    if "features.3.squeeze.weight" in tensors:
        return "squeeze"
    return "alex" if tensor(tensors, "features.0.weight", 4).shape[2] == 11 else "vgg"


def hypernet(tensors: Tensors, generator: Generator) -> tuple[Hypernet, Table]:
    layers = {rules.layer_index(layer.path): layer for layer in generator.layers()}
    name = r"refinement_blocks\.(\d{1,2})\."
    numbers = sorted({int(m[1]) for k in tensors if (m := re.match(name, k))})
    if unknown := [i for i in numbers if i not in layers]:
        raise ValueError(
            f"offsets for the layers {unknown}, which a generator of "
            f"{generator.resolution}² does not have"
        )
    tuned, convs = [], {}
    for i in numbers:
        block = f"refinement_blocks.{i}"
        layer = TunedLayer(*layers[i][:4], _decoder_kind(tensors, block, layers[i]))
        tuned.append(layer)
        convs[layer.path] = _style_convs(tensors, f"{block}.convs")
    fields = _hypernet_fields(tensors, tuned)
    module = Hypernet(tuple(tuned), **_resnet_stages(tensors), **fields)
    return module, rules.hypernet(module, convs)


def _decoder_kind(tensors, block, layer) -> str:
    if f"{block}.hypernet.w1" in tensors:
        return "shared"
    if f"{block}.output.0.make_kernel_in.weight" in tensors:
        return "separable"
    return "rgb" if layer.kernel == 1 else "channel"


def _hypernet_fields(tensors, tuned) -> dict[str, Any]:
    """Widths that are not those of the released networks."""
    fields: dict[str, Any] = {}
    for layer in tuned:
        block = f"refinement_blocks.{rules.layer_index(layer.path)}"
        last = 2 * _style_convs(tensors, f"{block}.convs") - 2
        name = "inner_shared" if layer.kind == "shared" else "inner"
        inner = tensor(tensors, f"{block}.convs.0.weight", 4).shape[0]
        embedding_dim = tensor(tensors, f"{block}.convs.{last}.weight", 4).shape[0]
        fields = {name: inner, "embedding_dim": embedding_dim} | fields
        if layer.kind == "shared":
            w1 = tensor(tensors, "shared_weight_hypernet.w1", 2)
            full = w1.shape[1] == layer.in_channels * layer.kernel**2
            fields |= {"hidden": w1.shape[0], "shared_kernel": full}
    return fields
