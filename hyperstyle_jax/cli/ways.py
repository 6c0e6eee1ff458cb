"""The ways in which `hyperstyle invert` inverts a batch: HyperStyle, and all others."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:  # they take long to import
    import numpy as np

    from hyperstyle_jax.inversion.hyperstyle import Refinement
    from hyperstyle_jax.inversion.stopping import Stopped
    from hyperstyle_jax.offsets import Inversion
    from hyperstyle_jax.weights.bundle import Bundle


class Results(NamedTuple):
    """A batch after its inversion; the arrays may still be computed.

    Attributes:
        found: what is saved.
        images: [S, B, h, w, 3], what the images went through.
        last: int [B], the index of each one's last among these.
        measures: {name: [S, B]}.
        rendered: [B, R, R, 3], in full size.
    """

    found: "Refinement | Stopped | Inversion"
    images: Any
    last: Any
    measures: dict[str, Any]
    rendered: Any


@dataclass(frozen=True)
class HyperStyle:
    """HyperStyle with one compiled program for all batches.

    Attributes:
        until: bounds within which an image is close enough.
    """

    model: "Bundle"
    num_iters: int
    until: dict[str, float]
    precision: str
    same_size: ClassVar[bool] = True
    starts_with_encoder: ClassVar[bool] = True

    def run(self, x: "np.ndarray") -> Results:
        """Starts the inversion of images [B, h, w, 3] in [-1, 1]."""
        import numpy as np

        from hyperstyle_jax.inversion import pipeline

        model, dtype = self.model, self.precision
        last: Any = np.full(len(x), self.num_iters)
        found: Any
        if self.until:
            found = pipeline.refine_until(model, x, self.num_iters, self.until, dtype)
            images, last = found.refinement.images, found.iterations
        else:
            found = pipeline.refine(model, x, self.num_iters, dtype)
            images = found.images
        measures = pipeline.measure_on_device(model, x, images)
        rendered = pipeline.full_size(model, found, dtype)
        return Results(found, images, last, measures, rendered)

    def stored(self, results: Results, i: int) -> tuple[Any, int]:
        """One image's inversion, and its index there, for `storage.save`."""
        from hyperstyle_jax.inversion import stopping

        found: Any = results.found
        refinement = found.refinement if self.until else found
        return stopping.of_image(refinement, i, int(results.last[i])), 0

    def labels(self, last: int) -> list[str]:
        """The captions of the images."""
        return ["initial", *(str(t) for t in range(1, last + 1))]

    def row(self, last: int) -> dict[str, Any]:
        """What a picture's row says beside its measures."""
        return {"num_iters": last}


@dataclass(frozen=True)
class Other:
    """Any other method, with all its settings."""

    model: "Bundle"
    method: str
    settings: dict[str, Any]
    starts_with_encoder: ClassVar[bool] = False

    @property
    def same_size(self) -> bool:
        """Whether a short batch is filled up: not for searches, which take long."""
        return "steps" not in self.settings

    def run(self, x: "np.ndarray") -> Results:
        """Inverts images [B, h, w, 3] in [-1, 1]."""
        import numpy as np

        from hyperstyle_jax.inversion import methods, pipeline

        model = self.model
        inversion, images = methods.invert(model, x, self.method, **self.settings)
        (generator,) = model.require("generator")
        rendered = images[-1]
        if rendered.shape[1:3] != (generator.module.resolution,) * 2:
            rendered = pipeline.render(model, inversion)
        measures = pipeline.measure_on_device(model, x, images)
        last = np.full(len(x), len(images) - 1)
        return Results(inversion, images, last, measures, rendered)

    def stored(self, results: Results, i: int) -> tuple[Any, int]:
        """The inversions, and the index of one image, for `storage.save`."""
        return results.found, i

    def labels(self, last: int) -> list[str]:
        """The captions of the images."""
        between = [str(t) for t in range(1, last)]
        return ["start", *between, "result"] if last else ["result"]

    def row(self, last: int) -> dict[str, Any]:
        """What a picture's row says beside its measures."""
        return {"method": self.method}


Way = HyperStyle | Other


def parse_settings(texts: list[str]) -> dict[str, Any]:
    """Values of `--set NAME=VALUE`: numbers, true, false, none and words.

    Raises:
        ValueError: no NAME=VALUE.
    """
    settings = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise ValueError(f"--set {text}: expected NAME=VALUE, as steps=200")
        settings[name] = _value(value)
    return settings


def _value(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
