"""What the page does with a photo, without the page."""

import numpy as np
import pytest

from hyperstyle_jax import images
from hyperstyle_jax.app import cutting, dragging
from hyperstyle_jax.app.session import Session
from hyperstyle_jax.editing import recipes, steps
from hyperstyle_jax.editing.looks import Look
from hyperstyle_jax.images import originals
from hyperstyle_jax.inversion import pipeline
from hyperstyle_jax.photos.align import face_quad


def with_look(session, **look):
    return session._replace(look=session.look._replace(**look))


def test_faces_are_found_and_chosen(engine, two_faces):
    session = engine.open(two_faces.data, "two.png")
    assert len(session.faces) == 2 and session.chosen == 0
    assert cutting.at(session.faces, 315, 125) == 1
    assert cutting.at(session.faces, 5, 5) is None
    other = engine.choose(session, 1)
    assert other.chosen == 1 and other.inverted is None
    with pytest.raises(ValueError, match="no face 2"):
        engine.choose(session, 2)


def test_without_a_face_there_is_advice(engine):
    grey = images.encode_png(np.full((40, 50, 3), 100, np.uint8))
    with pytest.raises(ValueError, match="no face search"):
        engine.open(grey, "grey.png")
    assert len(engine.open(grey, "grey.png", whole=True).faces) == 1


@pytest.mark.parametrize("data", [b"", b"no image", b"\x89PNG\r\n\x1a\n broken"])
def test_what_is_no_image_is_one_line(engine, data):
    with pytest.raises(ValueError, match="^bad.png: ") as error:
        engine.open(data, "bad.png")
    assert "\n" not in str(error.value)


def test_the_middle_is_cut_out_as_commands_do(engine):
    """As `pipeline.prepare`, which `hyperstyle invert` uses without --align."""
    image = np.random.default_rng(0).integers(0, 256, (30, 44, 3), np.uint8)
    session = engine.open(images.encode_png(image), "a.png", whole=True)
    x = pipeline.prepare(engine.model, [image])
    np.testing.assert_array_equal(images.to_float(session.aligned.image), x[0])
    quad = face_quad(session.faces[0].anchors)
    np.testing.assert_allclose(quad[0], (6.5, -0.5))
    np.testing.assert_allclose(quad[2], (36.5, 29.5))


@pytest.mark.slow
def test_iterations_are_those_of_one_scan(engine, two_faces):
    session = engine.open(two_faces.data, "two.png")
    taken = [*engine.invert(session)]
    assert [step.number for step in taken] == [0, 1, 2]
    x = pipeline.prepare(engine.model, [session.aligned.image])
    whole = pipeline.refine(engine.model, x, 2)
    for step, image in zip(taken, whole.images, strict=True):
        difference = np.int16(step.image) - images.to_uint8(np.asarray(image[0]))
        assert np.abs(difference).max() <= 1
    w_plus = taken[-1].session.inverted.inversion.w_plus
    np.testing.assert_allclose(w_plus, whole.w_plus, atol=1e-5)


def test_edits_are_those_of_the_commands(engine, done):
    edited = engine.draw(with_look(done, edits=("smile=2",)))
    inversion = steps.apply_edits(engine.model, done.inverted.inversion, "smile=2")
    image = images.to_uint8(np.asarray(pipeline.render(engine.model, inversion)[0]))
    assert np.abs(np.int16(edited) - image).max() <= 1
    assert (edited != done.inverted.before).any()


def test_nothing_done_is_the_reconstruction(engine, done):
    np.testing.assert_array_equal(engine.draw(done), done.inverted.before)


def test_pasting_changes_the_chosen_face_alone(engine, done, two_faces):
    photo = engine.paste(with_look(done, edits=("smile=3",))).image
    changed = (photo != two_faces.image).any(-1)
    assert changed[70:182, 260:372].any()
    assert not changed[:, :250].any()


def test_a_jpeg_stays_one(engine, two_faces):
    data = images.encode_jpeg(two_faces.image)
    session = engine.open(data, "two.jpg")
    *_, last = engine.invert(session)
    ending, photo = engine.photo_file(last.session)
    assert ending == ".jpg" and originals.read(photo)[0].kind == "JPEG"


def test_a_recipe_brings_the_session_back(engine, done, two_faces):
    session = with_look(done, edits=("smile=1.5",))
    picture = engine.draw(session)
    data = recipes.encode_png(engine.recipe(session), picture)
    alone = engine.restore(recipes.read(data), Session())
    np.testing.assert_array_equal(engine.draw(alone), picture)
    with pytest.raises(ValueError, match="no photo"):
        engine.paste(alone)
    again = engine.open(two_faces.data, "two.png")
    back = engine.restore(recipes.read(data), again)
    assert back.chosen == 1
    np.testing.assert_array_equal(engine.paste(back).image, engine.paste(session).image)


def test_the_saved_inversion_is_what_is_shown(engine, done):
    session = with_look(done, edits=("smile=1.5",))
    plain = recipes.Recipe(engine.npz(session), Look())
    picture = recipes.draw(engine.model, plain)
    assert np.abs(np.int16(picture) - engine.draw(session)).max() <= 1


@pytest.mark.slow
def test_a_drag_moves_what_is_shown(engine, done):
    session = with_look(done, edits=("smile=1",))
    points = dragging.Points()
    with pytest.raises(ValueError, match="click a point"):
        next(dragging.run(engine, session, points))
    for x, y in ((100, 120), (150, 120), (30, 30)):
        points = points.clicked(x, y, 24, 16)
    *_, last = dragging.run(engine, session, points, max_steps=2)
    moved = last.session.look.moved
    assert moved.shape == done.inverted.inversion.w_plus.shape[1:]
    assert last.session.look.edits == ("smile=1",)
    assert last.session.notes["drag"]["to"] == [points.clicks[1]]
    assert last.picture.shape == (384, 384, 3)
    with pytest.raises(ValueError, match="no mask"):
        next(dragging.run(engine, session, points, within=True))


def test_clicks_are_places_of_the_small_picture():
    points = dragging.Points().clicked(12, 12, 24, 16).clicked(383, 0, 24, 16)
    assert points.clicks == ((0.0, 0.0), (15.0, 0.0))


def test_nothing_is_asked_of_an_empty_session(engine):
    with pytest.raises(ValueError, match="press Invert"):
        engine.draw(Session())
    with pytest.raises(ValueError, match="no photo"):
        next(engine.invert(Session()))
