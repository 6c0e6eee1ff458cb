"""Checks of NVIDIA's generator and discriminator (stylegan2-ada-pytorch)."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp

from hyperstyle_jax import trees
from hyperstyle_jax.editing import styleclip
from hyperstyle_jax.offsets import Inversion, synthesize, to_w_plus
from hyperstyle_jax.parity.case import Case, convert, nchw
from hyperstyle_jax.parity.check import Output

_SHIFTS = {"style_shift": "b16/conv1", "style_shift_torgb": "b32/torgb"}
_CHANNEL, _SHIFT = 5, 3.0


@jax.jit
def _render(net, w_plus):
    return net(
        w_plus,
        method="synthesis",
        mutable=["intermediates"],
        capture_intermediates=True,
    )


_plain = jax.jit(lambda net, w: net(w, "none", method="synthesis"))
_synthesize = jax.jit(synthesize)
_map = jax.jit(lambda net, z: net(z, method="mapping"))


def ada(case: Case) -> Iterator[Output]:
    """Unconditional networks: latents, images, layers, styles, logits.

    Conditional ones (the fixture's `cond.…`) are not converted.
    """
    tensors = {"G_ema": case.tensors("ada_64.spec.json")}
    tensors["D"] = case.tensors("ada_64_d.spec.json")
    nets = convert(tensors)
    net = nets["generator"]
    w = _map(net, jnp.asarray(case.unit("ada.z", (2, net.module.z_dim))))
    full = to_w_plus(w, net.module.num_ws)
    truncated = net(full, 0.7, method="truncate")
    coarse = jnp.concatenate([truncated[:, :8], full[:, 8:]], 1)
    latents = {"z": full, "z_trunc0.7": truncated, "z_trunc0.7_cutoff8": coarse}
    values = {"w": w, "w.trunc0.7_cutoff8": coarse}
    values |= {f"image.{k}": nchw(_render(net, v)[0]) for k, v in latents.items()}
    shape = (2, net.module.num_ws, net.module.w_dim)
    w_plus = jnp.asarray(case.unit("ada.wplus", shape))
    image, state = _render(net, w_plus)
    values["image.wplus"] = values["image.wplus_unfused"] = nchw(image)
    values["image.wplus_nonoise"] = nchw(_plain(net, w_plus))
    yield from case.outputs(values | _layers(state), "image")
    yield from case.outputs(_shifted(net, w_plus), "image")
    x = case.image("disc")
    logits = {f"disc.score.batch{n}": nets["discriminator"](x[:n]) for n in (4, 2, 1)}
    yield from case.outputs(logits, "image")


def _layers(state) -> dict:
    """Feature maps and styles by NVIDIA's names."""
    values = {}
    for path, value in trees.flatten(state["intermediates"]["synthesis"]).items():
        block, _, rest = path.partition("/")
        if rest.endswith("_out") and not rest.startswith("image"):
            values[f"layer.{block}.{rest.removesuffix('_out')}"] = nchw(value[0])
        if rest.endswith("/affine/__call__"):
            values[f"style.{block}.{rest.partition('/')[0]}"] = value[0]
    return values


def _shifted(net, w_plus) -> dict:
    """Images with one channel of one layer's style moved."""
    inputs = {layer.path: layer.in_channels for layer in net.module.layers()}
    values = {}
    for name, layer in _SHIFTS.items():
        path = f"synthesis/{layer}/weight"
        shift = jnp.zeros(inputs[path]).at[_CHANNEL].set(_SHIFT)
        moved = styleclip.shift_styles(Inversion(w_plus), net, {path: shift})
        values[f"image.{name}"] = nchw(_synthesize(net, moved))
    return values
