"""Describes networks as JSON, and makes networks from descriptions.

A description is `{"class": "Generator", "resolution": 64, …}`: class and all fields.
"""

import dataclasses
import importlib
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from hyperstyle_jax.net import Net

COLLECTIONS = ("params", "buffers", "batch_stats")
Inputs = Sequence[Sequence[int]]


def spec(module: nn.Module) -> dict[str, Any]:
    """The class and all fields of a module as plain JSON values."""
    name = type(module).__name__
    _check_known(name)
    fields = {f.name: getattr(module, f.name) for f in _fields(type(module))}
    return {"class": name, **{k: _to_json(f"{name}.{k}", v) for k, v in fields.items()}}


def module_from_spec(spec: dict[str, Any]) -> nn.Module:
    """The module that `spec` describes.

    Raises:
        ValueError: unknown class, unknown or missing field.
    """
    if not isinstance(spec, dict) or not isinstance(spec.get("class"), str):
        raise ValueError(f"a network's description needs a 'class', got {spec!r:.80}")
    name = spec["class"]
    _check_known(name)
    cls = getattr(importlib.import_module(_home(name)), name)
    known = {f.name for f in _fields(cls)}
    given = {k: _from_json(v) for k, v in spec.items() if k != "class"}
    if unknown := sorted(given.keys() - known):
        raise ValueError(f"{name} has no field {unknown}; its fields: {sorted(known)}")
    try:
        return cls(**given)
    except TypeError as error:
        raise ValueError(f"cannot build {name}: {error}") from None


def default_inputs(module: nn.Module, image_size: int | Sequence[int] = 256) -> Inputs:
    """Shapes of one input each, without the batch axis, that `module` is made for.

    Where its fields do not say it, images have `image_size`: a side, or (H, W).
    """
    return _kind(module).inputs(module, image_size)


def shapes(module: nn.Module, inputs: Inputs | None = None) -> dict[str, Any]:
    """The variables of `module` as `ShapeDtypeStruct`s; computes nothing."""
    init = partial(module.init, method=_kind(module).method)
    inputs = default_inputs(module) if inputs is None else inputs
    args = [jax.ShapeDtypeStruct((1, *s), jnp.float32) for s in inputs]
    return _collections(jax.eval_shape(init, jax.random.key(0), *args))


def init_net(module: nn.Module, key: jax.Array, inputs: Inputs | None = None) -> Net:
    """`module` with freshly drawn weights, the same on every kind of device.

    They are drawn on the CPU: a program with hundreds of random arrays takes long to
    compile for a GPU (generator and hypernetwork at 1024²: 124 s for an H200, 22 s for
    its host).
    """
    method = _kind(module).method
    inputs = default_inputs(module) if inputs is None else inputs

    @jax.jit
    def init(key):
        args = [jnp.zeros((1, *s), jnp.float32) for s in inputs]
        return _collections(module.init(key, *args, method=method))

    with jax.default_device(_host()):
        variables = init(key)
    if jax.default_backend() != "cpu":
        variables = jax.device_put(variables, jax.local_devices()[0])
    return Net(module, variables)


def _host() -> jax.Device | None:
    """The CPU; None if JAX was told to do without it."""
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:
        return None


def _collections(variables):
    return {k: variables[k] for k in COLLECTIONS if k in variables}


def _image(size: int | Sequence[int], channels: int = 3) -> tuple[int, ...]:
    height, width = (size, size) if isinstance(size, int) else size
    return (height, width, channels)


class _Kind(NamedTuple):
    """Where a class lives, its inputs (module, image size), what initializes it."""

    home: str
    inputs: Callable[[Any, int | Sequence[int]], Inputs]
    method: str | None = None


_NETWORKS = {
    "Generator": _Kind("generator", lambda m, _: [(m.z_dim,)]),
    "Discriminator": _Kind("discriminator", lambda m, _: [_image(m.resolution)]),
    "WEncoder": _Kind("encoders", lambda m, size: [_image(size)]),
    "StyleEncoder": _Kind(
        "encoders", lambda m, size: [_image(size, 3 if m.pyramid else 6)]
    ),
    "WPlusEncoder": _Kind("encoders", lambda m, size: [_image(size)]),
    "Hypernet": _Kind("hypernet", lambda m, size: [_image(size)] * 2, "initialize"),
    "FeatureExtractor": _Kind("feature_extractor", lambda m, size: [_image(size)]),
    "FaceNet": _Kind("irnet", lambda m, _: [_image(112)]),
    "ResNet": _Kind("resnet", lambda m, _: [_image(224)]),
    "LPIPS": _Kind("lpips", lambda m, size: [_image(size)] * 2),
    "Trunk": _Kind("lpips", lambda m, size: [_image(size)]),
    "Heads": _Kind("lpips", lambda m, _: [], "initialize"),
    "PNet": _Kind("mtcnn", lambda m, _: [_image(12)]),
    "RNet": _Kind("mtcnn", lambda m, _: [_image(24)]),
    "ONet": _Kind("mtcnn", lambda m, _: [_image(48)]),
    "CLIP": _Kind(
        "clip", lambda m, _: [_image(m.resolution), (m.context,)], "initialize"
    ),
    "StyleFlow": _Kind(
        "styleflow", lambda m, _: [(m.w_dim,), (len(m.attributes),)], "initialize"
    ),
}


def _kind(module: nn.Module) -> _Kind:
    name = type(module).__name__
    _check_known(name)
    return _NETWORKS[name]


def _home(name: str) -> str:
    return f"hyperstyle_jax.models.{_NETWORKS[name].home}"


def _check_known(name: str):
    if name not in _NETWORKS:
        raise ValueError(f"unknown network class {name!r}; known: {sorted(_NETWORKS)}")


def _fields(cls: type) -> list[dataclasses.Field]:
    return [f for f in dataclasses.fields(cls) if f.name not in ("parent", "name")]


def _to_json(where: str, value: Any):
    if isinstance(value, nn.Module):
        return spec(value)
    if isinstance(value, (tuple, list)):
        return [_to_json(where, v) for v in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise ValueError(f"{where} = {value!r:.80} cannot be written as JSON")


def _from_json(value: Any):
    if isinstance(value, dict):
        return module_from_spec(value)
    return tuple(map(_from_json, value)) if isinstance(value, list) else value
