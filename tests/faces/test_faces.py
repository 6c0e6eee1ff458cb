"""Procedural faces: pure functions of seed and index with labels that are true."""

import json

import numpy as np
import pytest
from scipy import stats

from hyperstyle_jax import faces

NAMES = list(faces.LATENT_NAMES)


def face(**latents):
    """One frontal, beardless, light-skinned latent [1, D] with some entries changed."""
    z = np.zeros((1, faces.LATENT_DIM), np.float32)
    plain = {"skin_tone": -1.5, "makeup": 3, "mouth_open": -1, "hair_lightness": -2}
    for name, value in {**plain, **latents}.items():
        z[0, NAMES.index(name)] = value
    return z


def image(**latents):
    return faces.render(face(**latents), 128)[0].astype(int)


def lips(image):
    """Rows and columns of red pixels."""
    red, green, blue = np.moveaxis(image, -1, 0)
    return np.nonzero((red - green > 70) & (red - blue > 45))


def test_enough_is_varied():
    assert len(faces.IDENTITY_NAMES) >= 10 and faces.LATENT_DIM <= 64
    wanted = {
        "yaw", "pitch", "smile", "mouth_open", "age", "glasses", "beard", "skin_tone",
        "eye_colour", "hair_length", "hair_lightness", "hair_fringe", "light_x",
        "background_lightness",
    }  # fmt: skip
    assert wanted <= set(faces.ATTRIBUTES)


def test_pure_function_of_seed_and_index():
    batch = faces.draw([3, 70000, 12], accessories=True)
    for i, index in enumerate([3, 70000, 12]):
        single = faces.draw([index], accessories=True)
        for name in batch:
            np.testing.assert_array_equal(batch[name][i], single[name][0])
    reseeded = faces.draw([3, 70000, 12], seed=1)
    assert (reseeded["image"] != batch["image"]).mean() > 0.5


@pytest.mark.parametrize("size", [16, 50, 64])
@pytest.mark.parametrize("accessories", [False, True])
def test_a_batch_equals_its_singles(accessories, size):
    options = {"accessories": accessories, "size": size}
    batch = faces.draw(np.arange(80), **options)["image"]
    single = [faces.draw([i], **options)["image"][0] for i in range(80)]
    np.testing.assert_array_equal(batch, single)


def test_latents_are_standard_normal():
    z = faces.latents(np.arange(20000))
    assert z.dtype == np.float32 and np.isfinite(z).all()
    p = [stats.kstest(column, "norm").pvalue for column in z.T]
    assert min(p) > 0.05 / len(p)
    away = np.abs(np.corrcoef(z.T) - np.eye(faces.LATENT_DIM)).max()
    assert away < 5 / np.sqrt(len(z))
    neighbours = np.mean(z[1:] * z[:-1], axis=0) * np.sqrt(len(z))
    assert np.abs(neighbours).max() < 4.5


def test_images_stay_as_they_are():
    """Networks are trained on them: a change needs a new version of the data set."""
    drawn = faces.draw([0, 999_999], seed=0, size=64)
    blocks = drawn["image"].reshape(2, 2, 32, 2, 32, 3).mean((2, 4)).round(1)
    blocks = blocks.reshape(2, 4, 3)
    first = [[95.2, 79.5, 74.4], [95.7, 77.0, 70.0]]
    first += [[110.9, 85.7, 75.8], [112.5, 85.4, 74.2]]
    last = [[74.2, 71.9, 53.2], [70.3, 68.3, 50.5]]
    last += [[70.5, 57.2, 42.0], [65.2, 53.3, 38.8]]
    away = np.abs(blocks - np.array([first, last])).max()
    assert away < 0.6, f"now {blocks.tolist()}"


def test_same_image_at_any_size():
    large = faces.draw(np.arange(24), size=256)["image"].astype(float)
    small = faces.draw(np.arange(24), size=64)["image"].astype(float)
    shrunk = large.reshape(24, 64, 4, 64, 4, 3).mean((2, 4))
    assert np.abs(shrunk - small).mean() < 1.5
    assert np.percentile(np.abs(shrunk - small), 99) < 24


def test_every_latent_shows():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(12, faces.LATENT_DIM)).astype(np.float32)
    for i, name in enumerate(NAMES):
        low, high = z.copy(), z.copy()
        low[:, i], high[:, i] = -1.6, 1.6
        change = np.abs(faces.render(low).astype(int) - faces.render(high))
        assert change.max() > 20, name


def test_images_change_smoothly():
    z = faces.latents(np.arange(16))
    near = faces.render(z + np.float32(0.01)).astype(int) - faces.render(z)
    assert np.abs(near).mean() < 1.5


def test_smile_bends_the_mouth():
    bends = []
    for g in (-2, -1, 0, 1, 2):
        rows, columns = lips(image(smile=g))
        bends.append(np.polyfit(columns - 63.5, rows, 2)[0])
    assert (np.diff(bends) < 0).all() and bends[0] > 0 > bends[-1]


def test_smile_leaves_the_rest_alone():
    change = np.abs(image(smile=1) - image(smile=-1)).max(-1)
    assert change[:40].max() <= 2 and change[110:].max() <= 2
    assert change[:, :20].max() <= 2


