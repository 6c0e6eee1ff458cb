"""Measures against plain sums, the tables' arithmetic, and the command around them."""

import json

import numpy as np
import pytest
from networks import tiny_nets

from hyperstyle_jax import faces, images
from hyperstyle_jax.cli.main import main
from hyperstyle_jax.evaluation import edits, held_out_faces
from hyperstyle_jax.inversion import pipeline
from hyperstyle_jax.weights import bundle

SIZE, T = 16, 2


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("HYPERSTYLE_CACHE", "off")


def save(path, nets, **directions):
    info = {"num_iters": T, "attributes": ["yaw", "smile", "age"]}
    bundle.save(path, nets, info=info, directions=directions)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rows = np.eye(6, dtype=np.float32)
    path = tmp_path_factory.mktemp("model") / "tiny"
    return save(path, tiny_nets(), smile=rows[0], yaw=rows[1])


@pytest.fixture(scope="module")
def model(folder):
    return bundle.load(folder)


@pytest.fixture(scope="module")
def results(model):
    """Five faces, two at a time."""
    return held_out_faces.run({"tiny": model}, count=5, batch_size=2, shown=3)


# --- measuring


def test_every_face_is_measured_once_and_in_its_place(model, results):
    for domain, worn in held_out_faces.DOMAINS.items():
        x = held_out_faces.held_out(5, 1_000_000, SIZE, worn)
        pairs = [pipeline.refine(model, x[i : i + 2], T).images for i in (0, 2, 3)]
        steps = np.concatenate([*pairs[:2], pairs[2][:, 1:]], axis=1)
        found = results[domain]["tiny"]
        l2 = ((steps - x) ** 2).mean((2, 3, 4))
        np.testing.assert_allclose(found.measures["l2"], l2, rtol=1e-4)
        np.testing.assert_allclose(found.steps, steps[:, :3], atol=1e-4)
        np.testing.assert_array_equal(found.target, x[:3])
        assert found.measures["identity"].shape == (T + 1, 5)
        assert min(found.seconds) > 0


def test_without_iterations_only_the_initial_inversion_is_left(model, results):
    found = held_out_faces.run(
        {"a": model}, count=2, num_iters=0, domains=["in-domain"]
    )
    measures = found["in-domain"]["a"].measures
    expected = results["in-domain"]["tiny"].measures
    for name, values in measures.items():
        np.testing.assert_allclose(values, expected[name][:1, :2], rtol=1e-4)
    (_, row) = held_out_faces.report(found, {"a": model})["domains"]["in-domain"][
        "rows"
    ]
    assert row["l2_ratio"] == 1 and row["regained"] == 0


def test_held_out_faces_are_never_trained_on():
    plain, worn = (
        held_out_faces.held_out(2, 1_000_003, SIZE, w) for w in (False, True)
    )
    drawn = faces.draw([1_000_003, 1_000_004], size=SIZE)["image"]
    np.testing.assert_array_equal(images.to_uint8(plain), drawn)
    assert (plain != worn).any()
    with pytest.raises(ValueError, match="below 1,000,000 are trained on"):
        held_out_faces.held_out(1, 999_999, SIZE, False)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """Another feature extractor (and the generator whose size it has)."""
    nets = {
        k: v
        for k, v in tiny_nets(seed=7).items()
        if k in ("feature_extractor", "generator")
    }
    return save(tmp_path_factory.mktemp("stranger") / "eval_network", nets)


def test_another_eval_network_measures_and_the_images_stay(model, results, stranger):
    eval_network = bundle.load(stranger)
    domains = ["in-domain"]
    found = held_out_faces.run(
        {"a": model}, count=2, domains=domains, eval_network=eval_network
    )
    found, own = found["in-domain"]["a"], results["in-domain"]["tiny"]
    np.testing.assert_allclose(found.steps, own.steps[:, :2], atol=1e-4)
    expected = pipeline.measure(eval_network, found.target, found.steps)
    for name, values in expected.items():
        np.testing.assert_allclose(found.measures[name], values, rtol=1e-3, atol=1e-5)
    assert not np.allclose(found.measures["identity"], own.measures["identity"][:, :2])


