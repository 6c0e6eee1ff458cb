"""Builds the wheel and the source distribution, and uses the wheel where it is alone.

    .venv/bin/python scripts/check_distribution.py [3.11 3.12 3.13]

For each Python that is on this machine: a clean environment, the packages of
requirements.txt with their sums checked, the wheel, and a few commands run in another
folder. A Python that is not here is skipped, and said.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "hyperstyle_jax"
VERSIONS = ("3.11", "3.12", "3.13")
COMMANDS = (
    "--help",
    "info demo",
    "faces --seeds 1000000 --out faces",
    "invert faces --out inverted --num-iters 1",
)


def main() -> None:
    """Raises SystemExit or CalledProcessError where something is not as it should."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = build(Path(folder))
        for version in sys.argv[1:] or VERSIONS:
            python = find_python(version)
            if python is None:
                print(f"Python {version}: skipped, it is not here, or without pip")
                continue
            start = time.perf_counter()
            use(wheel, python, Path(folder) / version)
            seconds = time.perf_counter() - start
            print(f"Python {version}: the wheel works ({seconds:.0f} s)", flush=True)


def build(work: Path) -> Path:
    """The wheel, built from the source distribution; both hold what they should."""
    tree, direct = work / "tree", work / "direct"
    tracked = output("git", "ls-files", "-z", cwd=ROOT).split("\0")[:-1]
    for name in filter(lambda name: (ROOT / name).exists(), tracked):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tree / name)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir"]
    # The source distribution first, from it the wheel; then a wheel from the tree.
    output(*command, work, tree)
    output(*command, direct, "--wheel", tree)
    (wheel,), (other,) = work.glob("*.whl"), direct.glob("*.whl")
    if sums(wheel) != sums(other):
        different = {name for name, _ in sums(wheel).items() ^ sums(other).items()}
        raise SystemExit(f"the source distribution lacks or changes {different}")
    expected = {name for name in tracked if name.startswith(f"{PACKAGE}/")}
    held = {name for name in sums(wheel) if name.startswith(f"{PACKAGE}/")}
    if held != expected:
        raise SystemExit(f"in the wheel or in git, not in both: {held ^ expected}")
    size = wheel.stat().st_size / 2**20
    print(f"{wheel.name}: {len(held)} files, {size:.1f} MiB", flush=True)
    return wheel


def sums(wheel: Path) -> dict[str, int]:
    """{name of a file in the wheel: its checksum}; without the list of the sums."""
    with zipfile.ZipFile(wheel) as archive:
        files = {item.filename: item.CRC for item in archive.infolist()}
    return {name: crc for name, crc in files.items() if not name.endswith("/RECORD")}


def find_python(version: str) -> str | None:
    """The path of an interpreter of this version that has pip, or None."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    on_path = shutil.which(f"python{version}")
    paths = [on_path] if on_path else []
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        paths = [sys.executable]
    for path in [*paths, *map(str, pyenv.glob(f"{version}.*/bin/python"))]:
        # pyenv puts a script of that name on the path even where it cannot start one;
        # Debian's interpreters may come without pip.
        probe = [path, "-c", "import ensurepip"]
        if not subprocess.run(probe, capture_output=True).returncode:
            return path
    return None


def use(wheel: Path, python: str, work: Path) -> None:
    """Installs the wheel where nothing else is, and runs its commands."""
    output(python, "-m", "venv", work / "venv")
    pip = [work / "venv/bin/pip", "-qq", "--no-input"]
    install = [*pip, "install", "--no-compile"]
    output(*install, "--require-hashes", "-r", ROOT / "requirements.txt")
    output(*install, "--no-deps", wheel)
    output(*pip, "check")
    for command in COMMANDS:
        output(work / "venv/bin/hyperstyle", *command.split(), cwd=work)
    if not (work / "inverted/summary.json").exists():
        raise SystemExit(f"`hyperstyle {COMMANDS[-1]}` wrote no summary.json")
    shutil.rmtree(work)  # a gigabyte


def output(*command: str | Path, cwd: Path | None = None) -> str:
    """What a command prints; where it fails, this is shown and the check ends."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        done.check_returncode()
    return done.stdout


if __name__ == "__main__":
    main()
