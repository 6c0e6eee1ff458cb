"""Checks of losses, measures and their networks."""

import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax import losses, metrics
from hyperstyle_jax.models.lpips import normalize
from hyperstyle_jax.models.mtcnn import PNet
from hyperstyle_jax.net import Net
from hyperstyle_jax.parity.case import Case, convert, nchw, nhwc
from hyperstyle_jax.parity.check import Output
from hyperstyle_jax.parity.encoders import with_layers
from hyperstyle_jax.torch_format import files as torch_files


def lpips(case: Case) -> Iterator[Output]:
    """LPIPS with its gradient, by layer, and the features that it compares."""
    net = convert(case.tensors(case.specs[0]))["lpips"]
    x, y = case.image("x"), case.image("y")
    (value, layers), gradient = _lpips_and_gradient(net, y, x)
    features = _lpips_features(net, x)
    near, _ = _lpips(net, 0.9 * x + 0.1 * y, x)
    wide, _ = _lpips(net, y[:, 32:224], x[:, 32:224])
    values = {"loss": value, "loss.near": near, "loss.192x256": wide}
    values["per_layer"] = layers
    values |= {f"loss.sample{i}": v for i, v in enumerate(layers.sum(0))}
    yield from case.outputs(values, "loss")
    normalized = {f"feat.{i}": nchw(normalize(f)) for i, f in enumerate(features)}
    yield from case.outputs(normalized, "image")
    yield from case.outputs({"grad": nchw(gradient)}, "gradient")


@jax.jit
def _lpips(net, y, x):
    """The mean distance, and the distances by layer and image."""
    layers = net(y, x, method="layers")
    return sum(layers).mean(), jnp.stack(layers)


_lpips_and_gradient = jax.jit(jax.value_and_grad(_lpips, argnums=1, has_aux=True))


@jax.jit
def _lpips_features(net, x):
    return net(x, method=lambda module, x: module.trunk(x))


def id_loss(case: Case) -> Iterator[Output]:
    """The identity loss by ArcFace, with its gradient."""
    net = convert(case.tensors(case.specs[0]))["arcface"]
    yield from _similarity_loss(case, net, losses.face_features)


def moco_loss(case: Case) -> Iterator[Output]:
    """The MoCo loss, whose network the release feeds images that are not normalized."""
    net = convert({"state_dict": case.tensors(case.specs[0])})["moco"]
    yield from _similarity_loss(case, net, _moco_features)


def _moco_features(net, x):
    return losses.moco_features(net, x, normalize=False)


def _similarity_loss(case: Case, net: Net, features) -> Iterator[Output]:
    """1 − the similarity to the target, and by how much it exceeds the input's."""
    y, y_hat, other = case.image("x"), case.image("y_hat"), case.image("x2")
    extract, loss_and_gradient = _compiled(features)
    target, source = extract(net, y), extract(net, other)
    (value, vector), gradient = loss_and_gradient(net, y_hat, target)
    pairs = {
        "diff_target": metrics.similarity(vector, target),
        "diff_input": metrics.similarity(vector, source),
        "diff_views": metrics.similarity(target, source),
    }
    gain = (pairs["diff_target"] - pairs["diff_views"]).mean()
    values = {"loss": value, "sim_improvement": gain, "coach.loss": value}
    values |= {f"logs.{k}": v for k, v in pairs.items()}
    # The coach passes the target for the input, whose similarity is 1.
    gain = pairs["diff_target"] - metrics.similarity(target, target)
    values["coach.sim_improvement"] = gain.mean()
    yield from case.outputs(values, "loss")
    vectors = {"feats_y_hat": vector, "feats_x": target}
    yield from case.outputs(vectors, "image")
    yield from case.outputs({"grad_y_hat": nchw(gradient)}, "gradient")


@functools.cache
def _compiled(features):
    """The features and the loss with its gradient, compiled once for all seeds."""

    def loss(net, y_hat, target):
        vector = features(net, y_hat)
        return losses.dissimilarity(vector, target).mean(), vector

    gradient = jax.value_and_grad(loss, argnums=1, has_aux=True)
    return jax.jit(features), jax.jit(gradient)


