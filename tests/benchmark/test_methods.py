"""The benchmark of methods, on tiny networks and methods that cost nothing."""

import csv
import json
import signal
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from command import error_of
from evaluated_bundles import save
from networks import tiny_nets
from scipy import linalg

from hyperstyle_jax import images
from hyperstyle_jax.benchmark.methods import (
    cost,
    editability,
    equal_change,
    inverting,
    tables,
)
from hyperstyle_jax.benchmark.methods import run as benchmark
from hyperstyle_jax.benchmark.methods.plan import Meter, Plan, write_targets
from hyperstyle_jax.cli.main import main
from hyperstyle_jax.evaluation.networks import Measuring
from hyperstyle_jax.inversion import methods
from hyperstyle_jax.inversion.methods import Inverted, Method
from hyperstyle_jax.offsets import latent_only
from hyperstyle_jax.system import program
from hyperstyle_jax.weights import bundle

SIZE, COUNT = 16, 3
PARTS = ("quality", "edits")


class Counting:
    """A method that makes latents of the mean colours, and counts its calls."""

    def __init__(self, refuses=None):
        self.calls = 0
        self.refuses = refuses or (lambda x, calls: None)

    def __call__(self, model, x, scale):
        self.calls += 1
        self.refuses(x, self.calls)
        (generator,) = model.require("generator")
        colours = jnp.tile(x.mean((1, 2)), (1, 2))
        inversion = latent_only(scale * colours, generator.module.num_ws)
        return Inverted(inversion, jnp.zeros((1, *x.shape)))  # nobody looks at them


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setenv("HYPERSTYLE_CACHE", "off")
    monkeypatch.setattr(equal_change, "_RESAMPLES", 20)
    monkeypatch.setattr(editability, "_SHARES", (1.0,))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rows = np.eye(6, dtype=np.float32)
    path = tmp_path_factory.mktemp("model") / "tiny"
    return save(path, tiny_nets(SIZE), smile=rows[0], yaw=rows[1])


@pytest.fixture(scope="module")
def model(folder):
    return bundle.load(folder)


@pytest.fixture
def use(monkeypatch):
    """Registers methods by name."""

    def register(**runs):
        for name, run in runs.items():
            entry = Method(name.title(), ("generator",), {"scale": 3.0}, run)
            monkeypatch.setitem(methods.METHODS, name, entry)

    return register


def plan(model, out, *names, **changes) -> Plan:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (COUNT, SIZE, SIZE, 3), np.uint8)
    nets = {
        "feature_extractor": Measuring(model.nets["feature_extractor"], "m", (16, 16))
    }
    made = Plan(
        "tiny", model, out, {name: {} for name in names},
        {f"photo{i}": image for i, image in enumerate(x)}, nets,
        Meter(nets["feature_extractor"], ("yaw", "smile", "age")), ("smile",),
        batch_size=2, parts=PARTS,
    )  # fmt: skip
    return made._replace(**changes)


def files(out: Path) -> dict[str, bytes]:
    """All files but for the key of the clock."""
    found = {str(f.relative_to(out)): f for f in out.rglob("*") if f.is_file()}
    return {k: f.read_bytes() for k, f in found.items() if k != "benchmark.json"}


def refuse_bright(x, calls):
    """Fails on every batch with photo2, whichever images are beside it."""
    if np.isclose(np.asarray(x).mean((1, 2, 3)), refuse_bright.mean).any():
        raise ValueError("too bright")


