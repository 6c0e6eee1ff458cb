"""Checks of the encoders to W+ (pSp, e4e, ReStyle), and of inversions with them."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from hyperstyle_jax.editing import mixing
from hyperstyle_jax.inversion import restyle
from hyperstyle_jax.models.encoders import StyleEncoder
from hyperstyle_jax.offsets import Inversion, synthesize
from hyperstyle_jax.parity.case import Case, convert, nchw
from hyperstyle_jax.parity.check import Output
from hyperstyle_jax.parity.encoders import trunk_outputs, with_layers

_restyle = jax.jit(restyle.invert, static_argnames="num_iters")
_synthesize = jax.jit(synthesize)
_encode = jax.jit(lambda net, x, latent, stage: net(x, latent, stage))


def style_encoder(case: Case) -> Iterator[Output]:
    """An encoder to W+: its latents, by stage, its style blocks, pyramid and trunk."""
    kind = _kind(case.name)
    (net,) = convert(case.tensors(case.specs[0]), kind).values()
    module, x = net.module, case.image("x")
    if kind.startswith("restyle"):
        x = jnp.concatenate([x, case.image("y_hat")], -1)
    codes, layers = with_layers(net, x)
    values = {"codes": codes} | trunk_outputs(layers, "body") | _pyramid(module, layers)
    for i in range(module.num_ws):
        values[f"styles.{i}"] = layers[f"style{i}"]
        convs = sum(k.startswith(f"style{i}/conv") for k in layers)
        last = nn.leaky_relu(layers[f"style{i}/conv{convs - 1}"], 0.01)
        values[f"styles.{i}.convs"] = nchw(last)
        if f"codes.stage{i}" in case:
            values[f"codes.stage{i}"] = _encode(net, x, None, i)
    if "latents" in case:
        latent = case.latent_avg(module.num_ws)
        values["latents"] = _encode(net, x, latent, module.num_ws)
    yield from case.outputs(values, "image")


def _kind(name: str) -> str:
    kinds = ("restyle_psp", "restyle_e4e", "psp", "e4e")
    return next(k for k in kinds if name.startswith(k)).replace("_", "-")


def _pyramid(module: StyleEncoder, layers) -> dict[str, np.ndarray]:
    """The trunk's last three maps, and what the pyramid makes of them."""
    if not module.pyramid:
        return {}
    last = np.cumsum(module.depths) - 1  # the blocks at the end of each stage
    maps = {f"c{i + 1}": layers[f"body/block{last[i - 3]}"] for i in range(3)}
    maps |= {"p2": layers["medium"], "p1": layers["fine"]}
    return {k: nchw(v) for k, v in maps.items()}


def w_encoder(case: Case) -> Iterator[Output]:
    """pSp's encoder into W, which is HyperStyle's: its output, and w with the mean."""
    name = case.specs[0]
    codes, _ = with_layers(convert(case.tensors(name))["encoder"], case.image("x"))
    w = codes + case.latent_avg(1)
    yield from case.outputs({"codes": codes, "w": w}, "image")


def w_plus_encoder(case: Case) -> Iterator[Output]:
    """pSp's encoder that reads all rows off one vector."""
    net = convert(case.tensors(case.specs[0]))["psp"]
    codes, layers = with_layers(net, case.image("x"))
    values = {"codes": codes, "pooled": nchw(layers["pooled"])}
    yield from case.outputs(values | {"output_layer_2": layers["features"]}, "image")


def psp_inversion(case: Case) -> Iterator[Output]:
    """pSp's inversions, and pictures whose fine rows come from another latent."""
    options = {"encoder_type": "GradualStyleEncoder"}
    encoder, generator = case.inversion_networks(*case.specs, options)
    w_plus, _ = with_layers(encoder, case.image("x"))
    z = case.unit("input.z", (1, 512))
    w = jax.jit(lambda net, z: net(z, method="mapping"))(generator, z)
    own, rows = Inversion(w_plus), range(8, 14)
    other = Inversion(jnp.broadcast_to(w[:, None], w_plus.shape))
    values = {"latents": w_plus, "mix.w": w}
    pictures = {"": own, "mix.alpha_none.": mixing.mix(own, other, rows)}
    between = mixing.interpolate(own, other, 0.4)
    pictures["mix.alpha_0.4."] = mixing.mix(own, between, rows)
    nothing = Inversion(jnp.zeros_like(w_plus))
    pictures["mix.no_inject."] = mixing.mix(own, nothing, rows)
    for name, inversion in pictures.items():
        image = nchw(_synthesize(generator, inversion))
        values[f"{name}image"] = image[: 1 if "no_inject" in name else None]
        values[f"{name}latents"] = inversion.w_plus
    yield from case.outputs(values, "image")


def restyle_inversion(case: Case) -> Iterator[Output]:
    """ReStyle's iterations: latents and pictures after each, from the mean latent."""
    generator_spec, encoder_spec = case.specs
    config = case.meta["config"]
    encoder, generator = case.inversion_networks(encoder_spec, generator_spec, config)
    num_iters = config["n_iters_per_batch"]
    result = _restyle(encoder, generator, case.image("x"), num_iters=num_iters)
    values = {"average_image": nchw(result.images[0][:1])}
    for i in range(num_iters):
        values[f"y_hat.{i}"] = nchw(result.images[i + 1])
        values[f"latents.{i}"] = result.latents[i + 1]
    yield from case.outputs(values, "image")
