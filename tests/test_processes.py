"""Several processes that train together, over loopback, are one."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from hyperstyle_jax import checkpoint
from hyperstyle_jax.training import logs

ROOT = Path(__file__).parent.parent


def start(workdir, devices, *arguments, **environment):
    command = [sys.executable, "tests/toy_train.py", "--config", "tests/toy_config.py"]
    command += ["--workdir", str(workdir), "--config.num_devices=0"]
    flag = f"--xla_force_host_platform_device_count={devices}"
    environment |= {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
        "HYPERSTYLE_CACHE": "off",
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


def start_two(workdir, *arguments, **environment):
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{found.getsockname()[1]}"
    together = ["--coordinator", place, "--num_processes=2", *arguments]
    return [
        start(workdir, 2, *together, f"--process_id={i}", **environment)
        for i in range(2)
    ]


def end(*processes):
    """What they said, however they end."""
    try:
        return [process.communicate(timeout=120)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()


def finish(*processes):
    """What they said; all must have ended well."""
    said = end(*processes)
    assert [process.returncode for process in processes] == [0] * len(said), said
    return said


def state(workdir):
    return checkpoint.load_arrays(workdir, "params", "opt", "ema")


def assert_close(a, b):
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)  # noqa: E731
    jax.tree.map(close, a, b)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("straight")
    finish(start(workdir, 1, "--config.image_every=12"))
    return workdir


def test_two_processes_of_two_devices_are_one_of_one(straight, tmp_path):
    pictures = ["--config.image_every=12", "--config.best=eval/l2"]
    first, second = finish(*start_two(tmp_path, "--config.num_steps=7", *pictures))
    assert "training on 4 x" in first and "report: " in first
    assert "step" not in second  # one writes and speaks
    first, _ = finish(*start_two(tmp_path, *pictures))
    assert "resuming from step 7 of 12" in first
    assert_close(state(tmp_path), state(straight))
    assert checkpoint.steps(tmp_path) == [10, 12]
    assert checkpoint.progress(tmp_path)["best"]["step"] == 12
    found, wanted = logs.read(tmp_path)[-1], logs.read(straight)[-1]
    for name in ("loss", "grad_norm", "eval/l2", "eval/one"):
        assert found[name] == pytest.approx(wanted[name], rel=1e-4)
    names = {path.name for path in (straight / "images").iterdir()}
    assert {path.name for path in (tmp_path / "images").iterdir()} >= names
    finish(start(tmp_path, 1, "--config.num_steps=13"))  # and goes on as one


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


def test_what_is_not_finite_ends_both_and_names_pictures_of_both(tmp_path):
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
