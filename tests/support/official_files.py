"""Tiny networks as contents of official files, of every kind."""

import jax
import networks
import numpy as np

from hyperstyle_jax.convert import official
from hyperstyle_jax.models.discriminator import Discriminator
from hyperstyle_jax.models.encoders import StyleEncoder, WEncoder
from hyperstyle_jax.models.generator import Generator
from hyperstyle_jax.models.hypernet import Hypernet, tuned_layers
from hyperstyle_jax.models.irnet import FaceNet
from hyperstyle_jax.models.lpips import LPIPS
from hyperstyle_jax.models.mtcnn import ONet, PNet, RNet
from hyperstyle_jax.models.resnet import ResNet
from hyperstyle_jax.weights import specs

SIZE = 16
SMALL = {"widths": (4, 8), "depths": (1, 2)}


def make(module, size=SIZE, channels=3, scale=1.0):
    inputs = specs.default_inputs(module, size)
    if isinstance(module, StyleEncoder):
        inputs = [(size, size, channels)]
    return networks.random_net(module, 0, inputs, scale)


def generator(**fields):
    widths = {"channel_base": 64, "channel_max": 8}
    return make(Generator(SIZE, z_dim=4, w_dim=8, **widths, **fields))


def encoder(**fields):
    return make(StyleEncoder(6, w_dim=8, **SMALL, **fields), SIZE, 6)


def hypernet(**fields):
    module = Hypernet(
        tuned_layers(generator().module, **fields),
        **SMALL, embedding_dim=8, inner=4, inner_shared=5, hidden=6,
    )  # fmt: skip
    return make(module)


def hyperstyle(**fields):
    nets = {"generator": generator(), "hypernet": hypernet(**fields)}
    value = official.contents(nets).files["hypernet"]
    value["opts"] |= {"n_iters_per_batch": 3, "device": "cuda:0"}
    return value | {"global_step": 7, "best_val_loss": None}


def encoder_file(net):
    nets = {"generator": generator(), "encoder": net}
    value = official.contents(nets).files["encoder"]
    value["latent_avg"] = np.repeat(value["latent_avg"][:1], 6, 0)
    return value


def stylegan2():
    pair = {"generator": generator(), "discriminator": discriminator()}
    value = official.contents(pair).files["generator"]
    return value | {"g": value["g_ema"], "args": {"size": SIZE}}


def discriminator():
    return make(Discriminator(SIZE, channel_base=64, channel_max=8))


def face_net(**fields):
    return make(FaceNet(**SMALL, embedding=8, **fields), 112)


def moco():
    trunk = official.tensors(make(ResNet(**SMALL, bottleneck=True)))
    extra = {"module.encoder_q.fc.0.weight": np.ones((2, 2), np.float32)}
    named = {f"module.encoder_q.{k}": v for k, v in trunk.items()}
    return {"state_dict": named | extra, "epoch": 800}


def lpips():
    tensors = official.tensors(make(LPIPS("squeeze"), 64))
    return tensors | {"classifier.1.bias": np.ones(3, np.float32)}


VALUES = {
    "hyperstyle": ("hyperstyle", hyperstyle),
    "hyperstyle with toRGB": ("hyperstyle", lambda: hyperstyle(to_rgb=True)),
    "hyperstyle separable": ("hyperstyle", lambda: hyperstyle(separable=True)),
    "hyperstyle, few layers": ("hyperstyle", lambda: hyperstyle(preset="medium_fine")),
    "w-encoder": ("w-encoder", lambda: encoder_file(make(WEncoder(8, **SMALL)))),
    "psp": ("psp", lambda: encoder_file(pyramid())),
    "e4e": ("e4e", lambda: encoder_file(pyramid(progressive=True))),
    "restyle-psp": ("restyle-psp", lambda: encoder_file(encoder(pyramid=False))),
    "restyle-e4e": (
        "restyle-e4e",
        lambda: encoder_file(
            encoder(pyramid=False, progressive=True, trunk="resnet"),
        ),
    ),
    "stylegan2": ("stylegan2", stylegan2),
    "arcface": ("arcface", lambda: official.tensors(face_net())),
    "curricularface": (
        "curricularface",
        lambda: official.tensors(face_net(squeeze_excite=False, affine=False)),
    ),
    "resnet": ("resnet", lambda: official.tensors(make(ResNet(**SMALL)))),
    "moco": ("moco", moco),
    "lpips": ("lpips", lpips),
    "pnet": ("mtcnn", lambda: official.tensors(make(PNet()))),
    "rnet": ("mtcnn", lambda: official.tensors(make(RNet()))),
    "onet": ("mtcnn", lambda: official.tensors(make(ONet()))),
    "direction": ("direction", lambda: np.ones((1, 16), np.float32)),
    "ganspace": (
        "ganspace",
        lambda: {
            "mean": np.zeros((1, 8), np.float32),
            "std": np.ones(3, np.float32),
            "comp": np.eye(3, 8, dtype=np.float32)[:, None],
        },
    ),
}


def pyramid(**fields):
    small = {"widths": (4, 8, 12, 8), "depths": (1, 1, 1, 1)}
    return make(StyleEncoder(6, w_dim=8, **small, **fields), 32, 3)


def numpy_values(value):
    """JAX's arrays as NumPy's, dicts in their order."""
    if isinstance(value, dict):
        return {k: numpy_values(v) for k, v in value.items()}
    return np.asarray(value) if isinstance(value, jax.Array) else value


def mangle(value, rng):
    """One tensor of the file lost, renamed, reshaped or replaced by something else."""
    groups = [v for v in value.values() if isinstance(v, dict) and len(v) > 3]
    group = groups[rng.integers(len(groups))] if groups else value
    name = sorted(group)[rng.integers(len(group))]
    kind = rng.integers(5)
    if kind == 0:
        del group[name]
    elif kind == 1:
        group[name + ".x"] = group.pop(name)
    elif kind == 2:
        shape = rng.integers(0, 9, rng.integers(0, 6))
        group[name] = np.zeros(shape, np.float32)
    elif kind == 3:
        group[name] = np.broadcast_to(np.float32(0), (2**20, 2**9))
    else:
        group[name] = ["text", 3, None, {}, []][rng.integers(5)]