def curricularface(case: Case) -> Iterator[Output]:
    """CurricularFace: its embedding, and its layers."""
    net = convert(case.tensors(case.specs[0]))["curricularface"]
    unit, layers = with_layers(net, case.image("x"))
    values = {"input_layer": nchw(layers["body/stem"]), "embedding": unit}
    for path, value in layers.items():
        if path.startswith("body/block") and path.count("/") == 1:
            values[f"body.{path.removeprefix('body/block')}"] = nchw(value)
    values["output_layer.0"] = nchw(layers["head/norm1"])
    values["output_layer"] = layers["head"]
    yield from case.outputs(values, "image")
    pair = metrics.similarity(unit[:1], unit[1:])[0]
    yield from case.outputs({"similarity": pair}, "loss")


def ms_ssim(case: Case) -> Iterator[Output]:
    """MS-SSIM. The release averages over the batch before it combines the scales."""
    x, y = case.image("x"), case.image("y")
    values = {}
    for q in (0.9, 0.7, 0.97):
        a = np.float32(q) * x + np.float32(1 - q) * y
        values |= _measures(f"mix{q}", a, x)
    mixed = np.float32(0.9) * x + np.float32(1 - np.float64(0.9)) * y
    low, flat = np.float32(0.55) * mixed, np.float32(0.55) * x
    small = [losses.adaptive_pool(v, (128, 128)) for v in (mixed, x)]
    pairs = {
        "msssim.lowcontrast": (low, flat),
        "msssim.lowcontrast_swapped": (flat, low),
        "msssim.128": small,
        "msssim.192x256": (mixed[:, 32:224], x[:, 32:224]),
        "msssim.same": (x, x),
    }
    values |= {k: _combined(*_scales(*pair)) for k, pair in pairs.items()}
    values |= _measures("unrelated", y, x)
    yield from case.outputs(values, "loss")


_ssim_scales = jax.jit(metrics.ssim_scales, static_argnums=2)


def _scales(a, x, val_range=None):
    return _ssim_scales(a, x, val_range)


def _combined(similarities, contrasts, how="none"):
    return metrics.combine_scales(similarities.mean(1), contrasts.mean(1), how)


def _measures(name, a, x) -> dict[str, jax.Array]:
    scales = _scales(a, x)
    values = {
        f"msssim.{name}": _combined(*scales),
        f"msssim_relu.{name}": _combined(*scales, "relu"),
        f"msssim_simple.{name}": _combined(*scales, "simple"),
        f"msssim.val_range1.{name}": _combined(*_scales(a, x, 1.0)),
        f"msssim.val_range2.{name}": _combined(*_scales(a, x, 2.0)),
        f"msssim.01.{name}": _combined(*_scales((a + 1) / 2, (x + 1) / 2)),
        f"ssim.{name}": scales[0][0].mean(),
        f"cs.{name}": scales[1][0].mean(),
    }
    single = metrics.combine_scales(*scales, "none")
    values |= {f"msssim.sample{i}.{name}": v for i, v in enumerate(single)}
    return values


def mtcnn(case: Case) -> Iterator[Output]:
    """MTCNN's three networks with the released weights and the release's softmax."""
    folder = case.folder / "release" / "models_mtcnn"
    inputs = {
        "pnet": (case.image_u8("x") - np.float32(127.5)) / np.float32(128),
        "rnet": 0.5 * case.unit("mtcnn.rnet", (3, 3, 24, 24)),
        "onet": 0.5 * case.unit("mtcnn.onet", (3, 3, 48, 48)),
    }
    names = {"face": "probs", "box": "offsets", "landmarks": "landmarks"}
    for role, image in inputs.items():
        net = convert(torch_files.read(folder / f"{role}.npy"))[role]
        if role == "pnet":
            net = net.replace(module=PNet(across_width=True))
        outputs = net(nhwc(image))
        values = {
            f"{role}.{names[k]}": nchw(v) if role == "pnet" else v
            for k, v in outputs.items()
        }
        yield from case.outputs(values, "image")
