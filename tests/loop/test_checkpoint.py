"""Checkpoints: exact, the newest few, one step back when damaged, full disks."""

import errno
import hashlib
import itertools
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hyperstyle_jax.loop import checkpoint, parallel
from hyperstyle_jax.system import atomic_files, errors, program


def state(step):
    values = jnp.arange(4.0) * step
    return {
        "params": {"layer": {"w": values, "b": jnp.asarray(values, jnp.bfloat16)}},
        "opt": (jnp.int32(step), {}),
        "key": jax.random.key(step),
    }


def like(devices=1):
    return parallel.abstract(state(0), jax.local_devices()[:devices])


@pytest.fixture
def workdir(tmp_path):
    with checkpoint.Saver(tmp_path, keep=3) as saver:
        for step in (3, 5, 8, 13):
            saver.save(step, state(step), {"data": {"next_index": step}, "mean": 0.1})
    return tmp_path


def damage(workdir, step):
    for path in (workdir / "checkpoints" / str(step) / "state").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:7])


def assert_same(a, b):
    data = jax.random.key_data
    assert jax.tree.structure(a) == jax.tree.structure(b)
    np.testing.assert_array_equal(data(a["key"]), data(b["key"]))
    rest = [{k: v for k, v in x.items() if k != "key"} for x in (a, b)]
    jax.tree.map(np.testing.assert_array_equal, *rest)


def test_keeps_the_newest_and_restores_them_exactly(workdir):
    assert checkpoint.steps(workdir) == [5, 8, 13]
    step, restored, progress = checkpoint.restore(workdir, like())
    assert (step, progress) == (13, {"data": {"next_index": 13}, "mean": 0.1})
    assert_same(restored, state(13))


def test_restores_onto_other_devices(workdir):
    _, restored, _ = checkpoint.restore(workdir, like(devices=4))
    assert_same(restored, state(13))
    assert len(restored["params"]["layer"]["w"].sharding.device_set) == 4


def test_nothing_to_restore(tmp_path):
    assert checkpoint.steps(tmp_path / "nowhere") == []
    assert checkpoint.restore(tmp_path, like()) is None


def files(workdir, step):
    folder = workdir / "checkpoints" / str(step)
    paths = [p for p in folder.rglob("*") if p.is_file() and p.name != "sha256sums"]
    return sorted(str(p.relative_to(folder)) for p in paths)


