"""Recognizes what a file of weights holds by its content.

Every kind of file becomes a `Source`: modules by role, and for every group of tensors
the table that carries it over. Nothing is read from a file's name.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from flax import linen as nn

from hyperstyle_jax.convert import (
    architectures,
    containers,
    foreign_networks,
    rules,
)
from hyperstyle_jax.convert.layouts import Table
from hyperstyle_jax.models.encoders import StyleEncoder
from hyperstyle_jax.models.lpips import Heads, Trunk
from hyperstyle_jax.models.mtcnn import ONet, PNet, RNet
from hyperstyle_jax.models.resnet import FaceNet

Tensors = Mapping[str, np.ndarray]

KINDS = (
    "hyperstyle", "w-encoder", "psp", "e4e", "restyle-psp", "restyle-e4e",
    "stylegan2", "stylegan2-nvidia", "arcface", "curricularface", "moco", "resnet",
    "lpips", "mtcnn", "direction", "ganspace", "styleclip",
)  # fmt: skip


class Part(NamedTuple):
    """A group of tensors of one file that goes into one network."""

    role: str
    table: Table
    tensors: Tensors
    root: tuple[str, ...]  # where in the official layout its dict is
    prefix: str = ""  # of the names in there
    unused: str | None = None  # further names that are let pass
    optional: str | None = None  # our paths that the file may lack


class Source(NamedTuple):
    """What a file holds.

    `modules` by role; `arrays` are edit directions and the like; `channels` are those
    of an encoder's input; `opts` the training's options, where the file has them.
    `places`: where in the file a tensor of the official layout is (`containers`).
    """

    kind: str
    modules: dict[str, nn.Module]
    parts: list[Part]
    arrays: dict[str, np.ndarray] = {}
    channels: int = 3
    opts: dict[str, Any] = {}
    places: dict[tuple, tuple] = {}


def recognize(value: Any, kind: str = "auto") -> Source:
    """The content of a file as a Source, whatever wraps its tensors.

    Args:
        value: the content of a file, made `containers.plain`.
        kind: one of `KINDS` where the content leaves open what it is (pSp and e4e
            differ in their use only), or "auto".

    Raises:
        ValueError: unknown content, or not of the given kind.
    """
    if kind not in ("auto", *KINDS):
        raise ValueError(f"kind {kind!r}: expected auto, {', '.join(KINDS)}")
    if foreign := foreign_networks.describe(containers.names(value)):
        raise ValueError(foreign)
    for layout in containers.candidates(value):
        for matches, read in _READERS:
            if matches(layout.value):
                source = read(layout.value, kind)
                if kind not in ("auto", source.kind):
                    raise ValueError(f"it is {source.kind}, not {kind}")
                return source._replace(places=layout.places)
    raise ValueError(f"no known kind of weights: {_summary(value)}")


def _summary(value) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, dict):
        names = ", ".join(f"{k!r:.40}" for k in list(value)[:5])
        return f"a dict of {len(value)} ({names}{', …' * (len(value) > 5)})"
    return f"a {type(value).__name__}"


def _is_tensors(value) -> bool:
    """A dict of arrays only."""
    return (
        isinstance(value, dict)
        and len(value) > 0
        and all(isinstance(v, np.ndarray) for v in value.values())
        and all(isinstance(k, str) for k in value)
    )


def _has(value, *names) -> bool:
    return isinstance(value, dict) and all(name in value for name in names)


def _with_prefix(tensors, prefix) -> dict[str, np.ndarray]:
    n = len(prefix)
    return {k[n:]: v for k, v in tensors.items() if k.startswith(prefix)}


def _state(value, *prefixes) -> bool:
    """A dict with a state dict in which all names have one of the prefixes."""
    if not (_has(value, "state_dict") and _is_tensors(value["state_dict"])):
        return False
    firsts = {name.partition(".")[0] for name in value["state_dict"]}
    return set(prefixes) <= firsts


# StyleGAN2


# Loaders of the field do without these: noise is drawn, its strength is zero, and the
# mean latent is averaged over many latents.
_OPTIONAL = r"buffers/.*/noise_const|params/.*/noise_strength|buffers/mapping/w_avg"


def _latent_part(value, path, length, role="generator") -> list[Part]:
    latent = value.get("latent_avg")
    if not isinstance(latent, np.ndarray):
        return []
    rows = latent.reshape(-1, latent.shape[-1]) if latent.ndim > 2 else latent
    if len(length) == 2 and rows.size == length[1]:  # one row for all layers
        rows = np.broadcast_to(rows.reshape(1, -1), length)
    # Reshaped or repeated, it is not the file's tensor, which is kept beside it.
    root = () if rows is latent else ("reshaped",)
    table = rules.latent_avg(path, rows.shape, length)
    return [Part(role, table, {"latent_avg": rows}, root)]


def _generator_part(role, tensors, root, prefix="", layout="rosinality"):
    """The module of a generator and its part."""
    if layout == "nvidia":
        module = architectures.nvidia_generator(tensors)
        table = rules.nvidia_generator(module)
    else:
        module = architectures.rosinality_generator(tensors)
        table = rules.generator(module)
    return module, Part(role, table, tensors, root, prefix, optional=_OPTIONAL)


def _is_stylegan2(value, averaged, raw, discriminator) -> bool:
    """Whether networks stand under these names, and none has the other layout."""
    names = (averaged, raw, discriminator)
    groups = [value[k] for k in names if _has(value, k) and _is_tensors(value[k])]
    layouts = {containers.official_name(tensors) for tensors in groups}
    return bool(groups) and layouts <= {raw, discriminator, None}


def _generator_roles(value, averaged, raw) -> dict[str, str]:
    """{name in the file: role}; without an averaged generator the other is used."""
    if _is_tensors(value.get(averaged)):
        return {averaged: "generator", raw: "generator_raw"}
    return {raw: "generator"}


def _read_rosinality(value, _) -> Source:
    modules: dict[str, nn.Module] = {}
    parts = []
    for name, role in _generator_roles(value, "g_ema", "g").items():
        if _is_tensors(value.get(name)):
            modules[role], part = _generator_part(role, value[name], (name,))
            parts.append(part)
    if _is_tensors(value.get("d")):
        module = architectures.rosinality_discriminator(value["d"])
        modules["discriminator"] = module
        table = rules.discriminator(module)
        parts.append(Part("discriminator", table, value["d"], ("d",)))
    if "generator" in modules:
        width = (modules["generator"].w_dim,)
        parts += _latent_part(value, "buffers/mapping/w_avg", width)
    return Source("stylegan2", modules, parts)


def _read_nvidia(value, _) -> Source:
    modules: dict[str, nn.Module] = {}
    parts = []
    for name, role in _generator_roles(value, "G_ema", "G").items():
        if _is_tensors(value.get(name)):
            made = _generator_part(role, value[name], (name,), layout="nvidia")
            modules[role], part = made
            parts.append(part)
    if _is_tensors(value.get("D")):
        module = architectures.nvidia_discriminator(value["D"])
        modules["discriminator"] = module
        table = rules.nvidia_discriminator(module)
        parts.append(Part("discriminator", table, value["D"], ("D",)))
    return Source("stylegan2-nvidia", modules, parts)


# Encoders and backbones


def _read_encoder(value, kind) -> Source:
    """pSp's layout: an encoder, the generator it is for, and the mean latent."""
    tensors = _with_prefix(value["state_dict"], "encoder.")
    opts = value["opts"] if isinstance(value.get("opts"), dict) else {}
    source = _encoder(tensors, opts, kind, ("state_dict",), "encoder.")
    generator = architectures.rosinality_generator(
        _with_prefix(value["state_dict"], "decoder.")
    )
    module = source.modules["encoder"]
    rows = (module.num_ws,) if isinstance(module, StyleEncoder) else ()
    latent = _latent_part(value, "buffers/latent_avg", (*rows, module.w_dim), "encoder")
    parts = [*source.parts, *_decoder_parts(value, generator), *latent]
    modules = source.modules | {"generator": generator}
    return source._replace(modules=modules, parts=parts)


