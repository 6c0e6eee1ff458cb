"""FFHQ's alignment: exact to the official scripts, and a map that can be inverted."""

import numpy as np
import pytest
from drawn_faces import photo, points68
from paths import SHARED

from hyperstyle_jax import parity
from hyperstyle_jax.parity.alignment import crop
from hyperstyle_jax.parity.case import Case
from hyperstyle_jax.parity.check import compare
from hyperstyle_jax.photos.align import align_face, face_quad, side
from hyperstyle_jax.photos.face import Anchors, Face
from hyperstyle_jax.photos.masks import in_square

PEERS = SHARED / "goldens_peers"


here = pytest.mark.skipif(
    not PEERS.is_dir(), reason="the official fixtures are not here"
)


@here
@pytest.mark.parametrize("name", ["tiny", "border"])
def test_ptis_script_cuts_out_the_same(name):
    case = Case(PEERS, "alignment", 0)
    (row,) = compare(name, case.arrays, [crop(case, name, "pti_256")])
    assert row.passed and row.max_error == 0


@here
@pytest.mark.slow
def test_the_official_scripts_cut_out_the_same():
    rows = list(parity.run(PEERS, [("alignment", 1)]))
    assert sum(row.outputs for row in rows) == 27
    assert all(row.passed and row.max_error == 0 for row in rows)


def test_the_square_of_an_upright_face():
    anchors = Anchors(*map(np.array, ((100, 100), (140, 100), (105, 150), (135, 150))))
    quad = face_quad(anchors)
    # Eyes 40 apart, mouth 50 below: the half side is 50 · 1.8, the larger of both.
    np.testing.assert_allclose(quad - (120, 105), 90 * np.array([
        (-1, -1), (-1, 1), (1, 1), (1, -1)]))  # fmt: skip
    assert side(quad) == 180


def test_the_square_turns_moves_and_grows_with_the_face():
    plain = face_quad(Face(points68()).anchors)
    turned = face_quad(Face(points68((50, 80), 70, lean=0.7)).anchors)
    cos, sin = np.cos(0.7), np.sin(0.7)
    moved = (plain - (120, 100)) * 70 / 40 @ np.array([[cos, sin], [-sin, cos]])
    np.testing.assert_allclose(turned, moved + (50, 80), atol=1e-9)


@pytest.mark.parametrize("size", [16, 64, 200])
@pytest.mark.parametrize("lean", [0.0, 0.5, np.pi / 2, np.pi])
def test_corners_say_where_in_the_photo_each_pixel_comes_from(size, lean):
    """A photo of its own coordinates, shrunk, cropped, padded or not."""
    x, y = np.meshgrid(np.arange(125), np.arange(125))
    image = np.stack([2 * x, 2 * y, 0 * x], axis=-1).astype(np.uint8)
    face = Face(points68((62.0, 55.0), 23.0, lean))
    aligned = align_face(image, face, size)
    middles = (np.arange(size) + 0.5) / size
    u, v = np.meshgrid(middles, middles)
    corners = aligned.corners
    across, down = corners[3] - corners[0], corners[1] - corners[0]
    expected = corners[0] + u[..., None] * across + v[..., None] * down - 0.5
    core = slice(size // 4, -size // 4)
    apart = aligned.image[core, core, :2] / 2 - expected[core, core]
    # Levels are rounded down, and once more where the photo is shrunk.
    assert -0.8 < apart.min() and apart.max() < 0.3
    assert abs(apart.mean() + 0.25) < 0.2


def test_landmarks_lie_in_the_crop_where_ffhq_has_them():
    face = Face(points68(lean=0.4))
    aligned = align_face(photo(), face, 128)
    left, right, mouth_left, mouth_right = Face(
        in_square(face.points, aligned.corners)
    ).anchors
    assert left[1] == pytest.approx(right[1]) and left[0] < 0.5 < right[0]
    assert left[0] + right[0] == pytest.approx(1) == mouth_left[0] + mouth_right[0]
    assert left[1] < 0.5 < mouth_left[1] == pytest.approx(mouth_right[1])


def test_what_lies_outside_of_the_photo_is_measured_and_filled():
    inside = align_face(photo(), Face(points68()), 64)
    cut = align_face(photo(), Face(points68((20.0, 100.0))), 64)
    assert inside.outside == 0 and 0.3 < cut.outside < 0.7
    assert cut.image.shape == (64, 64, 3) and cut.image.std() > 0


def test_five_points_give_the_square_of_their_68():
    face = Face(points68(lean=0.3))
    left, right, *mouth = face.anchors
    five = Face(np.stack([left, right, face.nose, *mouth]))
    np.testing.assert_allclose(face_quad(five.anchors), face_quad(face.anchors))


@pytest.mark.parametrize(
    ("points", "size", "message"),
    [
        (points68((900.0, 900.0)), 64, "outside of the photo of 260 x 300"),
        (points68((-300.0, 100.0)), 64, "outside of the photo"),
        (points68(unit=1.0), 64, "expected at least 8"),
        (points68(unit=900.0), 64, "pixels wide in a photo"),
        (np.full((68, 2), 50.0), 64, "at one point"),
        (points68(), 5000, "from 8 to 4096"),
    ],
)
def test_senseless_faces_are_refused(points, size, message):
    with pytest.raises(ValueError, match=message):
        align_face(photo(), Face(points), size)


def test_how_a_face_is_seen():
    face = Face(points68())
    assert not face.is_profile() and face.is_upright() and face.lean == 0
    side_view = face.points.copy()
    side_view[30, 0] -= 15  # the nose
    assert Face(side_view).is_profile()
    lying = Face(points68(lean=np.pi / 2))
    assert not lying.is_upright() and lying.lean == pytest.approx(90)
    assert not lying.is_profile()
