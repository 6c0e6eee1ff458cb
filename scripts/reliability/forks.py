"""Commands in forks of a process that has imported everything and begun nothing.

A command starts within milliseconds so, and rounds by the thousand are possible. The
server reads an order per line, {"program": …, "argv": …, "output": file, …}, and
answers with the pid; {"wait": pid} is answered with the exit code.
"""

import contextlib
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
_PATHS = (ROOT, ROOT / "tests" / "support", Path(__file__).parent)
_SECONDS = 900  # after which a command that hangs is killed
_WARM = (
    "benchmark benchmark.methods.run cli.align cli.edit_photo cli.paste_back "
    "convert.conversion convert.restoring data.preparing editing evaluation.edits "
    "evaluation.held_out_faces evaluation.tables images inversion.pipeline "
    "inversion.storage loop.checkpoint parity photos.paste photos.records "
    "training.pre_extract training.run training.tasks weights.bundle "
    "weights.model_card"
)  # what commands import inside their functions
_LAZY = ("jaxlib.mlir.dialects.mhlo",)  # what JAX imports when it is first used


def environment() -> dict[str, str]:
    """This process's, with the paths of the project, for small networks on the CPU."""
    return os.environ | {
        "PYTHONPATH": ":".join(map(str, _PATHS)),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "JAX_PLATFORMS": "cpu",
        "TOY_DELAY": "0.02",
    }


class Ended(NamedTuple):
    """A command that has ended."""

    code: int  # negative: the signal that ended it
    said: str
    pid: int


class Forks:
    """The server's other side."""

    def __init__(self, folder: Path, prefix: tuple[str, ...] = ()):
        """
        Args:
            folder: for the compilation cache and what commands say.
            prefix: a command that starts the server, as setpriv.
        """
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._server = subprocess.Popen(
            [*prefix, sys.executable, "-W", "ignore", __file__],
            cwd=ROOT,
            env=environment() | {"HYPERSTYLE_CACHE": str(folder / "cache")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        self._server.stdin.close()
        self._server.wait()

    def start(self, program: str, argv: list[str], **how) -> int:
        """Starts a command; its pid.

        Args:
            program: one of `_PROGRAMS`.
            how: `memory`, bytes of address space; `jump`, seconds by which the clock
                jumps, to and fro.
        """
        output = str(self._folder / "output_new")
        order = {"program": program, "argv": argv, "output": output, **how}
        pid = self._ask(order)
        os.replace(output, self._output(pid))
        return pid

    def wait(self, pid: int) -> Ended:
        timer = threading.Timer(_SECONDS, os.kill, (pid, signal.SIGKILL))
        timer.start()
        code = self._ask({"wait": pid})
        timer.cancel()
        said = self._output(pid).read_text(errors="replace")
        self._output(pid).unlink()
        return Ended(code, said, pid)

    def run(self, program: str, argv: list[str], **how) -> Ended:
        return self.wait(self.start(program, argv, **how))

    def _ask(self, order: dict) -> int:
        print(json.dumps(order), file=self._server.stdin, flush=True)
        if line := self._server.stdout.readline():
            return int(line)
        raise RuntimeError("the server has ended: see what it says above")

    def _output(self, pid: int) -> Path:
        return self._folder / f"output_{pid}"


@contextlib.contextmanager
def serving(folder: Path, prefix: tuple[str, ...] = ()) -> Iterator[Forks]:
    forks = Forks(folder, prefix)
    try:
        yield forks
    finally:
        forks.close()


def serve() -> None:
    """Answers orders until its input ends. In forks it does not return."""
    for name in (*(f"hyperstyle_jax.{name}" for name in _WARM.split()), *_LAZY):
        importlib.import_module(name)
    programs = importlib.import_module("programs")
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            answer = os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])
            print(answer, flush=True)
            continue
        file = os.open(order["output"], os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        pid = os.fork()
        if not pid:
            os.dup2(file, 1)
            os.dup2(file, 2)
            _change_surroundings(order)
            programs.PROGRAMS[order["program"]](order["argv"])
            sys.exit()
        os.close(file)
        print(pid, flush=True)


def _change_surroundings(order: dict) -> None:
    if memory := order.get("memory"):
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    if jump := order.get("jump"):
        true, begun = time.time, time.monotonic()

        def jumping() -> float:  # forward, and back, every third of a second
            return true() + jump * (int(3 * (time.monotonic() - begun)) % 3 - 1)

        time.time = jumping
        time.time_ns = lambda: int(jumping() * 1e9)


if __name__ == "__main__":
    serve()
