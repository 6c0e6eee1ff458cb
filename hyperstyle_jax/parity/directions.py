"""Checks of the ways to find directions: InterFaceGAN, SeFa, GANSpace."""

from collections.abc import Iterator

import numpy as np

from hyperstyle_jax.editing import boundaries, ganspace, keeping, sefa
from hyperstyle_jax.editing.directions import edit
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion
from hyperstyle_jax.parity.case import Case, convert
from hyperstyle_jax.parity.check import Output


def interfacegan(case: Case) -> Iterator[Output]:
    """Boundaries by support vector machines, their projections, and edits along one."""
    for name, config in case.meta["config"].items():

        def shuffle(count, side, name=name):
            order = case.unit(f"interfacegan.shuffle.{name}.{side}", (count,))
            return np.argsort(order, kind="stable")

        shape = (config["n"], config["dim"])
        fitted = boundaries.fit_boundary(
            case.unit(f"interfacegan.latents.{name}", shape),
            case.arrays[f"{name}.scores"],
            extremes=config["chosen_num_or_ratio"],
            split=config["split_ratio"],
            invalid=config.get("invalid_value"),
            shuffle=shuffle,
        )
        yield Output(f"{name}.boundary", fitted.normal[None], "boundary")
        yield Output(f"{name}.boundary_exact", fitted.normal[None], "loss")
    first, *others = (case.arrays[f"project.b{i}"][0] for i in range(4))
    for i in range(1, 4):
        projected = keeping.project(first, others[:i])[None]
        yield Output(f"project.{i}_conditions", projected, "projection")
    z = case.unit("interfacegan.z", (1, 512))
    strengths = np.linspace(-3, 3, 7, dtype=np.float32)
    moved = edit(_repeated(z[:, None]), first, strengths - (z @ first)[0]).w_plus
    yield Output("interpolate.z", np.asarray(moved[:, 0]), "projection")
    w_plus = case.unit("interfacegan.wplus", (1, 18, 512))
    moved = edit(_repeated(w_plus), first, strengths).w_plus
    yield Output("interpolate.wplus", np.asarray(moved), "projection")


def _repeated(w: np.ndarray) -> Inversion:
    return Inversion(np.repeat(w, 7, axis=0))


def sefa_(case: Case) -> Iterator[Output]:
    """Eigenvectors of style weights, in the forms of both released programs."""
    generator = _generator(case)
    for name, info in case.meta["info"].items():
        layers = sefa.released_layers(generator)
        chosen = "|".join(layers[i] for i in info["layers"])
        factors = sefa.factorize(generator, chosen, unit_channels=True)
        yield Output(f"{name}.directions", factors.directions[:5], "component")
        values = np.square(factors.singular_values[:20].astype(np.float64))
        yield Output(f"{name}.values", values, "relative")
    factors = sefa.factorize(generator, sefa.ROSINALITY)
    yield Output("rosinality.directions", factors.directions[:5], "component")
    values = factors.singular_values[:20]
    yield Output("rosinality.singular_values", values, "relative")


def ganspace_(case: Case) -> Iterator[Output]:
    """Principal components of w, by both of the released estimators."""
    generator = _generator(case)
    w, other = (
        np.asarray(generator(case.unit(key, (count, 512)), method="mapping"))
        for key, count in (("ganspace.z", 6000), ("ganspace.z2", 5000))
    )
    yield Output("w.first4", w[:4], "image")
    for form in ("pca", "ipca"):
        fitted = ganspace.fit_components(w, 20, form=form)
        yield Output(f"{form}.comp", fitted.directions[:10], "component")
        yield Output(f"{form}.std", fitted.std, "relative")
        yield Output(f"{form}.mean", fitted.mean, "image")
        spread = (other.astype(np.float64) @ fitted.directions.T).std(0)
        yield Output(f"{form}.lat_std", spread, "relative")


def _generator(case: Case) -> Net:
    return convert(case.tensors(case.specs[0]))["generator"]
