"""Encoders: HyperStyle's W-encoders, pSp, e4e, and ReStyle over either of them.

A checkpoint of theirs also holds the generator and the mean latent.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from hyperstyle_jax.convert.architectures import numbered, style_convs, tensor
from hyperstyle_jax.convert.kinds import hyperstyle, stylegan2
from hyperstyle_jax.convert.layouts import Table
from hyperstyle_jax.convert.rules import conv, linear, linear_over_map, norm
from hyperstyle_jax.convert.sources import (
    Part,
    Source,
    Tensors,
    has,
    has_state_dict,
    has_tensors,
    options,
    with_prefix,
)
from hyperstyle_jax.convert.trunks import (
    ir_stages,
    ir_table,
    resnet_stages,
    resnet_table,
)
from hyperstyle_jax.models.encoders import (
    POOLED,
    StyleEncoder,
    WEncoder,
    WPlusEncoder,
)

ROLES = {
    "w-encoder": "encoder",
    "psp": "psp",
    "e4e": "e4e",
    "restyle-psp": "restyle_psp",
    "restyle-e4e": "restyle_e4e",
}
KINDS = tuple(ROLES)
_KINDS_BY_CLASS = {  # the official class names
    "GradualStyleEncoder": "psp",
    "BackboneEncoderUsingLastLayerIntoWPlus": "psp",
    "ResNetGradualStyleEncoder": "restyle-psp",
    "BackboneEncoder": "restyle-psp",
    "ResNetBackboneEncoder": "restyle-psp",
    "Encoder4Editing": "e4e",
    "ProgressiveBackboneEncoder": "restyle-e4e",
    "ResNetProgressiveBackboneEncoder": "restyle-e4e",
}


def matches(value: Any) -> bool:
    """Whether a file holds an encoder and its generator."""
    return has_state_dict(value, "encoder", "decoder")


def read(value: Mapping[str, Any], kind: str) -> Source:
    """The encoder of a file, its generator, and the mean latent."""
    tensors = with_prefix(value["state_dict"], "encoder.")
    source = _read(tensors, options(value), kind, ("state_dict",), "encoder.")
    generator, generator_parts = hyperstyle.read_generator(value)
    ((role, module),) = source.modules.items()
    rows = () if isinstance(module, WEncoder) else (module.num_ws,)
    shape = (*rows, module.w_dim)
    latent = stylegan2.latent_parts(value, "buffers/latent_avg", shape, role)
    parts = [*source.parts, *generator_parts, *latent]
    modules = source.modules | {"generator": generator}
    return source._replace(modules=modules, parts=parts)


def matches_alone(value: Any) -> bool:
    """Whether a file holds the tensors of an encoder and nothing else."""
    if has(value, "output_layer.3.weight"):  # a face recognition network
        return False
    return has_tensors(value, "input_layer.0.weight", "linear.weight") or has_tensors(
        value, "styles.0.linear.weight"
    )


def read_alone(value: Tensors, kind: str) -> Source:
    """An encoder without its generator."""
    return _read(value, {}, kind, (), "")


def _read(tensors: Tensors, opts, kind: str, root, prefix: str) -> Source:
    if "output_layer_2.3.weight" in tensors:
        kind, module = "psp", w_plus_encoder(tensors)
        table = w_plus_encoder_table(module)
    elif "linear.weight" in tensors:
        kind, module = "w-encoder", w_encoder(tensors)
        table = w_encoder_table(module)
    else:
        kind = _kind(tensors, opts, kind)
        module, table = style_encoder(tensors, progressive=kind.endswith("e4e"))
    first = "conv1.weight" if "conv1.weight" in tensors else "input_layer.0.weight"
    part = Part(ROLES[kind], table, tensors, root, prefix)
    channels = tensor(tensors, first, 4).shape[1]
    return Source(kind, {ROLES[kind]: module}, [part], {}, channels, opts)


def _kind(tensors: Tensors, opts, kind: str) -> str:
    """pSp and e4e have the same tensors: the options tell them apart, or the user."""
    if kind in _KINDS_BY_CLASS.values():
        return kind
    name = opts.get("encoder_type")
    if name in _KINDS_BY_CLASS:
        return _KINDS_BY_CLASS[name]
    if any(k.startswith("latlayer") for k in tensors):
        raise ValueError("a pSp or an e4e encoder: say which with --kind psp or e4e")
    raise ValueError(
        "a ReStyle encoder over pSp or e4e: say which with --kind restyle-psp or "
        "restyle-e4e"
    )


def w_encoder(tensors: Tensors) -> WEncoder:
    """The W-encoder that has these tensors."""
    w_dim = tensor(tensors, "linear.weight", 2).shape[0]
    return WEncoder(w_dim, **ir_stages(tensors))


def w_encoder_table(module: WEncoder) -> Table:
    """The rows of a W-encoder."""
    return [*ir_table(module, "body"), *linear("linear", "linear")]


def w_plus_encoder(tensors: Tensors) -> WPlusEncoder:
    """The variant of pSp that has these tensors."""
    w_dim = tensor(tensors, "output_layer_2.3.weight", 2).shape[0]
    num_ws = tensor(tensors, "linear.weight", 2).shape[0] // max(w_dim, 1)
    return WPlusEncoder(num_ws, w_dim, **ir_stages(tensors))


def w_plus_encoder_table(module: WPlusEncoder) -> Table:
    """The rows of the variant of pSp that reads all latents off one vector."""
    return [
        *ir_table(module, "body"),
        *norm("output_layer_2.0", "norm"),
        *linear_over_map("output_layer_2.3", "features", POOLED),
        *linear("linear", "linear"),
    ]


def style_encoder(tensors: Tensors, progressive: bool) -> tuple[StyleEncoder, Table]:
    """The encoder to W+ that has these tensors, and its rows.

    Args:
        tensors: by official name.
        progressive: its outputs are added to the first one, as in e4e.
    """
    trunk = "resnet" if "conv1.weight" in tensors else "ir_se"
    stages = resnet_stages if trunk == "resnet" else ir_stages
    count = numbered(tensors, r"styles\.(\d{1,2})\.")
    module = StyleEncoder(
        num_ws=count,
        w_dim=tensor(tensors, "styles.0.linear.weight", 2).shape[0],
        **stages(tensors),
        trunk=trunk,
        pyramid="latlayer1.weight" in tensors,
        progressive=progressive,
    )
    convs = [style_convs(tensors, f"styles.{i}.convs") for i in range(count)]
    return module, style_encoder_table(module, convs)


def style_encoder_table(module: StyleEncoder, convs: Sequence[int]) -> Table:
    """The rows of an encoder to W+; `convs` counts each style block's convolutions."""
    if module.trunk == "resnet":
        rows = list(resnet_table(module, "body", flat=True, prelu=True))
    else:
        rows = list(ir_table(module, "body"))
    if module.pyramid:
        for i in (1, 2):
            rows += conv(f"latlayer{i}", f"lateral{i}")
    for i, count in enumerate(convs):
        for j in range(count):
            rows += conv(f"styles.{i}.convs.{2 * j}", f"style{i}/conv{j}")
        rows += linear(f"styles.{i}.linear", f"style{i}/linear")
    return rows