def _read_bare_encoder(value, kind) -> Source:
    return _encoder(value, {}, kind, (), "")


def _is_bare_encoder(value) -> bool:
    if not _is_tensors(value) or "output_layer.3.weight" in value:
        return False
    return _has(value, "input_layer.0.weight", "linear.weight") or _has(
        value, "styles.0.linear.weight"
    )


def _encoder(tensors, opts, kind, root, prefix) -> Source:
    if "linear.weight" in tensors:
        kind, (module, table) = "w-encoder", architectures.w_encoder(tensors)
    else:
        kind = _which_encoder(tensors, opts, kind)
        module, table = architectures.style_encoder(tensors, kind.endswith("e4e"))
    first = "conv1.weight" if "conv1.weight" in tensors else "input_layer.0.weight"
    part = Part("encoder", table, tensors, root, prefix)
    channels = architectures.tensor(tensors, first, 4).shape[1]
    return Source(kind, {"encoder": module}, [part], {}, channels, opts)


def _decoder_parts(value, generator) -> list[Part]:
    decoder = _with_prefix(value["state_dict"], "decoder.")
    _, part = _generator_part("generator", decoder, ("state_dict",), "decoder.")
    latent = _latent_part(value, "buffers/mapping/w_avg", (generator.w_dim,))
    return [part, *latent]