def test_every_image_counts_once_and_equal_inversions_give_equal_rows(
    model, tmp_path, use
):
    some = Counting(refuse_bright)
    use(one=Counting(), some=some)
    work = plan(model, tmp_path / "out", "one", "one@again", "some")
    refuse_bright.mean = images.to_float(work.x["photo2"]).mean()
    summary = benchmark.run(work)
    one, other, less = summary["methods"].values()
    assert {k: v for k, v in one.items() if k != "title"} == {
        k: v for k, v in other.items() if k != "title"
    }
    with open(work.out / "images.csv") as file:
        rows = list(csv.DictReader(file))
    pairs = [(row["method"], row["image"]) for row in rows]
    assert sorted(pairs) == sorted((m, n) for m in work.methods for n in work.names)
    l2 = [float(row["l2"]) for row in rows if row["method"] == "some"]
    assert less["measures"]["l2"]["mean"] == pytest.approx(np.mean(l2), rel=1e-6)
    # A failure counts with the mean image; all others are as with the other methods.
    assert less["failed"] == {"photo2": "too bright"}
    mean = images.to_float(inverting.picture(work, inverting.mean(work)))
    target = images.to_float(work.x["photo2"])
    assert l2[2] == pytest.approx(np.square(mean - target).mean(), rel=1e-4)
    l2_one = [float(row["l2"]) for row in rows if row["method"] == "one"]
    assert [a == b for a, b in zip(l2, l2_one, strict=True)] == [1, 1, 0]
    assert benchmark.has_failed(summary)
    names = {"benchmark.md", "report.html", "methods.png", "edit_curves_identity.png"}
    assert names <= {f.name for f in work.out.iterdir()}
    assert "1 of 3 images, which count" in (work.out / "benchmark.md").read_text()
    check_frechet(work, one)


def check_frechet(work, one):
    """The distance without a root of a matrix: by the eigenvalues of the product."""
    net = work.nets["feature_extractor"].net
    shown = [images.read(work.file("one", f"{n}.png")) for n in work.names]
    y, x = (
        np.asarray(net(images.to_float(np.stack(a)), method="pooled"), np.float64)
        for a in (shown, list(work.x.values()))
    )
    values = linalg.eigvals(np.cov(y.T) @ np.cov(x.T)).real
    wanted = np.square(y.mean(0) - x.mean(0)).sum()
    wanted += np.trace(np.cov(y.T) + np.cov(x.T))
    wanted -= 2 * np.sqrt(np.maximum(values, 0)).sum()
    distance = one["frechet"]["feature_extractor"]["distance"]
    assert distance == pytest.approx(wanted, rel=1e-3, abs=1e-6)


def test_a_stopped_run_ends_like_another_and_repeats_nothing(model, tmp_path, use):
    def stop(x, calls):
        if calls == 2:
            raise KeyboardInterrupt

    first, second = Counting(), Counting(stop)
    use(first=first, second=second)
    stopped = plan(model, tmp_path / "stopped", "first", "second")
    with pytest.raises(KeyboardInterrupt, match="5 of 6 inversions are there"):
        benchmark.run(stopped)
    before = {f: f.stat() for f in stopped.out.rglob("*.npz")}
    assert len(before) == COUNT + 2
    summary = benchmark.run(stopped)
    assert first.calls == 2 and second.calls == 3  # one of them was stopped
    for file, stat in before.items():
        after = file.stat()
        assert (after.st_ino, after.st_mtime_ns) == (stat.st_ino, stat.st_mtime_ns)
    whole = stopped._replace(out=tmp_path / "whole")
    assert benchmark.run(whole) == summary
    assert files(stopped.out) == files(whole.out)
    # What is measured may change without another inversion; nothing changes by itself.
    calls = first.calls
    benchmark.run(stopped._replace(directions=("smile", "yaw")))
    again = benchmark.run(stopped._replace(methods={"first": {}, "second": {}}))
    assert again == summary and first.calls == calls
    benchmark.run(stopped._replace(methods={"first": {"scale": 2.0}}))
    assert first.calls == calls + 2


@pytest.fixture
def loaded(model, monkeypatch):
    """What commands load; it takes long."""
    monkeypatch.setattr(bundle, "load", lambda path: model)
    return "tiny"


