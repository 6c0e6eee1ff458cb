"""Landmark finders: MTCNN's parts, conversions, files of points, what is missing."""

import importlib.util
import json
from types import SimpleNamespace

import numpy as np
import pytest
from drawn_faces import points68, save_points
from paths import GOLDENS, SHARED

from hyperstyle_jax import images
from hyperstyle_jax.photos import landmarks
from hyperstyle_jax.photos.align import face_quad, side
from hyperstyle_jax.photos.face import Face
from hyperstyle_jax.photos.landmarks import boxes, mediapipe, mtcnn, turning
from hyperstyle_jax.photos.landmarks.steadying import steady

PORTRAITS = SHARED / "pictures" / "portraits"
WEIGHTS = GOLDENS / "release" / "models_mtcnn"
IMAGE = np.zeros((40, 60, 3), np.uint8)


@pytest.mark.parametrize(
    ("name", "model", "message"),
    [
        ("dlip", None, "expected dlib, mediapipe, mtcnn or a .json file"),
        ("dlib", "model.dat", "dlib brings its own"),
        ("mtcnn", None, "no model; name a bundle"),
        ("mtcnn", "nowhere", "nowhere"),
        ("mediapipe", None, "no model; name its face_landmarker.task"),
        ("mediapipe", "nowhere.task", "nowhere.task is no file"),
        ("nowhere.json", None, "nowhere.json: no such file"),
    ],
)
def test_what_is_missing_is_said(name, model, message):
    with pytest.raises(ValueError, match=message):
        landmarks.load(name, model)


