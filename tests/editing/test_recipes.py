"""A recipe makes its picture again, from JSON or from a PNG; strangers' are refused."""

import json

import numpy as np
import pytest
from command import save_model

from hyperstyle_jax import images
from hyperstyle_jax.cli.main import main
from hyperstyle_jax.editing import looks, recipes
from hyperstyle_jax.editing.looks import Look, Mix
from hyperstyle_jax.editing.recipes import Recipe
from hyperstyle_jax.inversion import hyperstyle, pipeline
from hyperstyle_jax.offsets import LayerEmbeddings
from hyperstyle_jax.weights import bundle


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return bundle.load(save_model(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.fixture(scope="module")
def inversion(model):
    rng, module = np.random.default_rng(0), model.nets["generator"].module
    w = rng.normal(size=(1, module.num_ws, module.w_dim)).astype(np.float32)
    zeros = hyperstyle.no_embeddings(model.nets["hypernet"].module, 1, 2)
    values = {k: rng.normal(size=v.shape).astype("f4") for k, v in zeros.items()}
    return hyperstyle.decode(model.nets["hypernet"], w, LayerEmbeddings(values, 2))


@pytest.fixture(scope="module")
def look(model):
    module = model.nets["generator"].module
    moved = np.random.default_rng(1).normal(size=(module.num_ws, module.w_dim))
    mask = np.zeros((module.resolution,) * 2, bool)
    mask[4:12, 4:14] = True
    return Look(("smile=1.5",), ("smile",), Mix(7, 8), np.float32(moved), mask)


@pytest.fixture(scope="module")
def recipe(model, inversion, look):
    return Recipe(recipes.npz(inversion, model), look, {"method": "hyperstyle"})


def drawn(model, inversion):
    return images.to_uint8(np.asarray(pipeline.render(model, inversion)[0]))


def test_json_and_back(recipe):
    again = recipes.read(recipes.to_json(recipe).encode())
    assert again.inversion == recipe.inversion and again.notes == recipe.notes
    np.testing.assert_array_equal(again.look.moved, recipe.look.moved)
    np.testing.assert_array_equal(again.look.mask, recipe.look.mask)
    assert again.look[:3] == recipe.look[:3]


def test_a_png_carries_its_recipe(recipe, model, tmp_path):
    image = recipes.draw(model, recipe)
    path = tmp_path / "a.png"
    path.write_bytes(recipes.encode_png(recipe, image))
    again = recipes.read(path)
    np.testing.assert_array_equal(recipes.draw(model, again), image)
    np.testing.assert_array_equal(images.read(path), image)
    assert recipes.read(images.encode_png(image)) is None


def test_an_empty_look_is_the_inversion(model, inversion):
    recipe = Recipe(recipes.npz(inversion, model), Look())
    np.testing.assert_array_equal(recipes.draw(model, recipe), drawn(model, inversion))


def test_outside_the_mask_nothing_changes(model, inversion, recipe, look):
    before, after = drawn(model, inversion), recipes.draw(model, recipe)
    np.testing.assert_array_equal(after[~look.mask], before[~look.mask])
    assert (after[look.mask] != before[look.mask]).any()
    full = recipe._replace(look=look._replace(mask=np.ones_like(look.mask)))
    everywhere = recipe._replace(look=look._replace(mask=None))
    np.testing.assert_array_equal(
        recipes.draw(model, full), recipes.draw(model, everywhere)
    )


def test_edits_add_up_with_drags_and_mixing(model, inversion, look):
    """Of rows that the seed replaces, the drag and the edits are still added."""
    w = np.asarray(looks.apply(model, inversion, look).w_plus)
    mixed = looks.apply(model, inversion, Look(mix=look.mix))
    step = look.moved + 1.5 * model.direction("smile")
    np.testing.assert_allclose(w, mixed.w_plus + step, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"edits": ["channel:b4/conv1:0=1"]}, "no edit direction"),
        ({"edits": ["/etc/passwd.npz=1"]}, "no edit direction"),
        ({"edits": ["smile=1:3:1"]}, "one amount"),
        ({"keep": ["age"]}, "no edit direction"),
        ({"mix": {"seed": -1, "above": 8}}, "seed"),
        ({"mix": {"seed": 1, "above": 5}}, "resolution 5"),
        ({"moved": {"shape": [1, 1], "values": "AAAAAA=="}}, "moved"),
        ({"mask": {"shape": [1, 1], "values": "AA=="}}, "mask"),
        ({"inversion": "AAAA"}, "the recipe is not an inversion"),
    ],
)
def test_strangers_recipes_are_refused(model, recipe, change, why):
    content = json.loads(recipes.to_json(recipe)) | change
    read = recipes.read(json.dumps(content).encode())
    with pytest.raises(ValueError, match=why):
        recipes.restore(model, read)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"format": "hyperstyle_jax recipe 1"}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_recipe_is_one_line(data):
    with pytest.raises(ValueError, match="no recipe") as error:
        recipes.read(data, "a.json")
    assert "\n" not in str(error.value)


def test_a_damaged_array_is_refused(recipe):
    content = json.loads(recipes.to_json(recipe))
    content["moved"]["values"] = "AAAA"
    with pytest.raises(ValueError, match="no recipe"):
        recipes.read(json.dumps(content).encode())


def test_the_command_makes_the_picture_again(
    model, recipe, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("HYPERSTYLE_CACHE", "off")
    monkeypatch.setattr(bundle, "load", lambda _: model)
    path = tmp_path / "recipe.json"
    path.write_text(recipes.to_json(recipe))
    (tmp_path / "one.npz").write_bytes(recipe.inversion)
    assert main(["edit", "--recipe", str(path)]) == 0
    again = images.read(tmp_path / "recipe_again.png")
    np.testing.assert_array_equal(again, recipes.draw(model, recipe))
    assert main(["edit", str(tmp_path / "one.npz"), "--recipe", str(path)]) == 0
    assert (tmp_path / "one_smile+1.5.png").is_file()
    assert main(["edit", "--recipe", str(path), "--edit", "smile=1"]) == 1
    with pytest.raises(SystemExit):
        main(["edit"])
    assert "or --recipe FILE" in capsys.readouterr().err
