"""Checks of whole inversions, and of their use with a fine-tuned generator."""

from collections.abc import Iterator
from functools import partial

import jax
import numpy as np

from hyperstyle_jax.inversion import cropping, hyperstyle, restyle
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion, synthesize
from hyperstyle_jax.parity.case import Case, nchw
from hyperstyle_jax.parity.check import Output
from hyperstyle_jax.parity.encoders import offsets_by_number

_invert = jax.jit(hyperstyle.invert, static_argnames="num_iters")
_restyle = jax.jit(restyle.invert, static_argnames="num_iters")
_synthesize = jax.jit(synthesize)


def inversion(case: Case) -> Iterator[Output]:
    """The initial inversion, and images and offsets of every iteration."""
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
    refinement = _invert(*nets, x, num_iters=num_iters)
    initial, *images = refinement.images
    values = {f"y_hat.{i}": nchw(y) for i, y in enumerate(images)}
    values |= {"w_inversion": nchw(initial)} | _latents(refinement.w_plus)
    yield from case.outputs(values, "image")
    full = hyperstyle.decode(nets[1], refinement.w_plus, refinement.embeddings)
    prefix = f"delta.{num_iters - 1}"
    yield from case.outputs(offsets_by_number(nets[1], full.offsets, prefix), "offset")


def _latents(w_plus) -> dict[str, np.ndarray]:
    """The W-encoder's latent: one row, called codes in the release, and all rows."""
    w_plus = np.asarray(w_plus)
    return {"codes": w_plus[:, 0], "latent": w_plus}


def _at_full_size(case, nets, x, num_iters) -> Iterator[Output]:
    """Runs one iteration after another and compares the images in full size."""
    encoder, hypernet, generator = nets
    state = _start(encoder, hypernet, generator, x, num_iters)
    values = {"w_inversion": nchw(state.image)} | _latents(state.w_plus)
    yield from case.outputs(values, "image")
    for i in range(num_iters):
        state, full, offsets = _iterate(hypernet, generator, x, state, i)
        rows = cropping.middle_rows(full, x.shape[1:3])
        yield from case.outputs({f"y_hat.{i}": nchw(rows)}, "image")
        numbered = offsets_by_number(hypernet, offsets, f"delta.{i}")
        yield from case.outputs(numbered, "offset")


@partial(jax.jit, static_argnames="num_iters")
def _start(encoder, hypernet, generator, x, num_iters):
    w_plus, image = hyperstyle.initial_inversion(encoder, generator, x)
    embeddings = hyperstyle.no_embeddings(hypernet.module, len(x), num_iters)
    return hyperstyle.RefinementState(w_plus, embeddings, image)


@jax.jit
def _iterate(hypernet, generator, x, state: hyperstyle.RefinementState, i):
    """One iteration: the next state, the image in full size, the offsets."""
    new = hypernet(x, state.image)
    embeddings = hyperstyle.add_embeddings(state.embeddings, new, i)
    offsets = hypernet(embeddings, i + 1, method="decode")
    full = synthesize(generator, Inversion(state.w_plus, offsets))
    image = cropping.crop_and_pool(full, x.shape[1:3])
    return state.replace(embeddings=embeddings, image=image), full, offsets


def domain_adaptation(case: Case) -> Iterator[Output]:
    """A fine-tuned generator with the parent's offsets and ReStyle's latents."""
    encoder, hypernet, generator = _nets(case)
    tuned = case.generator("generator_256_finetuned.spec.json")
    options = {"encoder_type": "ProgressiveBackboneEncoder"}
    name = "restyle_e4e_encoder_256.spec.json"
    restyler = case.encoder(name, "generator_256.spec.json", options.items())
    x = case.image("x")
    refinement = _invert(encoder, hypernet, generator, x, num_iters=2)
    inverted = hyperstyle.decode(hypernet, refinement.w_plus, refinement.embeddings)
    styled = _restyle(restyler, generator, x, num_iters=2)
    numbered = offsets_by_number(hypernet, inverted.offsets)
    kept = {f"delta.{i}" for i in case.arrays["kept_delta_layers"]}
    paths = dict(zip(numbered, inverted.offsets, strict=True))
    offsets = {paths[k]: inverted.offsets[paths[k]] for k in sorted(kept)}
    latents = styled.inversion.w_plus
    image = _synthesize(tuned, Inversion(latents, offsets))
    values = {
        "average_image": nchw(styled.images[0][:1]),
        "restyle.y_hat": nchw(styled.images[-1]),
        "restyle.latents": latents,
        "latents": latents,
        "image": nchw(image),
    }
    yield from case.outputs(values, "image")
    yield from case.outputs({k: v for k, v in numbered.items() if k in kept}, "offset")
