"""Several processes that train together, over loopback, are one."""

import os
import re
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
import tasks
from paths import ROOT, SUPPORT

from hyperstyle_jax.loop import checkpoint, logs

TOY = [f"{SUPPORT}/toy_train.py", "--config", f"{SUPPORT}/toy_config.py"]


def start(workdir, devices, *arguments, program=TOY, **environment):
    command = [sys.executable, *program]
    command += ["--workdir", str(workdir), "--config.num_devices=0"]
    flag = f"--xla_force_host_platform_device_count={devices}"
    environment |= {
        "PYTHONPATH": f"{ROOT}:{SUPPORT}",
        "HYPERSTYLE_CACHE": "off",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "XLA_FLAGS": flag,
    }
    return subprocess.Popen(
        [*command, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def start_two(workdir, *arguments, **options):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
    together = ["--coordinator", place, "--num_processes=2", *arguments]
    return [
        start(workdir, 2, *together, f"--process_id={i}", **options) for i in range(2)
    ]


def end(*processes):
    """What they said, however they end."""
    try:
        return [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()


def finish(*processes):
    """What they said; all must have ended well."""
    said = end(*processes)
    assert [process.returncode for process in processes] == [0] * len(said), said
    return said


def assert_same(workdir, other, names, atol=1e-6):
    """Two runs have come to the same state and to the same numbers, to rounding."""
    given, wanted = (checkpoint.load_arrays(path, *names) for path in (workdir, other))

    def close(path, a, b):
        text = jax.tree_util.keystr(path)
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=atol, err_msg=text)

    jax.tree.map_with_path(close, given, wanted)
    given, wanted = (logs.read(path)[-1] for path in (workdir, other))
    scores = wanted.keys() - tasks.MEASURED
    assert [name for name in scores if name.startswith("eval/")]
    for name in scores:
        assert given[name] == pytest.approx(wanted[name], rel=1e-4), name


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("straight")
    finish(start(workdir, 1, "--config.image_every=12"))
    return workdir


def test_two_processes_of_two_devices_are_one_of_one(straight, tmp_path):
    images = ["--config.image_every=12", "--config.best=eval/l2"]
    first, second = finish(*start_two(tmp_path, "--config.num_steps=7", *images))
    assert "training on 4 x" in first and "report: " in first
    assert "step" not in second  # one writes and speaks
    first, _ = finish(*start_two(tmp_path, *images))
    assert "resuming from step 7 of 12" in first
    assert_same(tmp_path, straight, ("params", "opt", "ema"))
    assert checkpoint.steps(tmp_path) == [10, 12]
    assert checkpoint.progress(tmp_path)["best"]["step"] == 12
    names = {path.name for path in (straight / "images").iterdir()}
    assert {path.name for path in (tmp_path / "images").iterdir()} >= names
    finish(start(tmp_path, 1, "--config.num_steps=13"))  # and goes on as one


REAL = {
    "hyperstyle": "data.augment=0.5",
    "gan": "batch_size=8 model.generator.z_dim=48 loss.render=1.0 loss.lpips=0.0 "
    "loss.attributes=0.0 loss.r1_every=2 loss.path_length_every=2",
}
STATE = {
    "hyperstyle": ("params", "batch_stats", "ema"),
    "gan": ("generator", "ema", "w_avg", "discriminator", "path_mean"),
}


@pytest.mark.parametrize(
    "task", ["hyperstyle", pytest.param("gan", marks=pytest.mark.slow)]
)
def test_real_networks_are_the_same_over_two_processes(task, tmp_path):
    """All that is drawn, and what the examples of a batch have to do with one another.

    Adam's default eps is too small for this: it divides a gradient next to 0, which is
    all rounding, by itself.
    """
    options = f"task={task} data.size=8 model.generator.resolution=8 data.flip=True "
    options += f"image_every=0 optim.lr=1e-2 optim.eps=1e-3 optim.ema=0.9 {REAL[task]}"
    tiny = ["train.py", "--config", "configs/tiny.py"]
    tiny += [f"--config.{option}" for option in options.split()]
    one, two = tmp_path / "one", tmp_path / "two"
    finish(start(one, 1, program=tiny))
    first, _ = finish(*start_two(two, program=tiny))
    assert "training on 4 x" in first
    assert_same(two, one, STATE[task], atol=1e-5)


def test_a_signal_to_one_process_stops_both_at_the_same_step(tmp_path):
    long = ["--config.num_steps=100000", "--config.log_every=100"]
    both = start_two(tmp_path, *long, TOY_DELAY="0.01")
    deadline = time.time() + 120
    while not checkpoint.steps(tmp_path):
        if time.time() > deadline or both[0].poll() is not None:
            raise AssertionError(end(*both))
        time.sleep(0.05)
    both[1].send_signal(signal.SIGTERM)
    first, _ = finish(*both)
    (step,) = re.findall(r"stopped by SIGTERM at step (\d+)", first)
    assert checkpoint.steps(tmp_path)[-1] == int(step)


def test_what_is_not_finite_ends_both_and_names_images_of_both(tmp_path):
    both = start_two(tmp_path, "--config.on_nonfinite=stop", TOY_BAD="7")
    first, _ = end(*both)
    assert all(process.returncode for process in both)
    assert "step 8: grad_norm is nan, loss is nan (batch indices 56, 57, 58" in first
    assert "Traceback" not in first and checkpoint.steps(tmp_path) == [5]


def test_a_full_disk_ends_both_at_once(small_disk):
    """Not after the twenty minutes that orbax waits for the process with the error."""
    options = ["--config.save_every=1", "--config.keep=9"]
    both = start_two(small_disk / "run", *options, TOY_BALLAST_MB="0.9")
    first, _ = end(*both)
    assert all(process.returncode for process in both)
    assert re.search("error: saving step 4 failed: the disk is full; free", first)
    assert checkpoint.steps(small_disk / "run") == [1, 2, 3]


def test_one_that_cannot_write_ends_both_and_says_why(tmp_path):
    """Orbax holds its error back until all have waited for one another long enough."""
    few = {"TOY_BALLAST_MB": "8", "TOY_LARGEST": str(2**21), "TOY_TIMEOUT": "10"}
    began = time.time()
    both = start_two(tmp_path, **few)
    first, second = end(*both)
    assert [process.returncode for process in both] == [1, 1]
    assert re.search("error: saving step 5 failed: .* File too large", first), first
    assert "error: saving step 5 failed: " in second or "Terminating" in second
    assert "Traceback" not in first and checkpoint.steps(tmp_path) == []
    assert time.time() - began < 60
