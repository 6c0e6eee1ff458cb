"""Checks of StyleFlow against results in double precision."""

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np

from hyperstyle_jax.editing import styleflow
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion
from hyperstyle_jax.parity.case import Case, convert
from hyperstyle_jax.parity.check import Output

_LIGHTS = 9  # numbers that describe the light come first


def flow(case: Case) -> Iterator[Output]:
    """The flow forth and back, its density, edits of attributes and of the light.

    The release's solver errs by 5e-4, and one of its random vectors for the divergence
    is in its steps: the results are compared with exact ones.
    """
    net = convert(case.tensors(case.specs[0]))["flow"]
    w, given = jnp.asarray(case.arrays["w"]), _attributes(case)
    probe = jnp.asarray(case.unit("styleflow.e", w.shape))
    z, log_density = styleflow.log_density(net, w, given, probe)
    # The fixture's density leaves out the constant; its dlogp is −log |det|.
    log_det = log_density + 0.5 * (jnp.square(z) + np.log(2 * np.pi)).sum(-1)
    constant = 0.5 * np.log(2 * np.pi) * z[0].size
    values = {"exact.z": z[0], "exact.w_back": styleflow.decode(net, z, given)[0]}
    start = Inversion(w)
    for name, target in _targets(case, net, given).items():
        after = styleflow.edit(net, start, given, target)
        values[f"exact.{name}.w"] = after.w_plus[0]
        raw = styleflow.decode(net, styleflow.encode(net, w, given), target)
        values[f"exact.{name}.raw"] = raw[0]
    values["exact.chain.w"] = _chain(case, net, start, given)
    yield from case.outputs(values, "flow")
    densities = {"exact.dlogp": -log_det[0]}
    densities["exact.log_p.data"] = log_density.sum() + constant
    yield from case.outputs(densities, "density")


def _attributes(case: Case) -> jnp.ndarray:
    light, face = (case.arrays[k].reshape(1, -1) for k in ("light", "attributes"))
    return jnp.asarray(np.concatenate([light, face], 1))


def _targets(case: Case, net: Net, given) -> dict[str, jnp.ndarray]:
    """The attributes after each edit, by its name in the fixture."""
    targets = {
        f"edit.{name}": _with(case, net, given, name)
        for name in case.meta["attribute_order"]
    }
    for name in ("Left->Right", "Front light"):
        targets[f"light.{name}"] = _lit(case, given, name, 50)
    return targets


def _with(case: Case, net: Net, attributes, name: str) -> jnp.ndarray:
    value = case.arrays[f"edit.{name}.target"]
    return styleflow.set_attribute(net, attributes, name.lower(), value)


def _lit(case: Case, attributes, name: str, slider: int) -> jnp.ndarray:
    """Attributes whose light has moved towards one of the release's lights."""
    reference = case.arrays["light_refs"][case.meta["light_order"].index(name)]
    share = slider / case.meta["config"]["slider_steps"]
    light = attributes[:, :_LIGHTS]
    moved = light + share * (reference.reshape(1, _LIGHTS) - light)
    return attributes.at[:, :_LIGHTS].set(moved)


def _chain(case: Case, net: Net, inversion: Inversion, attributes) -> jnp.ndarray:
    """Four edits one after another; each begins where the last one ended."""
    for name in ("Age", "Expression", "Down->Up", "Yaw"):
        light = name in case.meta["light_order"]
        after = (
            _lit(case, attributes, name, 40)
            if light
            else _with(case, net, attributes, name)
        )
        inversion = styleflow.edit(net, inversion, attributes, after)
        attributes = after
    return inversion.w_plus[0]