def test_a_method_that_fails_does_not_stop_the_others(loaded, tmp_path, use, capsys):
    def broken(x, calls):
        raise RuntimeError("no such kernel")

    use(broken=Counting(broken), good=Counting())
    out = tmp_path / "out"
    argv = ["benchmark", "--model", loaded, "--count", "3", "--batch-size", "2"]
    argv += ["--methods", "broken", "good", "--out", str(out), "--parts", "quality"]
    assert main([*argv, "--set", "good.scale=2.5"]) == 1
    said = capsys.readouterr().out
    assert "FAILED: Broken: RuntimeError: no such kernel" in said
    assert "IT TRAINED METHODS OF THIS TABLE" in said
    found = json.loads((out / "benchmark.json").read_text())["methods"]
    assert found["broken"]["error"] == "RuntimeError: no such kernel"
    assert list(found["broken"]["failed"]) == [f"face_{1000000 + i}" for i in range(3)]
    assert found["good"]["settings"] == {"scale": 2.5} and not found["good"]["failed"]
    assert methods.METHODS["broken"].run.calls == 3  # the batch, and each alone


def test_a_stop_that_came_as_another_error_still_stops(model, tmp_path, use):
    """JAX's C++ code makes such errors of the exception of a signal."""

    def turned(x, calls):
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise RuntimeError("in C++") from None

    use(turned=Counting(turned))
    work = plan(model, tmp_path / "out", "turned")
    assert program.run(lambda: benchmark.run(work)) == 143


def test_bad_words_are_refused_before_any_work(loaded, tmp_path, use, capsys):
    use(good=Counting())
    cases = {
        ("--methods", "pty"): "pty",
        ("--methods", "good@../x"): "expected NAME or NAME@LABEL",
        ("--methods", "good", "--set", "good.steps=3"): "no setting",
        ("--methods", "good", "--set", "scale=3"): "expected METHOD.NAME=VALUE",
        ("--methods", "good", "--set", "bad.scale=3"): "bad is not one of good",
        ("--methods", "good", "--directions", "pose"): "no edit direction 'pose'",
        ("--data", "nowhere"): "got nothing",
        ("--first-index", "3"): "are trained on",
    }
    for argv, reason in cases.items():
        out = ["--model", loaded, "--out", str(tmp_path / "out"), "--count", "1"]
        assert main(["benchmark", *out, *argv]) == 1
        assert reason in error_of(capsys), argv
    assert not (tmp_path / "out").exists()


def test_photos_and_another_network_measure(folder, tmp_path, use, capsys):
    use(good=Counting())
    other = save(tmp_path / "other", tiny_nets(SIZE, seed=7))
    rng = np.random.default_rng(1)
    for i in range(3):
        photo = rng.integers(0, 256, (20, 24, 3), np.uint8)
        images.save_png(tmp_path / "photos" / f"{i}.png", photo)
    (tmp_path / "photos" / "bad.png").write_bytes(b"no image")
    argv = ["benchmark", "--model", str(folder), "--data", str(tmp_path / "photos")]
    argv += ["--methods", "good", "--out", str(tmp_path / "out"), "--parts", "quality"]
    assert main([*argv, "--eval-network", str(other)]) == 1
    said = capsys.readouterr()
    assert "bad.png" in said.err and "which trained no method" in said.out
    found = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    measures = found["methods"]["good"]["measures"]
    assert found["images"] == 3 and measures["l2"]["images"] == 3
    assert measures["identity"]["mean"] != measures["independent_identity"]["mean"]


def line(slope: float, noise: float = 0.0, count: int = 100) -> dict:
    """Images whose attribute grows with the strength, and identity falls with it."""
    rng, strengths = np.random.default_rng(0), [-2.0, -1.0, 0.0, 1.0, 2.0]
    change = slope * np.tile(strengths, (count, 1))
    identity = 0.9 - 0.3 * np.abs(change) + noise * rng.normal(size=(count, 1))
    return {"strengths": strengths, "change": change, "identity": identity}


