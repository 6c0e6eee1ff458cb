"""The campaign sees what it is there to see, and keeps count of it."""

import importlib.util
import json
import math
import os
import subprocess
import sys

import pytest
from paths import ROOT

RELIABILITY = ROOT / "scripts" / "reliability"


@pytest.fixture(autouse=True)
def reliability(monkeypatch):
    """Its modules stand side by side, as they do for the script."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(RELIABILITY))
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", "").startswith(str(RELIABILITY)):
            del sys.modules[name]


def fill(out):
    out.mkdir(parents=True)
    (out / "summary.json").write_text('{"photos": 2, "seconds": 1.5}')
    lines = [json.dumps({"name": name, "seconds": 1}) for name in "ab"]
    (out / "metrics.jsonl").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    "change, kind",
    [
        (lambda out: (out / ".part-1-ab").touch(), "leftover"),
        (lambda out: (out.parent / ".0123.lock").touch(), "leftover"),
        (lambda out: (out / "a.png").write_bytes(b"\x89PNG"), "wrong"),
        (lambda out: (out / "a.npz").write_bytes(b"PK"), "wrong"),
        (lambda out: (out / "summary.json").write_text("{"), "wrong"),
        (
            lambda out: open(out / "metrics.jsonl", "a").write('{"name": "a"}'),
            "repeated",
        ),
    ],
)
def test_what_is_left_half_or_twice_is_a_fault(reliability, tmp_path, change, kind):
    faults, out = reliability("faults"), tmp_path / "out"
    fill(out)

    def seen():
        return {
            f.kind for f in faults.halves(out) + faults.left(out) + faults.twice(out)
        }

    assert seen() == set()
    change(out)
    assert seen() == {kind}


def test_finished_items_must_stay_and_all_must_be_there(reliability):
    faults = reliability("faults")
    whole = {"1": "", "2": "", "3": ""}
    after = {"1": "as before", "2": "made again"}
    before = {"1": "as before", "2": "once"}
    seen = faults.compared(before, after, whole)
    assert seen == [("lost", "3"), ("repeated", "2")]
    assert faults.differences({"a": "1"}, {"a": "2", "b": "3"}) == [
        ("wrong", "another result: a"),
        ("wrong", "another result: b"),
    ]


def test_results_are_compared_without_times(reliability, tmp_path):
    folders = reliability("folders")
    fill(tmp_path / "x" / "out")
    fill(tmp_path / "y" / "out")
    summary = tmp_path / "y" / "out" / "summary.json"
    summary.write_text('{"photos": 2, "seconds": 99}')
    x, y = (folders.digests(tmp_path / name / "out") for name in "xy")
    assert x == y and len(x) == 2
    summary.write_text('{"photos": 3, "seconds": 1.5}')
    assert x != folders.digests(tmp_path / "y" / "out")


@pytest.mark.parametrize(
    "code, said, good",
    [
        (1, "error: out: the disk is full\n", True),
        (0, "error: out: the disk is full\n", False),
        (1, "error: out: no\nerror: out: again\n", False),
        (1, "Traceback (most recent call last):\nerror: out: x\n", False),
        (1, "error: another file\n", False),
    ],
)
def test_refused_means_exit_code_1_and_one_line_that_says_what(
    reliability, code, said, good
):
    ended = reliability("forks").Ended(code, said, 1)
    assert (reliability("faults").refused(ended, "out") == []) == good


def test_counts_are_kept_and_go_on(reliability, tmp_path):
    records, fault = reliability("records"), reliability("faults").Fault
    kept = records.Records(tmp_path / "counts.json")
    kept.add("kill -9/invert", [])
    kept.add("kill -9/invert", [fault("lost", "photo 3")])
    kept = records.Records(tmp_path / "counts.json")
    assert kept.done("kill -9/invert") == 2 and kept.done("kill -9/train") == 0
    assert kept.faults() == 1
    assert "| kill -9 | invert | 2 | 1 | 0 | 0 | 0 |" in kept.markdown()
    assert "lost: photo 3" in kept.markdown()


def test_the_table_is_put_between_its_marks(reliability, tmp_path):
    records, page = reliability("records"), tmp_path / "page.md"
    page.write_text(f"before\n{records.BEGIN}\nold\n{records.END}\nafter\n")
    records.write_page(page, "new\n")
    text = page.read_text()
    assert text == f"before\n{records.BEGIN}\nnew\n{records.END}\nafter\n"
    page.write_text("no marks")
    with pytest.raises(ValueError, match="put both lines into it"):
        records.write_page(page, "new\n")
    assert page.read_text() == "no marks"


def test_memory_that_grows_has_a_slope(reliability):
    soaked = reliability("soak").Soaked
    minutes = [float(m) for m in range(10)]
    grows = soaked(minutes, [100 + 2 * m for m in minutes])
    assert math.isclose(grows.slope(), 120)
    settles = soaked(minutes, [100 + min(m, 4.0) for m in minutes])
    assert abs(settles.slope()) < 1e-9


def test_modules_that_are_imported_before_forks_exist(reliability):
    for name in reliability("forks")._WARM.split():
        assert importlib.util.find_spec(f"hyperstyle_jax.{name}"), name


@pytest.mark.slow
def test_a_killed_conversion_is_counted(tmp_path):
    command = [sys.executable, str(RELIABILITY / "campaign.py"), "--rounds", "1"]
    command += ["--only", "kill -9/convert", "--work", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| kill -9 | convert | 1 | 0 | 0 | 0 | 0 |" in done.stdout
