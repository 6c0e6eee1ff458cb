"""Every way to invert images with a bundle's networks, by name.

A method takes a bundle and images and returns an `Inverted`. All are batched; the
result of an image does not depend on the others of its batch.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike

from hyperstyle_jax.inversion import hyperstyle, restyle, searches
from hyperstyle_jax.inversion.searches import Inverted
from hyperstyle_jax.offsets import Inversion
from hyperstyle_jax.weights.bundle import Bundle

_MAX_ITERS = 100
_CHOICES = {"dtype": ("float32", "bfloat16")}
MEAN = "mean"  # as a start: the mean latent
# The configs that train a role's network.
TRAINED_BY = {
    "generator": "configs/ffhq_generator.py (demo: configs/demo_generator.py)",
    "encoder": "configs/ffhq_w_encoder.py (demo: configs/demo_encoder.py)",
    "hypernet": "configs/ffhq.py (demo: configs/demo_hyperstyle_iterations.py)",
    "psp": "configs/ffhq_psp.py (demo: configs/demo_psp.py)",
    "e4e": "configs/ffhq_e4e.py (demo: configs/demo_e4e.py)",
    "restyle_psp": "configs/ffhq_restyle_psp.py (demo: configs/demo_restyle_psp.py)",
    "restyle_e4e": "configs/ffhq_restyle_e4e.py (demo: configs/demo_restyle_e4e.py)",
}


class Method(NamedTuple):
    """A way to invert images.

    Attributes:
        title: as in tables.
        needs: roles that the bundle must hold.
        settings: {name: default}; all may be given otherwise.
        run: (bundle, x [B, h, w, 3] float in [-1, 1], **settings) → Inverted.
    """

    title: str
    needs: tuple[str, ...]
    settings: Mapping[str, Any]
    run: Callable[..., Inverted]


def available(bundle: Bundle) -> list[str]:
    """The names of the methods whose networks the bundle holds."""
    return [
        name
        for name, method in METHODS.items()
        if all(role in bundle.nets for role in method.needs)
    ]


def invert(
    bundle: Bundle, x: ArrayLike, method: str = "hyperstyle", **settings: Any
) -> Inverted:
    """Inverts images by any method.

    Args:
        bundle: holds the networks that the method needs.
        x: [B, h, w, 3] float in [-1, 1], as `pipeline.prepare` returns it.
        method: a name of `METHODS`.
        settings: in place of the method's own.

    Raises:
        ValueError: an unknown method or setting, a value of another kind, or a network
            that the bundle lacks.
    """
    settings = checked(bundle, method, settings)
    return METHODS[method].run(bundle, jnp.asarray(x), **settings)


def checked(bundle: Bundle, method: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of a method, with those that are given.

    Args:
        bundle: must hold the networks that the method needs.
        method: a name of `METHODS`.
        settings: some of the method's, by name.

    Raises:
        ValueError: as of `invert`.
    """
    if method not in METHODS:
        raise ValueError(
            f"no inversion method {method!r}: expected one of {', '.join(METHODS)}"
        )
    known = METHODS[method].settings
    for name, value in settings.items():
        if name not in known:
            raise ValueError(
                f"{method} has no setting {name!r}; its settings: "
                + (", ".join(f"{k}={v}" for k, v in known.items()) or "none")
            )
        if name == "num_iters":
            checked_num_iters(bundle, value)
        else:
            _check_value(method, name, value, known[name])
    for role in METHODS[method].needs:
        _check_role(bundle, method, role)
    return {**known, **settings}


def _check_role(bundle: Bundle, method: str, role: str) -> None:
    if role in bundle.nets:
        return
    possible = " or ".join(available(bundle)) or "no method"
    raise ValueError(
        f"method {method} needs a network {role!r}, and bundle {bundle.id} has only "
        f"{', '.join(sorted(bundle.nets))}, for {possible}: "
        f"train it with {TRAINED_BY[role]} and export it, or choose a bundle that has "
        "it"
    )


def _check_value(method: str, name: str, value: Any, default: Any) -> None:
    """Refuses values of another kind than the default, and senseless numbers."""
    kinds = (int, float) if isinstance(default, float) else (type(default),)
    number = isinstance(value, (int, float))
    if type(value) not in kinds or (number and not 0 <= value < math.inf):
        raise ValueError(
            f"{method}: {name}={value!r}: expected a value like {name}={default}"
            + (", 0 or more" if number else "")
        )
    if value not in (choices := _CHOICES.get(name, (value,))):
        raise ValueError(f"{method}: {name}={value}: expected {' or '.join(choices)}")


def checked_num_iters(bundle: Bundle, num_iters: int | None) -> int:
    """The number of iterations to run, by default the one the bundle was trained with.

    Raises:
        ValueError: not a whole number from 0 to 100.
    """
    chosen = bundle.info.get("num_iters", 5) if num_iters is None else num_iters
    if not isinstance(chosen, int) or not 0 <= chosen <= _MAX_ITERS:
        raise ValueError(
            f"num_iters {chosen!r}: expected a number from 0 to {_MAX_ITERS}"
        )
    return chosen


