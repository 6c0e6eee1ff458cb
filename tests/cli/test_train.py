"""`train.py` from the outside: one line for every mistake, nothing lost."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from paths import ROOT, SUPPORT

from hyperstyle_jax.loop import checkpoint

FILES = {
    "unknown.py": "c.optim.lrr = 3",
    "ill_typed.py": "c.optim.lr = 'fast'",
    "syntax.py": "c.seed = = 3",
    "missing_import.py": "import nothing_there",
    "not_a_config.py": "return {'seed': 3}",
    "task.py": "c.task = 'gann'",
    "none.py": None,
}
TINY = ["--config", "configs/tiny.py"]
LINES = [
    ([], "which run? Give one as --config"),
    (["--config", "nope.py"], "nope.py: there is no such file"),
    (["--config=nope.py", "--config.seed=3"], "nope.py: there is no such file"),
    ([*TINY, "--config.optim.lrr=1"], "lrr: unknown field; did you mean optim.lr?"),
    ([*TINY, "--config.optm.lr=1"], "optm.lr: unknown field; did you mean optim.lr?"),
    ([*TINY, "--config.optim.lr=abc"], "optim.lr=abc: expected float, like 0.0001"),
    ([*TINY, "--config.num_steps=1.5"], "num_steps=1.5: expected int, like 1000"),
    ([*TINY, "--config.optim=3"], "a group of fields; set one, as --config.optim.b1"),
    ([*TINY, "--config.num_steps=0"], "num_steps is 0, expected 1 or more"),
    ([*TINY, "--config.data.train=a,b"], "expected two integers"),
    ([*TINY, "--workdr=x"], "Did you mean: workdir"),
    ([*TINY, "--num_processes=2"], "give all three, or --distributed alone"),
    ([*TINY, "--coordinator=a:1", "--num_processes=2"], "give all three"),
    (
        [*TINY, "--coordinator=a:1", "--num_processes=2", "--process_id=2"],
        "--process_id from 0 to N - 1",
    ),
    ([*TINY, "config.seed=3"], "Options start with --"),
    (["--config", "unknown.py"], "line 4: unknown field lrr; did you mean optim.lr?"),
    (["--config", "ill_typed.py"], "line 4: Could not override field 'lr'"),
    (["--config", "syntax.py"], "line 4: syntax error"),
    (["--config", "missing_import.py"], "No module named 'nothing_there'"),
    (
        ["--config", "not_a_config.py"],
        "must return hyperstyle_jax.config.fields.base(task)",
    ),
    (["--config", "task.py"], "config.task is 'gann', expected one of gan"),
    (["--config", "none.py"], "none.py has no function get_config()"),
]


# Flags live once per process: each command line is read by a fork of a process that
# has only imported train.py.
FORKS = """
import json, os, sys
import train
for arguments in json.loads(sys.argv[1]):
    pid = os.fork()
    if not pid:
        os.dup2(1, 2)
        sys.argv[1:] = arguments
        train.parse(sys.argv)
        os._exit(0)
    print("exit code", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What each command line of LINES says: [(message, exit code)]."""
    folder = tmp_path_factory.mktemp("configs")
    for name, line in FILES.items():
        head = "from hyperstyle_jax.config.fields import base\n"
        body = f"def get_config():\n    c = base('gan')\n    {line}\n    return c\n"
        (folder / name).write_text(head + body if line else "x = 3\n")
    cases = [
        [str(folder / a) if a in FILES else a for a in arguments]
        for arguments, _ in LINES
    ]
    command = [sys.executable, "-W", "ignore", "-c", FORKS, json.dumps(cases)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    outputs = re.findall(r"(.*?)exit code (\d+)\n", done.stdout, re.DOTALL)
    return [(message, int(code)) for message, code in outputs]


@pytest.mark.parametrize("case", range(len(LINES)))
def test_a_mistake_gives_one_line_and_exit_code_2(said, case):
    message, code = said[case]
    assert code == 2
    assert LINES[case][1] in message
    assert message.startswith("error: ") and message.count("\n") == 1


def toy(workdir, *arguments, **environment):
    """Starts train.py with the toy task of tests/toy.py."""
    command = [
        sys.executable,
        f"{SUPPORT}/toy_train.py",
        "--config",
        f"{SUPPORT}/toy_config.py",
    ]
    command += ["--workdir", str(workdir), *arguments]
    paths = {"PYTHONPATH": f"{ROOT}:{SUPPORT}", "HYPERSTYLE_CACHE": "off"}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | paths | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    said, _ = process.communicate(timeout=900)
    return process.returncode, said


def wait_for(path, process, seconds=600):
    deadline = time.time() + seconds
    while not path.exists():
        assert time.time() < deadline and process.poll() is None
        time.sleep(0.02)


def weights(workdir):
    arrays = checkpoint.load_arrays(workdir, "params", "opt")
    return jax.tree.leaves(arrays)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("straight")
    code, said = finish(toy(workdir))
    assert code == 0, said
    return workdir


def test_sigterm_saves_and_the_same_command_resumes(straight, tmp_path):
    running = toy(tmp_path, TOY_DELAY="0.1")
    wait_for(tmp_path / "checkpoints" / "5", running)
    running.send_signal(signal.SIGTERM)
    code, said = finish(running)
    (step,) = re.findall(r"stopped by SIGTERM at step (\d+)", said)
    assert code == 0 and "Traceback" not in said
    code, said = finish(toy(tmp_path))
    assert code == 0 and f"resuming from step {step} of 12" in said
    for a, b in zip(weights(tmp_path), weights(straight), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_full_disk_loses_nothing(small_disk):
    workdir = small_disk / "run"
    arguments = ["--config.save_every=1", "--config.keep=9"]
    code, said = finish(toy(workdir, *arguments, TOY_BALLAST_MB="0.9"))
    assert code == 1 and "Traceback" not in said
    last = said.strip().splitlines()[-1]
    assert re.fullmatch(r"error: saving step 4 failed: the disk is full; .*", last)
    assert checkpoint.steps(workdir) == [1, 2, 3]
    shutil.rmtree(workdir / "checkpoints" / "1")  # some space
    arguments += ["--config.num_steps=4"]
    code, said = finish(toy(workdir, *arguments, TOY_BALLAST_MB="0.9"))
    assert code == 0 and "resuming from step 3 of 4" in said


def test_a_workdir_that_cannot_be_written_gives_one_line(tmp_path):
    (tmp_path / "file").touch()
    code, said = finish(toy(tmp_path / "file"))
    assert code == 1
    wanted = rf"error: {tmp_path}/file: File exists; choose another folder\n"
    assert re.fullmatch(wanted, said), said


@pytest.mark.slow
def test_the_tiny_config_trains_and_resumes(tmp_path):
    command = [sys.executable, "train.py", *TINY, "--workdir", str(tmp_path / "run")]
    options = dict(cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    dry = subprocess.run([*command, "--dry_run"], **options)
    assert dry.returncode == 0 and "memory per device" in dry.stdout, dry.stderr
    assert not (tmp_path / "run").exists()
    for steps in (4, 6):
        done = subprocess.run([*command, f"--config.num_steps={steps}"], **options)
        assert done.returncode == 0, done.stderr
    assert "resuming from step 4 of 6" in done.stdout
    rows = [json.loads(x) for x in (tmp_path / "run/metrics.jsonl").open()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert {"loss", "l2", "lpips", "id"} <= rows[0].keys()
