"""CLIP with a vision transformer, as OpenAI publishes it: ViT-B/32 and alike."""

import math
from typing import Any

import numpy as np

from hyperstyle_jax.convert.architectures import numbered, tensor
from hyperstyle_jax.convert.layouts import Constant, Rule, Table
from hyperstyle_jax.convert.rules import CONV, LINEAR, linear
from hyperstyle_jax.convert.sources import Part, Source, Tensors, has_tensors
from hyperstyle_jax.models.clip import CLIP

KINDS = ("clip",)
_BLOCKS = r"transformer\.resblocks\.(\d+)\."
# Sizes that the published archives hold beside the weights.
_SIZES = ("input_resolution", "context_length", "vocab_size")


def matches(value: Any) -> bool:
    """Whether a file holds CLIP's tensors, whatever its network for images is."""
    return has_tensors(value, "text_projection", "token_embedding.weight")


def read(value: Tensors, _: str) -> Source:
    """The network of a file; its role is "clip".

    Raises:
        ValueError: its network for images is a ResNet.
    """
    if "visual.proj" not in value:
        raise ValueError(
            "a CLIP whose network for images is a ResNet (RN50 and alike): only those "
            "with a vision transformer are converted, for example ViT-B/32"
        )
    module = _module(value)
    return Source(*KINDS, {"clip": module}, [Part("clip", table(module), value, ())])


def _module(value: Tensors) -> CLIP:
    kernel = tensor(value, "visual.conv1.weight", 4)
    positions = tensor(value, "visual.positional_embedding", 2).shape[0]
    vocabulary, width = tensor(value, "token_embedding.weight", 2).shape
    return CLIP(
        embedding=tensor(value, "text_projection", 2).shape[1],
        resolution=math.isqrt(positions - 1) * kernel.shape[2],
        patch=kernel.shape[2],
        vision_width=kernel.shape[0],
        vision_layers=numbered(value, r"visual\." + _BLOCKS),
        width=width,
        layers=numbered(value, _BLOCKS),
        vocabulary=vocabulary,
        context=tensor(value, "positional_embedding", 2).shape[0],
    )


def table(module: CLIP) -> Table:
    """The rows of both networks."""
    vision, text = "params/vision", "params/text_network"
    rows: list[Rule | Constant] = [
        Rule("logit_scale", "params/logit_scale"),
        Rule("visual.class_embedding", f"{vision}/class_embedding"),
        Rule("visual.positional_embedding", f"{vision}/position"),
        Rule("visual.proj", f"{vision}/projection"),
        Rule("visual.conv1.weight", f"{vision}/patch_weight", CONV),
        *_norm("visual.ln_pre", "vision/norm_before"),
        *_norm("visual.ln_post", "vision/norm_after"),
        Rule("token_embedding.weight", f"{text}/tokens"),
        Rule("positional_embedding", f"{text}/position"),
        Rule("text_projection", f"{text}/projection"),
        *_norm("ln_final", "text_network/norm_after"),
    ]
    sizes = (module.resolution, module.context, module.vocabulary)
    for name, size in zip(_SIZES, sizes, strict=True):
        rows.append(Constant(name, np.asarray(size)))
    for i in range(module.vision_layers):
        rows += _block(f"visual.transformer.resblocks.{i}", "vision", i)
    for i in range(module.layers):
        rows += _block(f"transformer.resblocks.{i}", "text_network", i)
    return rows


def _block(name: str, network: str, index: int) -> list[Rule]:
    path = f"{network}/transformer/block{index}"
    return [
        *_norm(f"{name}.ln_1", f"{path}/norm1"),
        Rule(f"{name}.attn.in_proj_weight", f"params/{path}/qkv/weight", LINEAR),
        Rule(f"{name}.attn.in_proj_bias", f"params/{path}/qkv/bias"),
        *linear(f"{name}.attn.out_proj", f"{path}/out"),
        *_norm(f"{name}.ln_2", f"{path}/norm2"),
        *linear(f"{name}.mlp.c_fc", f"{path}/fc1"),
        *linear(f"{name}.mlp.c_proj", f"{path}/fc2"),
    ]


def _norm(name: str, path: str) -> list[Rule]:
    return [Rule(f"{name}.{k}", f"params/{path}/{k}") for k in ("weight", "bias")]
