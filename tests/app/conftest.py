"""A tiny engine, and a photo with two drawn faces of which the places are known."""

from typing import NamedTuple

import numpy as np
import pytest
from command import NUM_ITERS, save_model
from drawn_faces import encoded

from hyperstyle_jax import faces
from hyperstyle_jax.app import cutting
from hyperstyle_jax.app.engine import Engine
from hyperstyle_jax.photos.face import Face
from hyperstyle_jax.weights import bundle


class TwoFaces(NamedTuple):
    """A photo, its file, and the landmarks of its faces, the larger one first."""

    image: np.ndarray
    data: bytes
    points: list[np.ndarray]


@pytest.fixture(scope="session")
def two_faces() -> TwoFaces:
    image = np.full((220, 420, 3), (180, 190, 200), np.uint8)
    large, small = (faces.draw([i], size=n)["image"][0]
                    for i, n in ((1_000_001, 160), (1_000_003, 112)))  # fmt: skip
    image[40:200, 30:190], image[70:182, 260:372] = large, small
    points = [cutting.face_in(109.5, 119.5, 160), cutting.face_in(315.5, 125.5, 112)]
    return TwoFaces(image, encoded(image), [face.points for face in points])


@pytest.fixture(scope="session")
def engine(two_faces, tmp_path_factory) -> Engine:
    """Of tiny networks; it finds faces in the photo of `two_faces` alone."""
    model = bundle.load(save_model(tmp_path_factory.mktemp("model") / "tiny"))
    engine = Engine(model, finder(two_faces))
    assert engine.num_iters == NUM_ITERS
    return engine


@pytest.fixture(scope="session")
def demo_engine(two_faces) -> Engine:
    """The same with the shipped networks."""
    return Engine(bundle.load("demo"), finder(two_faces))


def finder(two_faces):
    def find(image, _):
        known = image.shape == two_faces.image.shape
        return [Face(points) for points in two_faces.points] if known else []

    return find


@pytest.fixture(scope="session")
def done(engine, two_faces):
    """A session in which the smaller face is inverted."""
    session = engine.choose(engine.open(two_faces.data, "two.png"), 1)
    *_, last = engine.invert(session)
    return last.session
