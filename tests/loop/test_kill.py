"""kill -9 at any moment, over and over, while checkpoints are written: none is lost."""

import os
import random
import re
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy
import toy_config
from paths import ROOT, SUPPORT

from hyperstyle_jax.loop import checkpoint, fit, parallel

ROUNDS, STEPS = 60, 100_000
# Each round is a fork of a process that has imported everything and begun nothing.
FORKS = """
import os, sys
import toy_train
for line in sys.stdin:
    pid = os.fork()
    if not pid:
        file = os.open(line.strip(), os.O_CREAT | os.O_WRONLY)
        os.dup2(file, 1)
        os.dup2(file, 2)
        toy_train.start()
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@pytest.fixture
def server(tmp_path):
    """Its standard input takes a file for a round's output; it answers the pid."""
    command = [sys.executable, "-W", "ignore", "-c", FORKS]
    command += [
        "--config",
        f"{SUPPORT}/toy_config.py",
        "--workdir",
        str(tmp_path / "run"),
    ]
    command += [f"--config.num_steps={STEPS}", "--config.save_every=1"]
    command += ["--config.eval_every=0"]
    environment = {
        "PYTHONPATH": f"{ROOT}:{SUPPORT}",
        "HYPERSTYLE_CACHE": str(tmp_path / "cache"),
        "TOY_BALLAST_MB": "2",  # a save takes longer than a step
        "TOY_DELAY": "0.01",
    }
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.stdin.close()


class Straight:
    """The state after every step, from a run that nobody kills."""

    def __init__(self):
        config, devices = toy_config.get_config(), jax.local_devices()[:1]
        task = toy.make_task(config.optim.lr)
        self._data, self._step = toy.Data(config.batch_size), 0
        self._compiled = fit.Phases(task, devices, config.seed)
        self._state = jax.tree.map(jnp.copy, task.init(jax.random.key(config.seed)))
        self._state = jax.device_put(self._state, parallel.replicated(devices))

    def after(self, step):
        """Steps must be asked for in ascending order."""
        while self._step < step:
            self._step += 1
            batch = parallel.split(next(self._data), 1)
            self._state, _ = self._compiled[self._step](
                self._state, (), batch, np.int32(self._step)
            )
        return jax.device_get(self._state)


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_from_a_complete_step(server, tmp_path):
    draw, straight, workdir = random.Random(0), Straight(), tmp_path / "run"
    newest, resumed, in_saves = 0, [], 0
    for number in range(ROUNDS):
        output = tmp_path / f"{number}.txt"
        print(output, file=server.stdin, flush=True)
        pid = int(server.stdout.readline())
        if number % 4:  # else also while it starts and restores
            deadline = time.time() + 120
            while not (checkpoint.steps(workdir) or [0])[-1] > newest:
                assert time.time() < deadline, output.read_text()
                time.sleep(0.005)
        time.sleep(draw.uniform(0, 0.3 if number % 4 else 1.5))
        os.kill(pid, signal.SIGKILL)
        assert int(server.stdout.readline()) == -signal.SIGKILL, output.read_text()

        said = output.read_text()
        assert "Traceback" not in said and "cannot be read" not in said, said
        if resuming := re.search(r"resuming from step (\d+)", said):
            assert int(resuming[1]) == newest
            resumed.append(newest)
        in_saves += any((workdir / "checkpoints").glob("*tmp*"))
        newest = (checkpoint.steps(workdir) or [0])[-1]
        if newest:
            state = checkpoint.load_arrays(workdir, "toy")["toy"]
            wanted = straight.after(newest)
            for a, b in zip(*map(jax.tree.leaves, (state, wanted)), strict=True):
                np.testing.assert_array_equal(a, b)
            assert checkpoint.progress(workdir)["data"] == {"next_index": newest}
    print(f"{len(resumed)} resumed, {in_saves} killed in a save, step {newest}")
    assert len(resumed) >= ROUNDS // 2 and in_saves >= 5
