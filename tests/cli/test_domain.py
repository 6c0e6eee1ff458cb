"""The command line of `hyperstyle domain`."""

import argparse
import json

import numpy as np
import pytest

from hyperstyle_jax import images
from hyperstyle_jax.cli import domain, main
from hyperstyle_jax.evaluation import own_domain
from hyperstyle_jax.training import own_domain as chains
from hyperstyle_jax.weights import bundle


def test_times_are_read_with_their_units():
    assert [domain.duration(t) for t in ("90s", "30m", "1.5h")] == [90, 1800, 5400]
    for text in ("30", "m", "0m", "2 days"):
        with pytest.raises(argparse.ArgumentTypeError, match="expected a time as 90s"):
            domain.duration(text)


def test_what_cannot_work_leaves_nothing(tmp_path, capsys):
    """In one line, before a picture is looked at."""
    out = tmp_path / "bundle"
    command = ["domain", str(tmp_path / "none"), "--out", str(out)]
    for options, message in (
        (["--size", "48"], "size 48: expected one of"),
        (["--labels", str(tmp_path / "none.csv")], "none.csv: got nothing, expected"),
        (["--transfer", "nothing"], "nothing is not a bundle"),
    ):
        assert main.main([*command, *options]) == 1
        error = capsys.readouterr().err
        assert message in error and error.startswith("error: ")
        assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    assert main.main(command) == 1
    assert "step 1 of 8, pictures: " in capsys.readouterr().err


@pytest.mark.slow
def test_the_whole_chain_goes_on_and_then_trains_nothing(tmp_path, monkeypatch, capsys):
    """From pictures and a table to a bundle that inverts and has directions.

    The generator is not trained against a discriminator here, which would take minutes
    to compile.
    """
    rows = []
    for i in range(40):
        image = np.zeros((16, 16, 3), np.uint8)
        image[:, : 4 + i % 8], image[4:12, 4:12] = 40 + 5 * i, (250, 9 * (i % 20), 0)
        images.save_png(tmp_path / "in" / f"{i}.png", image)
        rows.append({"file": f"{i}.png", "width": i % 8, "kind": "ab"[i % 2]})
    (tmp_path / "in.jsonl").write_text("".join(f"{json.dumps(r)}\n" for r in rows))
    monkeypatch.setattr(chains.settings, "config", quick(chains.settings.config))
    monkeypatch.setattr(chains.timing, "seconds_per_step", lambda config: 1.0)
    monkeypatch.setattr(own_domain, "_LABELLED", 64)
    monkeypatch.setattr(own_domain, "_LATENTS", 256)
    out = tmp_path / "bundle"
    command = ["domain", str(tmp_path / "in"), "--out", str(out), "--size", "16"]
    command += ["--networks", "tiny", "--labels", str(tmp_path / "in.jsonl")]
    stop = Stop(chains.run.run)
    with monkeypatch.context() as patch:
        patch.setattr(chains.run, "run", stop)
        assert main.main([*command, "--budget", "30s"]) == 143
    assert "step 4 of 8, generator: step" in capsys.readouterr().err
    counted = Stop(chains.run.run, after=100)
    monkeypatch.setattr(chains.run, "run", counted)
    assert main.main([*command, "--budget", "30s"]) == 0
    assert counted.runs == ["generator", "encoder", "hyperstyle"]
    assert "hyperstyle invert PICTURES --model" in capsys.readouterr().out
    model = bundle.load(out)
    assert set(model.nets) == {"generator", "encoder", "hypernet", "feature_extractor"}
    assert {"pc1", "sefa1", "width"} <= set(model.directions)
    assert model.info["attributes"] == ["width", "kind=a", "kind=b"]
    report = tmp_path / "bundle_work/report"
    for name in ("samples.png", "inversions.png", "edits.png", "report.md"):
        assert (report / name).is_file()
    assert main.main([*command, "--budget", "30s"]) == 0
    assert counted.runs == ["generator", "encoder", "hyperstyle"]  # nothing more
    assert bundle.load(out).id == model.id


def quick(config):
    """The settings with a generator that compiles in a moment."""

    def changed(step, *args, **options):
        c = config(step, *args, **options)
        c.data.held_out = 4
        if step == "generator":
            c.loss.update(adversarial=0.0, path_length=0.0)
        if step == "hyperstyle":
            c.num_iters = 1
        return c

    return changed


class Stop:
    """`run.run`, of which the second call stops after a step, as by SIGTERM."""

    def __init__(self, run, after=1):
        self.run, self.after, self.runs = run, after, []

    def __call__(self, config, workdir):
        self.runs.append(workdir.name)
        if len(self.runs) <= self.after:
            return self.run(config, workdir)
        config = config.copy_and_resolve_references()
        config.num_steps = 1
        return self.run(config, workdir)
