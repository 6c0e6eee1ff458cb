"""Inverts one face by several methods, side by side, with the time of each."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from hyperstyle_jax import images
from hyperstyle_jax.app.engine import Engine
from hyperstyle_jax.app.session import Session
from hyperstyle_jax.inversion import methods, pipeline
from hyperstyle_jax.offsets import Inversion

_SIDE = 192  # pixels of each picture, at least
DEFAULT = ("hyperstyle", "w-encoder", "w-plus")


class Result(NamedTuple):
    """What a method made of a face.

    Attributes:
        name: of the method.
        inversion: of one image.
        image: [h, w, 3] uint8, the reconstruction.
        seconds: that it took.
        l2: mean squared error in [-1, 1].
        settings: with which it ran.
    """

    name: str
    inversion: Inversion
    image: np.ndarray
    seconds: float
    l2: float
    settings: dict[str, Any]


class Comparing:
    """Runs methods; what was compiled once is not compiled again.

    Args:
        engine: of the model.
    """

    def __init__(self, engine: Engine):
        self._engine = engine
        self._compiled: set[tuple] = set()
        self.names = methods.available(engine.model)

    def run(
        self, session: Session, names: Sequence[str], steps: int
    ) -> Iterator[Result]:
        """One method after the other, each compiled before its time is taken.

        Args:
            session: with a chosen face.
            names: of methods that the bundle has networks for.
            steps: of the searches.

        Raises:
            ValueError: no photo, no method, or one that the bundle cannot run.
        """
        session.need_photo()
        if not names:
            raise ValueError("no method chosen")
        x = pipeline.prepare(self._engine.model, [session.aligned.image])
        for name in names:
            yield self._result(x, name, self._settings(name, steps))

    def take(self, session: Session, result: Result) -> Session:
        """The session with one of the results in place of its inversion."""
        notes = {"method": result.name, **result.settings}
        kept = {k: session.notes[k] for k in ("photo", "face", "number")}
        return self._engine.take(session, result.inversion, kept | notes)

    def _settings(self, name: str, steps: int) -> dict[str, Any]:
        known = methods.METHODS[name].settings if name in methods.METHODS else {}
        given = {"num_iters": self._engine.num_iters} if name == "hyperstyle" else {}
        return given | ({"steps": int(steps)} if "steps" in known else {})

    def _result(self, x: np.ndarray, name: str, settings: dict[str, Any]) -> Result:
        model, key = self._engine.model, (name, *settings.items())
        if key not in self._compiled:
            jax.block_until_ready(methods.invert(model, x, name, **settings))
            self._compiled.add(key)
        start = time.perf_counter()
        inverted = jax.block_until_ready(methods.invert(model, x, name, **settings))
        seconds = time.perf_counter() - start
        image = np.asarray(inverted.images[-1, 0])
        error = float(np.square(image.clip(-1, 1) - x[0]).mean())
        shown = images.to_uint8(image)
        return Result(name, inverted.inversion, shown, seconds, error, settings)


def table(session: Session, results: Sequence[Result]) -> np.ndarray:
    """Target and results in a row, with their names."""
    size = results[0].image.shape[:2]
    row = [images.resize(session.aligned.image, *size), *(r.image for r in results)]
    scale = max(1, _SIDE // size[0])
    big = [images.resize(i, size[0] * scale, size[1] * scale) for i in row]
    return images.grid([big], ["target", *(title(r.name) for r in results)])


def title(name: str) -> str:
    """A method's name in tables."""
    return methods.METHODS[name].title


def markdown(results: Sequence[Result]) -> str:
    """Times and errors as a table."""
    lines = ["| method | seconds | L2 | settings |", "| --- | ---: | ---: | --- |"]
    for r in results:
        settings = ", ".join(f"{k} {v}" for k, v in r.settings.items())
        lines.append(f"| {title(r.name)} | {r.seconds:.3f} | {r.l2:.4f} | {settings} |")
    return "\n".join(lines)