@pytest.mark.parametrize("name", ["dlib", "mediapipe"])
def test_a_package_that_is_not_installed_is_named_with_its_extra(
    name, monkeypatch, tmp_path
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    (model := tmp_path / "x.task").touch()
    extra = {"dlib": "align", "mediapipe": "mediapipe"}[name]
    with pytest.raises(ValueError, match=rf"hyperstyle_jax\[{extra}\]"):
        landmarks.load(name, None if name == "dlib" else model)


# --- files of points


def test_points_are_found_by_path_name_or_stem(tmp_path):
    small, large = points68(unit=10), points68(unit=30)
    path = save_points(tmp_path / "p.json", {"me.jpg": [small, large], "you": [small]})
    find = landmarks.load(str(path))
    faces = find(IMAGE, "folder/me.jpg")
    np.testing.assert_array_equal(faces[0].points, large)  # the largest first
    assert len(faces) == 2 and len(find(IMAGE, "you.png")) == 1
    with pytest.raises(ValueError, match="has no landmarks of other.png"):
        find(IMAGE, "a/other.png")


def test_the_form_with_boxes_and_the_mesh_of_478_are_read(tmp_path):
    mesh = np.random.default_rng(0).uniform(0, 99, (478, 2))
    faces = {"faces": [{"box": [1, 2, 3, 4], "landmarks": mesh.tolist()}]}
    (path := tmp_path / "p.json").write_text(json.dumps({"a": faces}))
    (face,) = landmarks.load(str(path))(IMAGE, "a")
    np.testing.assert_array_equal(face.points, mesh[list(mediapipe.AS_68)])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "no JSON"),
        ("[]", "got a list, expected names of photos"),
        ('{"a": 3}', "a: expected a list of faces"),
        ('{"a": [[[1, 2]]]}', r"a, face 0: got landmarks of shape \(1, 2\)"),
        ('{"a": ["x"]}', "expected 68 or 5 pairs"),
        (json.dumps({"a": [[[float("nan"), 1]] * 5]}), "not finite"),
    ],
)
def test_other_files_are_refused(content, message, tmp_path):
    (path := tmp_path / "p.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        landmarks.load(str(path))


def test_the_mesh_has_each_of_68_points_once():
    assert len(set(mediapipe.AS_68)) == 68 and max(mediapipe.AS_68) < 468
    mesh = [SimpleNamespace(x=i / 1000, y=i / 500) for i in range(478)]
    points = mediapipe.from_mesh(mesh, height=200, width=100)
    # Point 48, the left corner of the mouth, is number 61 of the mesh.
    np.testing.assert_allclose(points[48], (0.061 * 100 - 0.5, 0.122 * 200 - 0.5))


# --- turned photos


@pytest.mark.parametrize("quarters", range(4))
def test_faces_of_turned_photos_are_found_where_they_are(quarters):
    """A finder that sees only a mark in the upper left of an upright photo."""
    photo = np.zeros((30, 50, 3), np.uint8)
    photo[4, 7] = 255

    def detect(image):
        y, x = np.argwhere(image[..., 0] == 255)[0]
        score = 1.0 if image.shape[1] == 50 and (y, x) == (4, 7) else 0.1
        return [Face(np.array([(x, y)] * 5), score)]

    turned = np.ascontiguousarray(np.rot90(photo, quarters))
    (face,) = turning.find_in_any_turn(turned, detect, sure=0.5)
    y, x = np.argwhere(turned[..., 0] == 255)[0]
    assert face.score == 1.0 and face.points[0].tolist() == [x, y]


def test_a_sure_face_ends_the_search():
    tried = []
    turning.find_in_any_turn(IMAGE, lambda x: tried.append(1) or [Face(IMAGE)], 0.5)
    assert len(tried) == 1


# --- MTCNN


def test_of_overlapping_boxes_the_best_stays():
    kept = boxes.suppress(
        np.array([(0, 0, 9, 9), (1, 1, 10, 10), (30, 30, 39, 39), (2, 2, 5, 5)], float),
        np.array([0.8, 0.9, 0.7, 0.6]),
        0.5,
    )
    assert kept.tolist() == [1, 2, 3]
    inner = np.array([(0, 0, 9, 9), (2, 2, 5, 5)], float)
    scores = np.array([0.9, 0.8])
    assert boxes.suppress(inner, scores, 0.7, within=True).tolist() == [0]
    assert boxes.suppress(np.zeros((0, 4)), np.zeros(0), 0.5).tolist() == []


def test_squares_keep_their_middle_and_offsets_are_parts_of_the_box():
    box = np.array([[10.0, 20.0, 19.0, 59.0]])  # 10 wide, 40 high
    assert boxes.squares(box).tolist() == [[-5, 20, 34, 59]]
    moved = boxes.shift(box, np.array([[0.1, 0.1, -0.1, 0.5]]))
    assert moved.tolist() == [[11, 24, 18, 79]]


def test_what_lies_outside_of_the_photo_is_black():
    photo = np.full((5, 6, 3), 9, np.uint8)
    part = boxes.cut(photo, np.array([-2, -1, 7, 3]))
    assert part.shape == (5, 10, 3) and part.sum() == 9 * 3 * 6 * 4
    assert boxes.cut(photo, np.array([20, 20, 22, 21])).sum() == 0


def test_points_are_steadied_in_the_photo_s_own_pixels():
    """A network that sees, by the colours, which place of the photo is where."""
    face = Face(points68((60.0, 50.0), 40.0, lean=0.3))
    left, right, *mouth = face.anchors
    five = np.stack([left, right, face.nose, *mouth]) + 0.5
    x, y = np.meshgrid(np.arange(120), np.arange(120))
    photo = np.stack([2 * x, 2 * y, 0 * x], axis=-1).astype(np.uint8)

    def locate(views):
        return np.stack([_places(view, five) for view in views])

    rough = five + np.random.default_rng(0).normal(0, 1.0, five.shape)
    better = steady(photo, rough, locate)
    np.testing.assert_allclose(better[2:], five[2:], atol=0.3)
    down = np.array([-np.sin(0.3), np.cos(0.3)])
    below = (better[:2] - five[:2]) @ down  # pupils are not the middle of the lids
    assert ((0.8 < below) & (below < 1.8)).all()


def _places(view, points) -> np.ndarray:
    """Where points of the photo lie in a view of its coordinates: [10]."""
    v, u = (np.mgrid[8:40, 8:40].reshape(2, -1) + 0.5) / 48
    seen = view[8:40, 8:40, :2].reshape(-1, 2) / 2 + 0.75  # levels are rounded down
    terms = np.stack([u, v, np.ones_like(u)], axis=1)
    (across, down, corner), *_ = np.linalg.lstsq(terms, seen)
    places = np.linalg.solve(np.stack([across, down], axis=1), (points - corner).T).T
    # The network does not know of mirrors: what is on the left is the left eye.
    if places[0, 0] > places[1, 0]:
        places = places[[1, 0, 2, 4, 3]]
    return places.T.ravel()


@pytest.mark.skipif(not WEIGHTS.is_dir(), reason="the released weights are not here")
def test_the_cascade_finds_nothing_in_noise_and_says_so():
    find = mtcnn.load(WEIGHTS)
    noise = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
    assert find(noise, "noise.png") == []
    assert find(np.zeros((16, 300, 3), np.uint8), "narrow.png") == []


@pytest.mark.slow
@pytest.mark.skipif(
    not (WEIGHTS.is_dir() and PORTRAITS.is_dir()), reason="the photographs are not here"
)
def test_faces_of_photographs_are_found_where_they_are():
    find = mtcnn.load(WEIGHTS)
    truth = json.loads((PORTRAITS / "groups_landmarks.json").read_text())["g00.jpg"]
    faces = find(images.read(PORTRAITS / "g00.jpg"), "g00.jpg")
    assert len(faces) == len(truth["faces"])
    for entry in truth["faces"]:
        true = Face(np.array(entry["landmarks"], np.float64))
        apart = [np.stack(f.anchors) - np.stack(true.anchors) for f in faces]
        nearest = min(np.hypot(*(a.T)).max() for a in apart)
        assert nearest < 0.03 * side(face_quad(true.anchors))
