"""Checks of generators mixed from two domains."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp

from hyperstyle_jax.editing import domains
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import latent_only, synthesize
from hyperstyle_jax.parity import procedural
from hyperstyle_jax.parity.case import Case, convert, load_spec, nchw
from hyperstyle_jax.parity.check import Output

_synthesize = jax.jit(synthesize)


def domain_mixing(case: Case) -> Iterator[Output]:
    """Toonify's blending of two generators, and the blocks above a resolution."""
    low, high = _generator(case, ""), _generator(case, "other.")
    nets = {"low": low, "high": high}
    for name, rule in case.meta["cases"].items():
        nets[name] = domains.blend(
            low,
            high,
            rule["resolution"],
            level=rule["level"],
            width=rule["blend_width"] or 0.0,
        )
    for resolution in (8, 16, 32):
        name = f"plain_above_r{resolution}"
        nets[name] = domains.swap_above(low, high, resolution)
    w_dim, num_ws = low.module.w_dim, low.module.num_ws
    w_plus = jnp.asarray(case.unit("mixing.wplus", (2, num_ws, w_dim)))
    values = {k: _render(net, w_plus) for k, net in nets.items()}
    z = jnp.asarray(case.unit("mixing.z", (2, low.module.z_dim)))
    w = low(low(z, method="mapping"), 0.7, method="truncate")
    values["r16_z"] = _render(nets["r16"], w)
    yield from case.outputs({f"image.{k}": v for k, v in values.items()}, "image")


def _render(net: Net, w):
    return nchw(_synthesize(net, latent_only(w, net.module.num_ws)))


def _generator(case: Case, prefix: str) -> Net:
    """A generator in NVIDIA's layout; `prefix` names other weights of the same spec."""
    spec = load_spec(case.folder, case.specs[0])
    spec = spec | {"prefix": spec["prefix"] + prefix}
    return convert({"G_ema": procedural.state_dict(case.seed, spec)})["generator"]
