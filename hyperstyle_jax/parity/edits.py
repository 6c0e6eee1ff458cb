"""Checks of edits of latents and styles, and of images as bytes."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax import images
from hyperstyle_jax.convert import kinds
from hyperstyle_jax.editing import styleclip as style_space
from hyperstyle_jax.editing.directions import edit
from hyperstyle_jax.editing.ganspace import Components, move_to
from hyperstyle_jax.offsets import Inversion, synthesize, to_w_plus
from hyperstyle_jax.parity.case import Case, nchw
from hyperstyle_jax.parity.check import Output
from hyperstyle_jax.parity.generators import offsets, render_offsets
from hyperstyle_jax.torch_format import files as torch_files

_synthesize = jax.jit(synthesize)


def tensor2im(case: Case) -> Iterator[Output]:
    """Images as uint8. We round, the release truncates: at most one level less."""
    x = np.moveaxis(case.arrays["x"], 0, -1)
    yield Output("out_u8", images.to_uint8(x), "level")


def edit_faces(case: Case) -> Iterator[Output]:
    """InterFaceGAN directions, as converted from the release's files."""
    values = {}
    for name in ("age", "smile", "pose"):
        value = torch_files.read(case.folder / "release" / f"{name}.pt")
        direction = kinds.recognize(value).arrays["direction"]
        for latents, part in (("latents", ""), ("latents_wplus", ".wplus")):
            edited = _edits(case.arrays[latents], direction, range(-2, 2))
            values[f"edited_latents.range-2..2{part}.{name}"] = edited
        edited = _edits(case.arrays["latents"], direction, [3])[:, 0]
        values[f"edited_latents.factor3.{name}"] = edited
    yield from case.outputs(values, "image")
    yield from _face_images(case)


def _edits(latents, direction, strengths) -> np.ndarray:
    """Latents edited by each strength, [B, S, L, D]."""
    start = Inversion(jnp.asarray(latents))
    edited = [edit(start, direction, float(s)).w_plus for s in strengths]
    return np.stack(edited, axis=1)


def _face_images(case: Case) -> Iterator[Output]:
    net = case.generator(case.specs[0])
    value = torch_files.read(case.folder / "release" / "age.pt")
    latents = _edits(case.arrays["latents"][:1], value[0], range(-1, 2))[0]
    deltas = offsets(case, net, 1)
    images = [nchw(render_offsets(net, w[None], deltas))[0] for w in latents]
    name = "age.range-1..2"
    yield from case.outputs({f"images.{name}": np.stack(images)}, "image")


def edit_cars(case: Case) -> Iterator[Output]:
    """GANSpace's edits, which move a latent to a position along a component."""
    value = torch_files.read(case.folder / "release" / "cars_pca.pt")
    arrays = kinds.recognize(value).arrays
    names = ("mean", "directions", "std")
    components = Components(*(arrays[f"ganspace_{n}"] for n in names))
    edited = {}
    for latents, part in (("latents", "w"), ("latents_wplus", "wplus")):
        w = case.arrays[latents]
        start = Inversion(jnp.asarray(w)[None])
        rows = [w]
        for index, first, last, strength in case.meta["directions"]:
            moved = move_to(start, components, index, strength, range(first, last))
            rows.append(np.asarray(moved.w_plus[0]))
            delta = (rows[-1] - w)[first : first + 1]
            key = f"delta.{part}.pca{index}.strength{strength}"
            yield from case.outputs({key: delta}, "image")
        edited[part] = np.stack(rows)
    values = {f"edited_latents.{k}": v for k, v in edited.items()}
    net = case.generator(case.specs[0])
    deltas = offsets(case, net, 1)
    images = [nchw(render_offsets(net, w[None], deltas)[0][None]) for w in edited["w"]]
    values["images"] = np.concatenate(images)[:, :, 64:448]
    yield from case.outputs(values, "image")


def styleclip(case: Case) -> Iterator[Output]:
    """StyleCLIP's global directions, by shifting style channels with strength 3."""
    net = case.generator(case.specs[0])
    latents = np.load(case.folder / f"edit_faces_seed{case.seed}.npz")["latents"][:1]
    w = jnp.asarray(latents)
    deltas = offsets(case, net, 1)
    styles = style_space.styles(net, w)
    layers = net.module.layers()
    values = {"source": nchw(render_offsets(net, w, deltas))}
    values["stylespace"] = jnp.concatenate([styles[v.path][0] for v in layers])
    shifts = {}
    for beta in (0.05, 0.11):
        shifts[beta] = _direction(case, layers, beta)
        zero = [np.zeros(v.in_channels, np.float32) for v in layers]
        rows = [shifts[beta].get(v.path, z) for v, z in zip(layers, zero, strict=True)]
        values[f"direction.beta{beta}"] = np.concatenate(rows)
    start = Inversion(to_w_plus(w, net.module.num_ws), deltas)
    edited = style_space.shift_styles(start, net, shifts[0.05], 3.0)
    values["edited.alpha3.beta0.05"] = nchw(_synthesize(net, edited))
    yield from case.outputs(values, "image")


def _direction(case: Case, layers, beta: float) -> dict[str, np.ndarray]:
    _, std = torch_files.read(case.folder / "release" / "S_mean_std")
    std = {layer.path: s for layer, s in zip(layers, std, strict=True)}
    convolutions = sum(layer.in_channels for layer in layers if layer.kernel > 1)
    effects = case.normal("styleclip.delta_i_c", (convolutions, 512), 0, 0.05)
    text = case.unit("styleclip.text_features", (2, 512))
    text = text / np.linalg.norm(text, axis=1, keepdims=True)
    return style_space.global_direction(effects, text[0] - text[1], std, layers, beta)
