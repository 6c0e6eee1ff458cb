"""What `hyperstyle export` writes down about the runs of a bundle."""

import json

import pytest
from networks import tiny_generator

from hyperstyle_jax.system import atomic_files
from hyperstyle_jax.training import exporting
from hyperstyle_jax.weights import bundle


@pytest.fixture
def run(tmp_path):
    """A run's folder as far as the provenance looks at it."""
    folder = tmp_path / "mine"
    for step in ("100", "250", "tmp.orbax"):
        (folder / "checkpoints" / step).mkdir(parents=True)
    return folder


def write_config(run, **init):
    content = {"task": "hyperstyle", "init": {"lpips": "", **init}}
    (run / "config.json").write_text(json.dumps(content))


def test_a_run_is_named_with_what_it_started_from(run, tmp_path):
    made = bundle.save(tmp_path / "frozen", {"generator": tiny_generator()})
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text("{}")
    write_config(
        run, generator=str(tmp_path / "frozen"), encoder=str(other), hypernet="gone"
    )
    source = exporting._run(run, best=False)
    assert source["name"] == "mine" and source["kind"] == "run of hyperstyle"
    assert source["step"] == 250
    assert source["sha256"] == atomic_files.sha256(run / "config.json")
    assert source["started_from"] == {
        "generator": f"bundle frozen with the id {made}",
        "encoder": "run other, sha256 of its config.json "
        + atomic_files.sha256(other / "config.json"),
        "hypernet": "gone, which is not there any more",
    }
    assert exporting._run(run, best=True)["step"] == "best evaluation"


def test_metrics_are_those_of_the_last_evaluation(run):
    rows = [{"step": 1, "eval/l2": 0.5}, {"step": 2, "eval/l2": 0.25, "loss": 3.0}]
    lines = [json.dumps(row) for row in [*rows, {"step": 3, "loss": 2.0}]]
    (run / "metrics.jsonl").write_text("\n".join(lines))
    metrics = exporting._metrics(run)
    assert metrics == {"dataset": "the evaluation set of mine", "values": {"l2": 0.25}}


def test_a_run_without_evaluation_has_no_metrics(run):
    assert exporting._metrics(run)["values"] == {}