def test_models_that_cannot_be_compared_are_refused(model):
    no_encoder = model._replace(nets={"generator": model.nets["generator"]})
    with pytest.raises(ValueError, match="half cannot invert: .*no encoder"):
        held_out_faces.run({"half": no_encoder})
    larger = model._replace(info=model.info | {"image_size": 32})
    with pytest.raises(ValueError, match=r"32x32 \(large\): expected squares of one"):
        held_out_faces.run({"tiny": model, "large": larger})
    with pytest.raises(
        ValueError, match=r"32x32 \(the evaluation network\): expected squares of one"
    ):
        held_out_faces.run({"tiny": model}, eval_network=larger)
    with pytest.raises(ValueError, match="expected 1 or more"):
        held_out_faces.run({"tiny": model}, count=0)


# --- tables


def inverted(l2, identity, seconds=(0.1, 0.5)):
    measures = {"l2": np.array(l2), "identity": np.array(identity)}
    blank = np.zeros((1, SIZE, SIZE, 3), np.float32)
    return held_out_faces.Inverted(
        measures, blank, np.stack([blank] * len(l2)), seconds
    )


def test_ratios_and_the_share_regained(model):
    good = inverted(
        [[0.1, 0.3], [0.05, 0.11], [0.04, 0.06]], [[0.2, 0.6]] * 2 + [[0.8, 0.9]]
    )
    weak = inverted([[0.1, 0.3], [0.1, 0.2]], [[0.2, 0.6], [0.3, 0.6]])
    results = {"in-domain": {"good": good, "weak": weak}}
    found = held_out_faces.report(results, {"good": model, "weak": model})
    first, a, b = found["domains"]["in-domain"]["rows"]
    assert first["method"] == held_out_faces.FIRST and first["l2"] == pytest.approx(0.2)
    assert (a["method"], b["method"]) == ("good, T = 2", "weak, T = 1")
    assert a["l2_ratio"] == 0.25 and b["l2_ratio"] == 0.75
    assert a["regained"] == 0.75  # from 0.4 to 0.85
    assert a["seconds"] == 0.5 and first["seconds"] == 0.1 and found["faces"] == 2
    assert found["domains"]["in-domain"]["iterations"]["good"]["l2"] == [
        0.2,
        0.08,
        0.05,
    ]
    text = held_out_faces.markdown(found)
    assert "| good, T = 2 | 0.0500 | 0.25 | 0.850 | 75% | 0.5000 |" in text
    assert "LPIPS" not in text


def test_each_model_is_compared_with_its_own_initial_inversion(model):
    results = {"in-domain": {
        "a": inverted([[0.2], [0.1]], [[0.5], [0.6]]),
        "b": inverted([[0.4], [0.1]], [[0.5], [0.6]]),
    }}  # fmt: skip
    found = held_out_faces.report(results, {"a": model, "b": model})
    rows = found["domains"]["in-domain"]["rows"]
    methods = [row["method"] for row in rows]
    first = [f"{held_out_faces.FIRST} of {name}" for name in "ab"]
    assert methods == [first[0], "a, T = 1", first[1], "b, T = 1"]
    assert rows[3]["l2_ratio"] == 0.25


def test_without_a_feature_extractor_there_is_l2_alone(model):
    nets = {k: v for k, v in model.nets.items() if k != "feature_extractor"}
    blind = {"blind": model._replace(nets=nets)}
    results = held_out_faces.run(blind, count=2, domains=["accessories"])
    found = held_out_faces.report(results, blind)
    assert list(results["accessories"]["blind"].measures) == ["l2"]
    assert "identity |" not in held_out_faces.markdown(found)


# --- edits


LAWS = {
    "one over the steps": lambda n: 1 / n,
    "slow": lambda n: 0.02 * n**-0.3,
    "with a floor": lambda n: 0.004 + 0.05 / n,
    "fast": lambda n: 0.02 * np.exp(-n / 50),
}


@pytest.mark.parametrize("target", [0.3, 0.02, 0.0079])
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_the_search_is_as_close_as_asked_and_hardly_closer(law, target):
    tried = []

    def search(steps):
        tried.append(steps)
        return f"{steps}", law(steps)

    steps, result = edits.match(search, target)
    assert result == f"{steps}" and law(steps) <= target
    assert steps == 1 or law(steps - 1) > target or law(steps) >= 0.95 * target
    assert len(tried) == len(set(tried)) < 10
    assert sum(tried) < 4 * steps + 80


