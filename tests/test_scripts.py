"""Scripts: the start on clusters, with commands that only write down what they get."""

import os
import subprocess
import sys

import pytest
from paths import ROOT

STOPPED = "stopped by SIGTERM at step 7; the same command resumes"


@pytest.fixture
def run(tmp_path):
    """`run(script, arguments, {command: what it prints})` → (result, calls)."""

    def start(script, arguments, commands):
        calls = tmp_path / "calls"
        for name, says in commands.items():
            command = tmp_path / name
            lines = ["#!/usr/bin/env bash", f'echo {name} "$@" >> {calls}', says]
            command.write_text("\n".join(lines))
            command.chmod(0o755)
        environment = os.environ | {"SLURM_JOB_ID": "42"}
        environment["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", str(ROOT / "scripts" / script), *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        return done, calls.read_text() if calls.exists() else ""

    return start


@pytest.mark.parametrize("said, again", [(STOPPED, True), ("saved step 9 of 9", False)])
def test_a_slurm_job_that_was_stopped_goes_back_into_the_queue(run, said, again):
    options = ["--config", "configs/ffhq.py"]
    commands = {"srun": f"echo '{said}'", "scontrol": ""}
    done, calls = run("slurm.sh", options, commands)
    assert done.returncode == 0 and said in done.stdout
    assert "train.py --distributed --config configs/ffhq.py\n" in calls
    assert ("scontrol requeue 42" in calls) == again


def test_a_slurm_job_that_fails_does_not(run):
    commands = {"srun": f"echo '{STOPPED}'; exit 3", "scontrol": ""}
    done, calls = run("slurm.sh", [], commands)
    assert done.returncode == 3 and "scontrol" not in calls


def test_every_host_of_a_tpu_slice_starts_the_same_command(run):
    options = ["--config", "configs/ffhq.py", "--workdir", "/a disk/x"]
    commands = {"gcloud": "", "git": ""}
    done, calls = run("tpu_pod.sh", ["slice", "zone", *options], commands)
    assert done.returncode == 0, done.stderr
    assert calls.count("--zone=zone --worker=all") == 2
    command = r"train.py --distributed --config configs/ffhq.py --workdir /a\ disk/x"
    assert command in calls


def test_without_arguments_it_says_how(run):
    done, calls = run("tpu_pod.sh", [], {"gcloud": ""})
    assert done.returncode == 2 and "NAME ZONE" in done.stderr and not calls


@pytest.mark.slow
def test_mutated_files_do_no_harm():
    script = ROOT / "scripts" / "reliability" / "mutated_files.py"
    command = [sys.executable, "-W", "ignore", str(script), "--count", "80"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| all | 80 |" in done.stdout