def flip(path):
    """Changes the bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink])
def test_no_damage_to_any_file_goes_unnoticed(workdir, capsys, damage):
    whole = workdir / "whole"
    shutil.copytree(workdir / "checkpoints" / "13", whole)
    names = files(workdir, 13)
    assert len(names) > 5
    for name in names:
        damaged = workdir / "checkpoints" / "13" / name
        if not damaged.stat().st_size:
            continue
        damage(damaged)
        step, restored, _ = checkpoint.restore(workdir, like())
        assert step == 8, name
        assert_same(restored, state(8))
        said = capsys.readouterr().err
        assert f"step 13 cannot be read (ValueError: its file {name}" in said
        assert "falling back to step 8" in said
        with pytest.raises(ValueError, match="its file"):
            checkpoint.load_arrays(workdir, "params")
        shutil.copy(whole / name, damaged)
    assert checkpoint.restore(workdir, like())[0] == 13


def test_every_kept_checkpoint_has_sums_that_others_can_check(workdir):
    for step in (5, 8, 13):
        folder = workdir / "checkpoints" / str(step)
        lines = (folder / "sha256sums").read_text().splitlines()
        sums = {name: total for total, name in (line.split("  ") for line in lines)}
        assert list(sums) == files(workdir, step)
        for name, total in sums.items():
            content = (folder / name).read_bytes()
            assert hashlib.sha256(content).hexdigest() == total


def test_a_checkpoint_without_sums_is_taken_as_it_is(workdir):
    (workdir / "checkpoints" / "13" / "sha256sums").unlink()
    assert checkpoint.restore(workdir, like())[0] == 13


def test_sums_are_made_while_steps_go_on(tmp_path, monkeypatch):
    """`save` returns although the sums of this save cannot be finished yet."""
    go_on, real = threading.Event(), atomic_files.sha256

    def patient(path):
        assert go_on.wait(60)
        return real(path)

    monkeypatch.setattr(atomic_files, "sha256", patient)
    with checkpoint.Saver(tmp_path, keep=1) as saver:
        saver.save(1, state(1), {})
        assert not (tmp_path / "checkpoints" / "1" / "sha256sums").exists()
        go_on.set()
        saver.wait()
        assert (tmp_path / "checkpoints" / "1" / "sha256sums").exists()


@pytest.mark.parametrize("how", ["cut", "emptied", "part"])
def test_falls_back_from_a_damaged_checkpoint_and_says_so(workdir, capsys, how):
    newest = workdir / "checkpoints" / "13"
    if how == "cut":
        damage(workdir, 13)
    else:
        shutil.rmtree(newest if how == "emptied" else newest / "state")
        newest.mkdir(exist_ok=True)
    assert checkpoint.restore(workdir, like())[0] == 8
    assert checkpoint.steps(workdir) == [5, 8, 13]  # a reader moves nothing
    step, restored, _ = checkpoint.restore(workdir, like(), repair=True)
    assert step == 8
    assert_same(restored, state(8))
    said = capsys.readouterr().err
    assert "step 13 cannot be read" in said and "falling back to step 8" in said
    assert checkpoint.steps(workdir) == [5, 8]
    assert (workdir / "broken_checkpoints" / "13").is_dir()
    with checkpoint.Saver(workdir, keep=3) as saver:  # the step can be done again
        saver.save(13, state(13), {})
    assert checkpoint.restore(workdir, like())[0] == 13


def test_another_structure_moves_nothing_aside(workdir):
    other = parallel.abstract({"other": jnp.zeros(3)}, jax.local_devices()[:1])
    with pytest.raises(ValueError, match="the newest, step 13"):
        checkpoint.restore(workdir, other, repair=True)
    assert checkpoint.steps(workdir) == [5, 8, 13]


def test_parts_as_numpy(workdir):
    arrays = checkpoint.load_arrays(workdir, "params", step=8)
    assert list(arrays) == ["params"]
    assert isinstance(arrays["params"]["layer"]["w"], np.ndarray)
    jax.tree.map(np.testing.assert_array_equal, arrays["params"], state(8)["params"])


@pytest.mark.parametrize(
    "name, step, message",
    [("ema", None, "has no .'ema'."), ("params", 4, "no checkpoint of step 4")],
)
def test_parts_that_are_not_there(workdir, name, step, message):
    with pytest.raises(ValueError, match=message):
        checkpoint.load_arrays(workdir, name, step=step)


def test_a_save_in_the_background_does_not_see_later_steps(tmp_path):
    step = jax.jit(lambda x: x + 1, donate_argnums=0)
    x = step(jnp.zeros(3_000_000))
    with checkpoint.Saver(tmp_path, keep=1) as saver:
        saver.save(1, {"x": x}, {})
        for _ in range(5):
            x = step(x)
        x.block_until_ready()
    np.testing.assert_array_equal(checkpoint.load_arrays(tmp_path, "x")["x"], 1)


@pytest.mark.parametrize("background", [True, False])
def test_a_full_disk_leaves_the_earlier_checkpoints(workdir, monkeypatch, background):
    saver = checkpoint.Saver(workdir, keep=3)
    full = OSError(errno.ENOSPC, "No space left on device")

    class Response:
        def result(self):
            raise ValueError("ABORTED: write failed: No space left on device")

    def fail(*_, **__):
        if background:
            return Response()
        raise full

    monkeypatch.setattr(saver._checkpointer, "save_checkpointables_async", fail)
    with pytest.raises(
        OSError, match="saving step 21 failed: the disk is full"
    ) as error:
        with saver:
            saver.save(21, state(21), {})
            saver.wait()
    assert "[5, 8, 13]" in str(error.value) and "\n" not in str(error.value)
    assert checkpoint.restore(workdir, like())[0] == 13


def test_what_cannot_be_written_is_an_error_of_one_line(workdir):
    """Closing repeats the error while it is handled: each came from the other."""
    resource = pytest.importorskip("resource")
    few, (soft, hard) = 2**12, resource.getrlimit(resource.RLIMIT_FSIZE)
    large = {"noise": jax.random.normal(jax.random.key(0), (2**16,))}
    resource.setrlimit(resource.RLIMIT_FSIZE, (few, hard))
    try:
        with pytest.raises(OSError) as failed, checkpoint.Saver(workdir, 3) as saver:
            saver.save(21, large, {})
            saver.wait()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not errors.is_disk_full(failed.value)
    line = errors.one_line(failed.value)
    assert line.startswith("saving step 21 failed: ") and "File too large" in line
    assert "earlier checkpoints stay: [5, 8, 13]" in line


def test_a_clock_that_jumps_ends_no_save(tmp_path, monkeypatch):
    years, true = itertools.cycle([0, 20, -20]), time.time
    monkeypatch.setattr(time, "time", lambda: true() + next(years) * 366 * 86_400)
    with checkpoint.Saver(tmp_path, keep=2) as saver:
        for step in (1, 2):
            saver.save(step, state(step), {})
    assert checkpoint.steps(tmp_path) == [1, 2]


@pytest.mark.parametrize("caught", [True, False])
def test_a_stop_while_reading_is_no_damage(workdir, monkeypatch, capsys, caught):
    """Orbax catches the signal's exception, or makes an error of it."""
    load = checkpoint.reading.ocp.load_checkpointables

    def stopped(*args):
        loaded = load(*args)
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except KeyboardInterrupt:
            if not caught:
                raise ValueError("the event loop is closed") from None
        return loaded

    monkeypatch.setattr(checkpoint.reading.ocp, "load_checkpointables", stopped)

    def work():
        checkpoint.restore(workdir, like(), repair=True)

    before = checkpoint.steps(workdir)
    assert program.run(work) == 143
    assert "falling back" not in capsys.readouterr().err
    assert checkpoint.steps(workdir) == before
