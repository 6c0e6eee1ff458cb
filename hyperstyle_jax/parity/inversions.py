"""Whole inversions with procedural networks, and their use on another generator."""

from collections.abc import Iterator

import jax
import numpy as np

from hyperstyle_jax.inversion import hyperstyle, restyle
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion, synthesize
from hyperstyle_jax.parity.case import Case, nchw
from hyperstyle_jax.parity.check import Output
from hyperstyle_jax.parity.encoders import offsets_by_number

_invert = jax.jit(hyperstyle.invert, static_argnames="num_iters")
_decode = jax.jit(hyperstyle.decode, static_argnames="num_iters")
_restyle = jax.jit(restyle.invert, static_argnames="num_iters")
_synthesize = jax.jit(synthesize)


def inversion(case: Case) -> Iterator[Output]:
    nets = _nets(case)
    x, config = case.image("x"), case.meta["config"]
    run = _at_the_hypernets_size if config["resize_outputs"] else _at_full_size
    yield from run(case, nets, x, config["n_iters_per_batch"])


def _nets(case: Case) -> tuple[Net, Net, Net]:
    """Encoder, hypernetwork and generator."""
    both = case.hypernet()
    spec = next(s for s in case.specs if s.startswith("generator"))
    encoder = case.encoder("w_encoder.spec.json", spec)
    return encoder, both["hypernet"], both["generator"]


def _at_the_hypernets_size(case, nets, x, num_iters) -> Iterator[Output]:
    result = _invert(*nets, x, num_iters=num_iters)
    first, *steps = result.steps
    latent = np.asarray(result.inversion.w_plus)
    values = {f"y_hat.{i}": nchw(y) for i, y in enumerate(steps)}
    values |= {"w_inversion": nchw(first), "codes": latent}
    values["latent"] = np.repeat(latent[:, None], nets[2].module.num_ws, 1)
    yield from case.outputs(values, "picture")
    full = _decode(nets[1], result.inversion, num_iters)
    prefix = f"delta.{num_iters - 1}"
    yield from case.outputs(offsets_by_number(nets[1], full.offsets, prefix), "offset")


def _at_full_size(case, nets, x, num_iters) -> Iterator[Output]:
    """Step by step, with the generator's whole pictures."""
    encoder, hypernet, generator = nets
    state = _first(encoder, hypernet, generator, x, num_iters)
    latent = np.asarray(state.w_plus)
    values = {"w_inversion": nchw(state.image), "codes": latent}
    values["latent"] = np.repeat(latent[:, None], generator.module.num_ws, 1)
    yield from case.outputs(values, "picture")
    for i in range(num_iters):
        state, full, offsets = _step(hypernet, generator, x, state, i)
        yield from case.outputs({f"y_hat.{i}": nchw(_crop(full, x))}, "picture")
        numbered = offsets_by_number(hypernet, offsets, f"delta.{i}")
        yield from case.outputs(numbered, "offset")


_first = jax.jit(hyperstyle.first_inversion, static_argnames="num_iters")


@jax.jit
def _step(hypernet, generator, x, state: Inversion, i):
    """One pass: the next state, the picture in full size, the offsets."""
    codes = hyperstyle.add_codes(state.codes, hypernet(x, state.image), i)
    offsets = hypernet(codes, i + 1, method="decode")
    full = synthesize(generator, state.replace(offsets=offsets))
    image = hyperstyle.view(full, x.shape[1:3])
    return state.replace(codes=codes, image=image), full, offsets


def _crop(full, x):
    """The middle rows for pictures that are wider than high."""
    rows = full.shape[2] * x.shape[1] // x.shape[2]
    top = (full.shape[1] - rows) // 2
    return full[:, top : top + rows]


def domain_adaptation(case: Case) -> Iterator[Output]:
    """Offsets of the parent domain and ReStyle's latent on a fine-tuned generator."""
    encoder, hypernet, generator = _nets(case)
    tuned = case.generator("generator_256_finetuned.spec.json")
    options = {"encoder_type": "ProgressiveBackboneEncoder"}
    name = "restyle_e4e_encoder_256.spec.json"
    restyler = case.encoder(name, "generator_256.spec.json", options.items())
    x = case.image("x")
    result = _invert(encoder, hypernet, generator, x, num_iters=2)
    found = _decode(hypernet, result.inversion, 2)
    styled = _restyle(restyler, generator, x, num_iters=2)
    numbered = offsets_by_number(hypernet, found.offsets)
    kept = {f"delta.{i}" for i in case.arrays["kept_delta_layers"]}
    paths = dict(zip(numbered, found.offsets, strict=True))
    offsets = {paths[k]: found.offsets[paths[k]] for k in sorted(kept)}
    latents = styled.inversion.w_plus
    image = _synthesize(tuned, Inversion(latents, offsets, {}, None))
    values = {
        "average_image": nchw(styled.steps[0][:1]),
        "restyle.y_hat": nchw(styled.steps[-1]),
        "restyle.latents": latents,
        "latents": latents,
        "image": nchw(image),
    }
    yield from case.outputs(values, "picture")
    yield from case.outputs({k: v for k, v in numbered.items() if k in kept}, "offset")