def test_a_search_that_never_gets_there_is_the_longest():
    assert edits.match(lambda n: (n, 1.0), 0.5, limit=70) == (70, 70)


@pytest.fixture
def short_search(monkeypatch):
    def match(search, target):
        return 2, search(2)[0]

    monkeypatch.setattr(edits, "match", match)


def test_an_edit_of_strength_zero_changes_nothing(model, short_search):
    x = held_out_faces.held_out(2, 1_000_000, SIZE, False)
    rows, images = edits.compare(model, x, directions=["yaw"], strength=0.0)
    assert [row["method"] for row in rows] == ["HyperStyle, T = 2", "W+, 2 steps"]
    for row in rows:
        assert row["identity"] == pytest.approx(row["unedited"], abs=1e-5)
        assert row["change"] == pytest.approx(0, abs=1e-4)
    expected = pipeline.measure(model, x, pipeline.invert(model, x).image[None])
    assert rows[0]["l2"] == pytest.approx(expected["l2"].mean(), rel=1e-3)
    assert rows[0]["unedited"] == pytest.approx(expected["identity"].mean(), abs=0.05)
    assert images["yaw"].shape[1] > 7 * 96


def test_another_eval_network_reads_edits_and_the_search_stays(
    model, stranger, short_search
):
    x = held_out_faces.held_out(2, 1_000_000, SIZE, False)
    eval_network = bundle.load(stranger)
    own = edits.compare(model, x, directions=["yaw"])
    found = edits.compare(model, x, directions=["yaw"], eval_network=eval_network)
    np.testing.assert_array_equal(found.images["yaw"], own.images["yaw"])
    for row, its in zip(own.rows, found.rows, strict=True):
        assert row["l2"] == its["l2"] and row["identity"] != its["identity"]


def test_an_edit_needs_its_attribute(model):
    blind = model._replace(info=model.info | {"attributes": ["age"]})
    with pytest.raises(ValueError, match=r"reads \['age'\], not 'smile'"):
        edits.compare(blind, np.zeros((1, SIZE, SIZE, 3), np.float32))


# --- the command


def test_the_command_leaves_tables_curves_and_images(
    folder, tmp_path, capsys, short_search
):
    argv = ["evaluate", str(folder), "--count", "2", "--edits", "--out", str(tmp_path)]
    assert main(argv) == 0
    said = capsys.readouterr().out
    domains, measures = held_out_faces.DOMAINS, ("l2", "lpips", "identity")
    names = {f"iterations_{d}_{m}.png" for d in domains for m in measures}
    names |= {f"grid_{d}_tiny.png" for d in domains}
    names |= {"metrics.md", "metrics.json", "edits.md", "edits.json"}
    names |= {"edits_smile.png", "edits_yaw.png"}
    assert {file.name for file in tmp_path.iterdir()} == names
    assert (tmp_path / "metrics.md").read_text() in said
    assert (tmp_path / "edits.md").read_text() in said
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found["faces"] == 2 and found["models"] == {"tiny": bundle.load(folder).id}
    assert len(found["domains"]["accessories"]["iterations"]["tiny"]["lpips"]) == T + 1
    height, width, _ = images.read(tmp_path / "grid_in-domain_tiny.png").shape
    assert height > 2 * 96 and width > (T + 3) * 96


def test_one_domain_may_be_chosen(folder, capsys):
    argv = ["evaluate", str(folder), "--accessories", "--count", "2"]
    assert main([*argv, "--num-iters", "0"]) == 0
    said = capsys.readouterr().out
    assert "faces, accessories" in said and "in-domain" not in said
    assert "tiny, T = 0" in said


def test_wrong_input_is_one_line(folder, tmp_path, capsys):
    plain = save(tmp_path / "plain", tiny_nets())
    blind = save(tmp_path / "blind", {"generator": tiny_nets()["generator"]})
    cases = {
        (str(tmp_path / "none"),): "is not a bundle",
        (str(folder), "--first-index", "5"): "are trained on",
        (str(folder), "--num-iters", "-1"): "expected a number from 0",
        (str(plain), "--edits"): "hyperstyle directions",
        (str(folder), "--eval-network", str(blind)): "has no feature_extractor",
    }
    for argv, reason in cases.items():
        assert main(["evaluate", *argv, "--count", "2"]) == 1
        text = capsys.readouterr().err
        assert reason in text and "Traceback" not in text