_ENCODERS = {  # the official class names
    "GradualStyleEncoder": "psp",
    "ResNetGradualStyleEncoder": "restyle-psp",
    "BackboneEncoder": "restyle-psp",
    "ResNetBackboneEncoder": "restyle-psp",
    "Encoder4Editing": "e4e",
    "ProgressiveBackboneEncoder": "restyle-e4e",
    "ResNetProgressiveBackboneEncoder": "restyle-e4e",
}


def _which_encoder(tensors, opts, kind) -> str:
    """pSp and e4e have the same tensors; what tells them apart is in the options."""
    if kind != "auto":
        return kind
    name = opts.get("encoder_type")
    if name in _ENCODERS:
        return _ENCODERS[name]
    if any(k.startswith("latlayer") for k in tensors):
        raise ValueError("a pSp or an e4e encoder: say which with --kind psp or e4e")
    raise ValueError(
        "a ReStyle encoder over pSp or e4e: say which with --kind restyle-psp or "
        "restyle-e4e"
    )


def _read_face_net(value, _) -> Source:
    linear = architectures.tensor(value, "output_layer.3.weight", 2)
    stages = architectures.ir_stages(value)
    module = FaceNet(
        **stages,
        squeeze_excite="body.0.res_layer.5.fc1.weight" in value,
        embedding=linear.shape[0],
        affine="output_layer.4.weight" in value,
    )
    kind = "arcface" if module.squeeze_excite else "curricularface"
    size = math.isqrt(linear.shape[1] // stages["widths"][-1])
    table = rules.face_net(module, size)
    return Source(kind, {kind: module}, [Part(kind, table, value, ())])


def _read_resnet(value, _) -> Source:
    module = architectures.resnet(value)
    part = Part("resnet", rules.resnet(module), value, (), "", r"fc\..*")
    return Source("resnet", {"resnet": module}, [part])


def _read_moco(value, _) -> Source:
    """Only the query encoder's trunk is used."""
    root, tensors = ((), value)
    if "state_dict" in value:
        root, tensors = ("state_dict",), value["state_dict"]
    prefix = "encoder_q."
    trunk = _with_prefix(tensors, prefix)
    module = architectures.resnet(trunk)
    part = Part("moco", rules.resnet(module), trunk, root, prefix, r"fc\..*")
    return Source("moco", {"moco": module}, [part])


def _read_lpips(value, _) -> Source:
    trunk = {
        k: v for k, v in value.items() if k.startswith(("features.", "classifier"))
    }
    heads = {k: v for k, v in value.items() if k not in trunk}
    modules: dict[str, nn.Module] = {}
    parts = []
    if trunk:
        net = architectures.lpips_net(trunk)
        modules["lpips_trunk"] = module = Trunk(net)
        table = rules.lpips_trunk(module)
        unused = r"classifier\..*"
        parts += [Part("lpips_trunk", table, trunk, (), "", unused)]
    if heads:
        widths = [
            architectures.tensor(heads, f"lin{i}.model.1.weight", 4).shape[1]
            for i in range(architectures.numbered(heads, r"lin(\d)\."))
        ]
        modules["lpips_heads"] = Heads(tuple(widths))
        table = rules.lpips_heads(len(widths))
        parts += [Part("lpips_heads", table, heads, ())]
    return Source("lpips", modules, parts)


def _read_mtcnn(value, _) -> Source:
    which = {"conv4_1.weight": "pnet", "conv5_1.weight": "rnet"}
    name = next((v for k, v in which.items() if k in value), "onet")
    module = {"pnet": PNet, "rnet": RNet, "onet": ONet}[name]()
    part = Part(name, rules.mtcnn(name), value, ())
    return Source("mtcnn", {name: module}, [part])


# HyperStyle


def _read_hyperstyle(value, _) -> Source:
    tensors = _with_prefix(value["state_dict"], "hypernet.")
    generator = architectures.rosinality_generator(
        _with_prefix(value["state_dict"], "decoder.")
    )
    module, table = architectures.hypernet(tensors, generator)
    parts = [Part("hypernet", table, tensors, ("state_dict",), "hypernet.")]
    parts += _decoder_parts(value, generator)
    modules = {"hypernet": module, "generator": generator}
    opts = value["opts"] if isinstance(value.get("opts"), dict) else {}
    return Source("hyperstyle", modules, parts, opts=opts)


# Arrays for editing


def _read_direction(value, _) -> Source:
    return Source("direction", {}, [], {"direction": value.reshape(_latent(value))})


def _latent(value) -> tuple[int, ...]:
    """[1, 512] → [512], [1, 18, 512] → [18, 512]."""
    shape = value.shape
    return shape[1:] if len(shape) > 1 and shape[0] == 1 else shape


def _is_direction(value) -> bool:
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        return False
    shape = _latent(value)
    return len(shape) == 1 and shape[0] >= 8 or len(shape) == 2 and shape[0] <= 20


def _ganspace(value) -> dict[str, np.ndarray] | None:
    """mean, std and comp under the names of a .pt file, or of GANSpace's own .npz.

    There `lat_` is the latent space; `act_` the activations, which are the same thing
    for the space W.
    """
    names = (
        ("mean", "std", "comp"),
        *(
            tuple(f"{space}_{k}" for k in ("mean", "stdev", "comp"))
            for space in ("lat", "act")
        ),
    )
    for found in names:
        if _has(value, *found) and _is_tensors({k: value[k] for k in found}):
            mean, std, comp = (value[k] for k in found)
            return {"mean": mean, "std": std, "comp": comp}
    return None


def _read_ganspace(value, _) -> Source:
    value = _ganspace(value)
    if not value["comp"].ndim or not value["comp"].size:
        raise ValueError("a GANSpace file without components")
    count, width = value["comp"].shape[0], value["comp"].shape[-1]
    if value["mean"].size != width or value["std"].size != count:
        raise ValueError("a GANSpace file whose mean, std and comp do not fit")
    if value["comp"].size != count * width:
        raise ValueError(
            f"a GANSpace file of components of shape {value['comp'].shape[1:]}: only "
            "those of the latent space W are edit directions"
        )
    arrays = {
        "ganspace_mean": value["mean"].reshape(width),
        "ganspace_std": value["std"].reshape(count),
        "ganspace_directions": value["comp"].reshape(count, width),
    }
    return Source("ganspace", {}, [], arrays)


def _is_style_statistics(value) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) == 2
        and all(isinstance(v, (list, tuple)) and v for v in value)
        and all(isinstance(a, np.ndarray) and a.ndim == 1 for v in value for a in v)
    )