def test_methods_are_compared_at_equal_change_and_not_at_equal_strength():
    weak, strong = line(0.4), line(1.5)
    change = equal_change.common([weak, strong, line(0.01)])  # the last is left aside
    assert change == pytest.approx(0.8)
    for curve in (weak, strong):
        value = equal_change.at(curve, curve["identity"], change)
        assert value == pytest.approx(0.9 - 0.3 * 0.8)
    assert equal_change.at(weak, weak["identity"], 0.81) is None
    assert equal_change.common([line(0.01)]) is None
    nothing_at_zero = [3.0, 2.0, None, 2.0, 3.0]
    assert equal_change.at(strong, nothing_at_zero, 0.8) == 2.0


def test_the_interval_is_that_of_the_normal_approximation(monkeypatch):
    monkeypatch.setattr(equal_change, "_RESAMPLES", 999)
    curve = line(1.0, noise=0.1)
    low, high = equal_change.interval([(curve, curve["identity"], 1.0)] * 2)
    values = curve["identity"][:, 1]
    half = 1.96 * values.std(ddof=1) / 10
    wanted = [values.mean() - half, values.mean() + half]
    np.testing.assert_allclose([low, high], wanted, atol=0.15 * half)


def test_what_changes_in_the_face_leaves_the_background_as_it_is(model):
    nets = {r: model.nets["feature_extractor"] for r in ("feature_extractor", "meter")}
    sizes = tuple((role, (SIZE, SIZE)) for role in nets)
    x = np.random.default_rng(0).uniform(-1, 1, (SIZE, SIZE, 3)).astype(np.float32)
    inside = editability.face_region((SIZE, SIZE))
    assert inside[8, 8] and not inside[[0, 0, -1, -1], [0, -1, 0, -1]].any()
    assert 0.4 < inside.mean() < 0.75
    y = np.stack([np.where(region[..., None], -x, x) for region in (inside, ~inside)])
    background = editability._compare(nets, x, y, sizes)["background"]
    assert background[0] == pytest.approx(0, abs=1e-6) and background[1] > 1e-3


def test_costs_are_of_compiled_calls(model, use, monkeypatch):
    monkeypatch.setattr(cost, "_SECONDS", 0.0)
    good = Counting()
    use(good=good)
    found = cost.figures(model, np.zeros((4, SIZE, SIZE, 3), np.float32), "good", {})
    assert found["first_seconds"] > found["seconds"] > 0
    assert found["best_batch_seconds"] == min(found["batches"].values())
    assert found["batches"][found["best_batch"]] <= found["seconds"]
    assert found["peak_memory_gib"] > 0.01 and good.calls >= 12


def test_published_figures_have_a_column_of_their_own(model, tmp_path):
    one = {"title": "HyperStyle", "failed": {}}
    summary = {"identity": None, "lpips": "lpips", "methods": {"hyperstyle": one}}
    table = tables._paper(summary)
    assert table.columns[-1].startswith("published (other images")
    assert table.rows[0][1:-1] == [""] * 5
    assert table.rows[0][-1] == "0.76 · 0.84 · 0.09 · 0.019 · 1.234 s"


@pytest.mark.slow
def test_costs_are_measured_in_processes_of_their_own(folder, model, tmp_path):
    work = plan(model, tmp_path / "out", "w-encoder", source=str(folder))
    write_targets(work)
    found = cost.measure(work, "w-encoder")
    assert found["compile_seconds"] > found["seconds"] > 0
    assert found["best_batch"] in (1, 2) and found["peak_memory_gib"] > 0.05
    assert cost.measure(work, "w-encoder") == found  # kept
    broken = work._replace(source=str(tmp_path / "nothing"), out=tmp_path / "broken")
    write_targets(broken)
    assert "is not a bundle" in cost.measure(broken, "w-encoder")["error"]