def test_turning_moves_the_mouth():
    across = [lips(image(yaw=g))[1].mean() for g in (-2, -1, 0, 1, 2)]
    up = [lips(image(pitch=g))[0].mean() for g in (-2, -1, 0, 1, 2)]
    assert (np.diff(across) > 2).all() and (np.diff(up) < -1).all()


def test_open_mouth_is_larger():
    tall = [np.ptp(lips(image(mouth_open=g))[0]) for g in (-1, 0.5, 1, 1.5)]
    assert (np.diff(tall) > 0).all()


def test_long_hair_reaches_down():
    dark = [(image(hair_length=g, skin_tone=-2)[60:].max(-1) < 75).sum()
            for g in (-2, 0, 0.8, 2)]  # fmt: skip
    assert (np.diff(dark) > 0).all()


def test_age_greys_the_hair():
    top = [image(age=g, hair_volume=1)[18:24, 55:73].mean() for g in (-1, 0.5, 2)]
    assert (np.diff(top) > 0).all()


def test_light_comes_from_its_side():
    lit = image(light_x=2, light_contrast=1)[60:80]
    assert lit[:, 76:84].mean() > lit[:, 44:52].mean() + 10


def test_glasses_are_a_clear_choice():
    values = faces.attributes(faces.latents(np.arange(4000)))["glasses"]
    assert 0.25 < (values > 0.5).mean() < 0.35
    assert ((values > 0.02) & (values < 0.98)).mean() < 0.1
    np.testing.assert_array_equal(image(glasses=0.4), image(glasses=-3))
    assert np.abs(image(glasses=0.7) - image(glasses=-3)).max() > 60


def test_attributes_keep_their_units():
    z = faces.latents(np.arange(3000))
    a = faces.attributes(z)
    assert list(a) == list(faces.ATTRIBUTES)
    assert 25 < np.abs(a["yaw"]).max() <= 36 and 15 <= a["age"].min() < 20
    order = np.argsort(z[:, NAMES.index("smile")])
    assert (np.diff(a["smile"][order]) >= 0).all()
    units = [v for name, v in a.items() if name not in ("yaw", "pitch", "roll", "age")]
    assert np.abs(units).max() <= 1


def test_mirror_is_exact():
    z = faces.latents(np.arange(40))
    mirrored, image = faces.render(faces.mirror(z)), faces.render(z)
    assert np.abs(mirrored[:, :, ::-1].astype(int) - image).max() <= 1  # rounding
    np.testing.assert_array_equal(faces.mirror(faces.mirror(z)), z)
    values = np.stack(list(faces.attributes(z).values()), 1)
    mirrored = np.stack(list(faces.attributes(faces.mirror(z)).values()), 1)
    np.testing.assert_allclose(faces.mirror_attributes(values), mirrored, atol=1e-6)
    np.testing.assert_array_equal(faces.identity(faces.mirror(z)), faces.identity(z))


def test_identity_is_shared_and_nothing_else():
    a = faces.draw([1, 2, 3], identities=[7, 7, 8])
    who = faces.identity(a["latent"])
    assert (who[0] == who[1]).all() and (who[0] != who[2]).all()
    alone = faces.draw([1, 2, 3])
    np.testing.assert_array_equal(a["attributes"], alone["attributes"])
    assert (a["identity"] == [7, 7, 8]).all() and (a["image"] != alone["image"]).any()
    seven = faces.latents([7])
    np.testing.assert_array_equal(faces.identity(seven)[0], who[0])


def test_accessories_are_extra_and_visible():
    plain = faces.draw(np.arange(150))
    worn = faces.draw(np.arange(150), accessories=True)
    np.testing.assert_array_equal(plain["latent"], worn["latent"])
    np.testing.assert_array_equal(plain["image"], faces.render(plain["latent"]))
    assert "accessories" not in plain
    change = np.abs(plain["image"].astype(int) - worn["image"]).max(-1) > 25
    assert change.mean((1, 2)).min() > 0.003 and change.mean() > 0.08
    assert len({name for names in worn["accessories"] for name in names}) == 5


def test_labels_are_json():
    drawn = faces.draw([5, 6], accessories=True)
    records = json.loads(json.dumps(faces.to_labels(drawn)))
    assert [r["index"] for r in records] == [5, 6]
    assert set(records[0]["attributes"]) == set(faces.ATTRIBUTES)
    assert len(records[0]["latent"]) == faces.LATENT_DIM and records[0]["accessories"]


@pytest.mark.parametrize("call", [
    lambda: faces.latents([-1]),
    lambda: faces.latents([0.5]),
    lambda: faces.latents([1, 2], identities=[1]),
    lambda: faces.render(np.zeros((2, 3), np.float32)),
    lambda: faces.draw([1], size=4),
])  # fmt: skip
def test_bad_input(call):
    with pytest.raises(ValueError, match="expected"):
        call()


def test_cartoons_are_the_same_faces_drawn_otherwise():
    portraits, cartoons = (faces.draw(np.arange(40), style=s) for s in faces.STYLES)
    for name in ("latent", "attributes", "identity"):
        np.testing.assert_array_equal(portraits[name], cartoons[name])
    assert (portraits["image"] != cartoons["image"]).mean() > 0.5
    single = [faces.draw([i], style="cartoon")["image"][0] for i in range(40)]
    np.testing.assert_array_equal(cartoons["image"], single)
    with pytest.raises(ValueError, match="expected one of portrait, cartoon"):
        faces.draw([0], style="oil")