def _read_style_statistics(value, _) -> Source:
    mean, std = ([np.asarray(a) for a in group] for group in value)
    if [a.shape for a in mean] != [a.shape for a in std]:
        raise ValueError("StyleSpace means and deviations of different shapes")
    arrays = {f"styleclip_mean_{i}": a for i, a in enumerate(mean)}
    arrays |= {f"styleclip_std_{i}": a for i, a in enumerate(std)}
    return Source("styleclip", {}, [], arrays)


def _is_text_table(value) -> bool:
    """StyleCLIP's fs3: the effect in CLIP's space of every style channel."""
    return isinstance(value, np.ndarray) and value.ndim == 2 and len(value) > 1000


def _read_text_table(value, _) -> Source:
    return Source("styleclip", {}, [], {"styleclip_effects": value})


_Matches = Callable[[Any], bool]
_Reads = Callable[[Any, str], Source]
_READERS: list[tuple[_Matches, _Reads]] = [
    (lambda v: _state(v, "hypernet", "decoder"), _read_hyperstyle),
    (lambda v: _state(v, "encoder", "decoder"), _read_encoder),
    (lambda v: _is_stylegan2(v, "g_ema", "g", "d"), _read_rosinality),
    (lambda v: _is_stylegan2(v, "G_ema", "G", "D"), _read_nvidia),
    (
        lambda v: _state(v, "encoder_q") or _has(v, "encoder_q.conv1.weight"),
        _read_moco,
    ),
    (lambda v: _ganspace(v) is not None, _read_ganspace),
    (
        lambda v: _is_tensors(v) and _has(v, "features.conv1.weight"),
        _read_mtcnn,
    ),
    (_is_bare_encoder, _read_bare_encoder),
    (
        lambda v: _is_tensors(v) and _has(v, "input_layer.0.weight"),
        _read_face_net,
    ),
    (
        lambda v: _is_tensors(v) and _has(v, "conv1.weight", "layer1.0.conv1.weight"),
        _read_resnet,
    ),
    (
        lambda v: (
            _is_tensors(v)
            and (_has(v, "features.0.weight") or _has(v, "lin0.model.1.weight"))
        ),
        _read_lpips,
    ),
    (_is_style_statistics, _read_style_statistics),
    (_is_text_table, _read_text_table),
    (_is_direction, _read_direction),
]
