import json
import subprocess

import jax.numpy as jnp
import pytest

from hyperstyle_jax import images
from hyperstyle_jax.benchmark import speed, speed_items
from hyperstyle_jax.cli.main import main
from hyperstyle_jax.system import huge_pages


@pytest.fixture
def tiny(monkeypatch):
    """Two items that take no time, and no process of their own."""

    def make():
        return lambda x: x @ x, (jnp.ones((64, 64)),)

    def renewed():
        return lambda x, y: (x + y, x), (jnp.zeros(3), jnp.ones(3))

    items = {
        "product": speed_items.Item(make, 4),
        "sum": speed_items.Item(renewed, 1, renews=True),
        "host": speed_items.Item(None, 10, lambda: lambda: sum(range(1000))),
    }
    monkeypatch.setattr(speed_items, "ITEMS", items)
    grown = {"batch": {1: items["product"], 2: items["product"]}}
    every = {**items, "batch_1": items["product"], "batch_2": items["product"]}
    monkeypatch.setattr(speed_items, "GROWTH", grown)
    monkeypatch.setattr(speed, "GROWTH", grown)
    monkeypatch.setattr(speed_items, "EVERY", every)
    monkeypatch.setattr(speed, "EVERY", every)
    monkeypatch.setattr(speed_items, "GROUPS", {"growth": ["batch_1", "batch_2"]})
    monkeypatch.setattr(speed, "_SECONDS", 0.0)
    monkeypatch.setattr(speed, "_yardstick", lambda: 0.5)
    limits = {"matmul_gflops": 2.0, "copy_gb_s": 3.0}
    monkeypatch.setattr(speed, "_limits", lambda dtype: limits)
    monkeypatch.setattr(speed, "_in_process", lambda name, cache: speed._work(name))


def test_an_item_is_timed(tiny):
    figures = speed.measure("product")
    assert figures["runs"] >= 5 and figures["min_s"] <= figures["median_s"]
    assert figures["images_per_s"] == pytest.approx(4 / figures["median_s"])
    assert figures["gflop"] == 2 * 64**3 / 1e9
    assert figures["peak_gib"] > 0.01 and figures["compile_s"] > 0
    assert "gflop" not in speed.measure("host")


def test_the_result_can_be_the_next_argument():
    args = [jnp.zeros(()), jnp.ones(())]
    call = speed._caller(lambda x, y: (x + y, x), args, True)
    assert [float(call()[0]) for _ in range(3)] == [1, 2, 3]


def test_ratios_are_in_units_of_the_yardstick():
    old = {"items": {"a": {"median_s": 6.0, "yardstick_s": 1.0}, "b": {"error": "x"}}}
    new = {"items": {"a": {"median_s": 4.0, "yardstick_s": 2.0}, "c": {}, "b": {}}}
    assert list(speed.ratios(old, new)) == [("a", 3.0)]


def test_the_command_prints_a_table_and_compares(tiny, tmp_path, capsys):
    file = tmp_path / "speed.json"
    assert main(["speed", "--json", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["product", "sum", "host"]
    saved = json.loads(file.read_text())
    assert saved["yardstick_s"] == 0.5 and set(saved["items"]) == {
        "product",
        "sum",
        "host",
    }
    assert saved["items"]["product"]["compile_warm_s"] > 0
    assert main(["speed", "--only", "host", "--compare", str(file)]) == 0
    assert "times as fast" in capsys.readouterr().out


def test_growth_is_a_group_and_an_image(tiny, tmp_path, capsys):
    image = tmp_path / "growth.png"
    assert main(["speed", "--only", "growth", "--plot", str(image)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["batch_1", "batch_2"]
    assert images.read(image).std() > 0


def test_growth_leaves_out_what_was_not_timed(tiny):
    items = {"batch_1": {"median_s": 2.0}, "batch_2": {"error": "x"}, "sum": {}}
    assert speed.growth(items) == {"batch": {1: 2.0}}
    assert speed.growth({}) == {}


def test_every_group_names_items():
    groups = [name for names in speed_items.GROUPS.values() for name in names]
    assert set(groups) <= speed_items.EVERY.keys() >= speed_items.ITEMS.keys()


def test_the_yardstick_runs_without_large_pages(monkeypatch):
    seen = []

    def run(command, env, **_):
        seen.append(huge_pages.VARIABLE in env)
        return subprocess.CompletedProcess(command, 0, "{}", "")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setenv(huge_pages.VARIABLE, huge_pages.SETTING)  # ours
    list(speed.run(["generator_64"]))
    assert seen == [False, True]


def test_an_item_may_have_several_devices(monkeypatch):
    seen = []

    def run(command, env, **_):
        seen.append(env["XLA_FLAGS"])
        return subprocess.CompletedProcess(command, 1, "", "stopped")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setenv("XLA_FLAGS", "--first")
    speed._in_process("devices_4", "cache")
    assert seen == ["--first --xla_force_host_platform_device_count=4"]


def test_an_item_that_fails_does_not_stop_the_others(tiny, capsys, monkeypatch):
    def broken(name, cache):
        return {"error": "no memory"} if name == "sum" else speed._work(name)

    monkeypatch.setattr(speed, "_in_process", broken)
    assert main(["speed"]) == 1
    out = capsys.readouterr().out
    assert "failed: no memory" in out and "host" in out


def test_where_all_items_fail_each_is_named(tiny, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(speed, "_in_process", lambda *_: {"error": "no memory"})
    more = ["--json", str(tmp_path / "a.json"), "--plot", str(tmp_path / "a.png")]
    assert main(["speed", *more]) == 1
    out = capsys.readouterr().out
    assert out.count("failed: no memory") == 3 and "yardstick" not in out
    assert json.loads((tmp_path / "a.json").read_text())["device"] is None


@pytest.mark.parametrize("said", ["", "no figures\n", "[1]\n"])
def test_a_process_that_says_nothing_useful_is_reported(monkeypatch, said):
    done = subprocess.CompletedProcess([], 0, said, "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    assert "no figures" in speed._in_process("generator_64", "cache")["error"]


def test_a_process_that_dies_is_reported(monkeypatch, tmp_path):
    nothing = speed_items.Item(None, 1)
    monkeypatch.setitem(speed_items.EVERY, "nothing", nothing)
    figures = speed._in_process("nothing", str(tmp_path))
    assert "KeyError" in figures["error"]


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (
            ["--only", "generator_65"],
            "no such item; there are growth, gpu, ",
        ),
        (["--compare", "no_file.json"], "no_file.json"),
    ],
)
def test_wrong_arguments_are_refused(argv, reason, capsys):
    assert main(["speed", *argv]) == 1
    assert reason in capsys.readouterr().err