def begin(
    bundle: Bundle, x: jax.Array, start: str, steps: int | None = None
) -> Inverted:
    """What a search begins with.

    Args:
        bundle: holds the networks that `start` needs.
        x: [B, h, w, 3].
        start: "mean" for the mean latent, or a method.
        steps: of the method, if it is a search; by default its own.

    Raises:
        ValueError: no such method, or a network that the bundle lacks.
    """
    if start == MEAN:
        return searches.mean(bundle, x)
    known = METHODS[start].settings if start in METHODS else {}
    more: dict[str, Any] = {}
    if steps is not None and "steps" in known:
        more = {"steps": steps}
    if start == "w-released" and more:
        more |= _PIVOT  # as PTI calls it
    return invert(bundle, x, start, **more)


def _hyperstyle(
    bundle: Bundle, x: jax.Array, num_iters: int | None, dtype: DTypeLike
) -> Inverted:
    nets = bundle.require("encoder", "hypernet", "generator")
    count = checked_num_iters(bundle, num_iters)
    refined = hyperstyle.compiled(*nets, x.astype(dtype), num_iters=count)
    inversion = hyperstyle.decode(nets[1], refined.w_plus, refined.embeddings)
    return Inverted(inversion, refined.images)


def _encoder(role: str) -> Callable[..., Inverted]:
    """A method of one encoder, which predicts w or w+ in one step."""

    def run(bundle: Bundle, x: jax.Array) -> Inverted:
        w_plus, image = _encode(bundle.nets[role], bundle.nets["generator"], x)
        return Inverted(Inversion(w_plus), image[None])

    return run


def _restyle(role: str) -> Callable[..., Inverted]:
    def run(bundle: Bundle, x: jax.Array, num_iters: int) -> Inverted:
        nets = bundle.require(role, "generator")
        corrected = _corrected(*nets, x, num_iters=num_iters)
        return Inverted(corrected.inversion, corrected.images)

    return run


def _begun(run: Callable[..., Inverted]) -> Callable[..., Inverted]:
    """A search whose setting `start` names the method that it goes on from."""

    def begun(bundle: Bundle, x: jax.Array, start: str, **settings) -> Inverted:
        return run(bundle, x, begin(bundle, x, start), **settings)

    return begun


def _pti(
    bundle: Bundle, x: jax.Array, pivot: str, pivot_steps: int, **settings
) -> Inverted:
    start = begin(bundle, x, pivot, pivot_steps)
    return searches.pivotal_tuning(bundle, x, start, **settings)


def _hyperstyle_pti(
    bundle: Bundle, x: jax.Array, num_iters: int | None, **settings
) -> Inverted:
    start = invert(bundle, x, "hyperstyle", num_iters=num_iters)
    return searches.pivotal_tuning(bundle, x, start, **settings)


def _codes(bundle: Bundle, x: jax.Array, num_iters: int | None, **settings) -> Inverted:
    count = checked_num_iters(bundle, num_iters)
    return searches.codes(bundle, x, count, **settings)


@jax.jit
def _encode(encoder, generator, x):
    return hyperstyle.initial_inversion(encoder, generator, x)


_corrected = jax.jit(restyle.invert, static_argnames="num_iters")


_ITERATIONS = {"num_iters": 5}
_SEARCH = {"steps": 500, "lr": 0.1, "lpips": 0.8, "start": MEAN}
_RELEASED = {"steps": 1000, "lr": 0.1, "samples": 10_000, "l2": 0.0, "lpips": 1.0}
_PIVOT = {"lr": 0.01, "samples": 600}
_TUNING = {"steps": 350, "lr": 3e-4, "l2": 1.0, "lpips": 1.0, "stop": 0.06}
_TUNING |= {"locality": False, "together": False}
_OF_HYPERSTYLE = ("encoder", "hypernet", "generator")
METHODS: dict[str, Method] = {
    "hyperstyle": Method(
        "HyperStyle",
        _OF_HYPERSTYLE,
        {"num_iters": None, "dtype": "float32"},
        _hyperstyle,
    ),
    "w-encoder": Method("W encoder", ("encoder", "generator"), {}, _encoder("encoder")),
    "w": Method(
        "W optimization", ("generator",), _SEARCH, _begun(searches.latent("w"))
    ),
    "w-plus": Method(
        "W+ optimization", ("generator",), _SEARCH, _begun(searches.latent("w_plus"))
    ),
    "psp": Method("pSp", ("psp", "generator"), {}, _encoder("psp")),
    "e4e": Method("e4e", ("e4e", "generator"), {}, _encoder("e4e")),
    "restyle-psp": Method(
        "ReStyle (pSp)",
        ("restyle_psp", "generator"),
        _ITERATIONS,
        _restyle("restyle_psp"),
    ),
    "restyle-e4e": Method(
        "ReStyle (e4e)",
        ("restyle_e4e", "generator"),
        _ITERATIONS,
        _restyle("restyle_e4e"),
    ),
    "w-released": Method(
        "W projection (released)", ("generator",), _RELEASED, searches.released("w")
    ),
    "w-plus-released": Method(
        "W+ projection (released)",
        ("generator",),
        {**_RELEASED, **_PIVOT, "steps": 450},
        searches.released("w_plus"),
    ),
    "pti": Method(
        "PTI",
        ("generator",),
        {"pivot": "w-released", "pivot_steps": 450, **_TUNING},
        _pti,
    ),
    "hyperstyle-pti": Method(
        "HyperStyle, then PTI",
        _OF_HYPERSTYLE,
        {"num_iters": None, **_TUNING},
        _hyperstyle_pti,
    ),
    "code-tuning": Method(
        "Code tuning",
        _OF_HYPERSTYLE,
        {"num_iters": None, "steps": 50, "lr": 0.3, "lr_w": 0.0, "lpips": 0.8},
        _codes,
    ),
}
