"""The script that breaks images: it sees what it should see."""

import importlib.util
import os
import subprocess
import sys

import pytest
from paths import ROOT

SCRIPT = ROOT / "scripts" / "reliability" / "broken_images.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("broken_images", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_same_seed_breaks_the_same_images(script):
    first, again = (list(script.broken_images(60, 3)) for _ in range(2))
    other = list(script.broken_images(60, 4))
    assert first == again and first != other


@pytest.mark.filterwarnings("ignore::UserWarning")  # the package ignores Pillow's
def test_whole_images_are_read_and_broken_ones_never_crash(script):
    for name, data in script.whole_images(script.np.random.default_rng(0)).items():
        expected = "f" if name == "tiff_fax" else "r"
        assert chr(script.outcome(script.Broken(name, data))) == expected, name
    outcomes = {script.outcome(one) for one in script.broken_images(150, 0)}
    assert outcomes == set(b"rf")


def test_crashes_are_counted():
    """Of C libraries, of our own code, and errors of more than one line."""
    patches = """
import os, runpy, sys
from hyperstyle_jax import images
read = images.read
def crash(data, name):
    number = int(name[:6])
    if number == 3:
        os.abort()
    if number == 5:
        raise KeyError(name)
    if number == 7:
        raise ValueError(name + ": two\\nlines")
    return read(data, name)
images.read = crash
sys.argv = [sys.argv[1], "--count", "9"]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
    done = subprocess.run(
        [sys.executable, "-c", patches, str(SCRIPT)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "'crashed': 3" in done.stdout, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("crashed: ")]
    assert [line[9:15] for line in lines] == ["000003", "000005", "000007"]
