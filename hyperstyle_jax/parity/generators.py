"""Checks of StyleGAN2's generator, with and without offsets, and discriminator."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax import trees
from hyperstyle_jax.models import ops
from hyperstyle_jax.models.generator import mix_styles
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion, apply_offsets, synthesize, to_w_plus
from hyperstyle_jax.parity.case import Case, convert, hwio, nchw
from hyperstyle_jax.parity.check import Output


@jax.jit
def render(net: Net, w: jax.Array, noise=None):
    """The images [B, R, R, 3] of latents, and the outputs of all layers.

    Args:
        net: the generator.
        w: [B, D] or [B, L, D].
        noise: maps by layer; the constant ones by default.
    """
    return net(w, noise or "const", method="synthesis", mutable=["intermediates"])


@jax.jit
def render_offsets(net: Net, w: jax.Array, offsets) -> jax.Array:
    """The images [B, R, R, 3] of latents w with offsets {path: [B, …]}."""
    return synthesize(net, Inversion(to_w_plus(w, net.module.num_ws), offsets))


def offsets(case: Case, net: Net, batch: int | None, *, to_rgb: bool = False):
    """The random offsets of the fixtures by path.

    Args:
        case: the fixture.
        net: the generator.
        batch: B for offsets [B, K, K, I, O]; None for [K, K, I, O].
        to_rgb: whether the layers to RGB have offsets too.
    """
    key = "input.delta_shared" if batch is None else "input.delta"
    lead = () if batch is None else (batch,)
    by_path = {}
    for i, layer in enumerate(net.module.layers()):
        if layer.kernel > 1 or to_rgb:
            shape = (layer.out_channels, layer.in_channels, layer.kernel, layer.kernel)
            values = case.normal(f"{key}.{i}", (*lead, *shape), 0, 0.1)
            by_path[layer.path] = hwio(values)
    return by_path


def generator(case: Case) -> Iterator[Output]:
    """The generator: images from w_plus, z and offsets, and its layers."""
    net = case.generator(case.specs[0])
    wplus = jnp.asarray(case.arrays["wplus"])
    image, state = render(net, wplus)
    values = {"image.wplus": nchw(image), **_layers(state)}
    deltas = offsets(case, net, len(wplus))
    values["image.wplus_delta"] = nchw(render_offsets(net, wplus, deltas))
    deltas = offsets(case, net, len(wplus), to_rgb=True)
    values["image.wplus_delta_torgb"] = nchw(render_offsets(net, wplus, deltas))
    yield from case.outputs(values, "image")
    yield from case.outputs(_from_z(case, net), "image")
    if "image.delta_unbatched" in case:
        shared = apply_offsets(net.params, offsets(case, net, None))
        image, _ = render(net.with_params(shared), wplus)
        noisy, _ = render(net, wplus, _given_noise(case, net, len(wplus)))
        values = {"image.delta_unbatched": image, "image.given_noise": noisy}
        yield from case.outputs({k: nchw(v) for k, v in values.items()}, "image")


def _layers(state) -> dict[str, np.ndarray]:
    """The layers' outputs by the names of rosinality's code."""
    values, block = {}, 0
    flat = trees.flatten(state["intermediates"]["synthesis"])
    for res in sorted({int(k.split("/")[0][1:]) for k in flat}):
        names = {"conv1_out": "conv1", "image_out": "to_rgb1"}
        if res > 4:
            names = {
                "conv0_out": f"convs.{2 * block}",
                "conv1_out": f"convs.{2 * block + 1}",
                "image_out": f"to_rgbs.{block}",
            }
            block += 1
        for ours, official in names.items():
            values[f"layer.{official}"] = nchw(flat[f"b{res}/{ours}"][0])
    return values


def _from_z(case: Case, net: Net) -> dict[str, np.ndarray]:
    z = jnp.asarray(case.arrays["z"])
    w = net(z, method="mapping")
    avg = jnp.asarray(case.arrays["truncation_latent"][0])
    buffers = {**net.variables["buffers"], "mapping": {"w_avg": avg}}
    shifted = net.replace(variables={**net.variables, "buffers": buffers})
    truncated = shifted(w, 0.7, method="truncate")
    rows = net.module.num_ws
    full = jnp.repeat(truncated[:, None], rows, 1)
    values = {"w": w, "latent.z_trunc0.7": full}
    values["image.z_trunc0.7"] = nchw(render(net, full)[0])
    if "image.mix4" in case:
        other = net(jnp.asarray(case.arrays["z2"]), method="mapping")
        values["latent.mix4"] = mixed = mix_styles(w, other, 4, rows)
        values["image.mix4"] = nchw(render(net, mixed)[0])
        image, state = render(net, jnp.repeat(w[:, None], rows, 1))
        top = state["intermediates"]["synthesis"][f"b{net.module.resolution}"]
        values |= {"image.z": nchw(image), "features.z": nchw(top["conv1_out"][0])}
    return values


def _given_noise(case: Case, net: Net, batch: int) -> dict[str, jax.Array]:
    convs = [layer for layer in net.module.layers() if layer.kernel > 1]
    maps = {}
    for i, layer in enumerate(convs):
        shape = (batch, 1, layer.resolution, layer.resolution)
        noise = case.unit(f"input.noise.{i}", shape)
        maps["/".join(layer.path.split("/")[1:3])] = jnp.asarray(noise[:, 0])
    return maps


@jax.jit
def _discriminate(net, x):
    return net(x, mutable=["intermediates"], capture_intermediates=True)


def discriminator(case: Case) -> Iterator[Output]:
    """The discriminator: its logits, also of smaller batches, and its blocks."""
    net = convert({"d": case.tensors(case.specs[0])})["discriminator"]
    x = case.image("x")
    out, state = _discriminate(net, x)
    layers = trees.flatten(state["intermediates"])
    size = net.module.resolution
    first = layers[f"b{size}/fromrgb/__call__"][0]
    values = {"out": out, "convs.0": nchw(ops.leaky_relu(first))}
    for i in range(1, 5):
        values[f"convs.{i}"] = nchw(layers[f"b{2 * size >> i}/__call__"][0])
    for batch in (2, 1):
        values[f"out.batch{batch}"] = net(x[:batch])
    yield from case.outputs(values, "image")
