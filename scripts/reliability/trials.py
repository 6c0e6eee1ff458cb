"""What the campaign does to a command, and what it then looks for.

Each trial is a function of (bench, command, draw) that returns the faults of a round,
or of the rounds of one chain. In the end the same command, undisturbed, must
have the result of a run that nothing has ever happened to.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import faults
import folders
import long_commands
from faults import Fault
from forks import Ended, Forks
from long_commands import LongCommand

_GIBIBYTE, _DAY = 1 << 30, 86_400.0
CHAIN = 10  # processes that are stopped, each but the first where one was stopped


class Skipped(Exception):
    """This machine does not allow the trial; says why."""


class Failed(Exception):
    """A trial came to nothing, because a command fails undisturbed, or is too fast."""


class Whole(NamedTuple):
    """An undisturbed run."""

    seconds: float
    result: dict[str, str]
    items: dict[str, str]
    size: int


class Bench:
    """A place where commands run, and their undisturbed results."""

    def __init__(self, folder: Path, forks: Forks, known: dict[str, Whole]):
        """
        Args:
            folder: for inputs and results.
            known: undisturbed runs by command; more are added.
        """
        self.folder, self.forks = folder, forks
        self._inputs = folder / "inputs"
        self._whole = known
        self.chain = CHAIN  # how many processes a chain is to stop
        long_commands.make_inputs(forks, self._inputs, [])

    @contextlib.contextmanager
    def out(self, within: Path | None = None) -> Iterator[Path]:
        """A result's path in a new folder, which is removed at the end."""
        with tempfile.TemporaryDirectory(dir=within or self.folder) as place:
            yield Path(place) / "out"

    def start(self, command: LongCommand, out: Path, **how) -> int:
        long_commands.make_inputs(self.forks, self._inputs, command.argv)
        argv = command.arguments(self._inputs, out)
        return self.forks.start(command.program, argv, **how)

    def run(self, command: LongCommand, out: Path, **how) -> Ended:
        return self.forks.wait(self.start(command, out, **how))

    def whole(self, command: LongCommand) -> Whole:
        """Of the second of two runs: the first one compiles."""
        if command.name not in self._whole:
            first, second = self._undisturbed(command), self._undisturbed(command)
            if different := faults.differences(first.result, second.result):
                raise Failed(f"two undisturbed runs differ: {different}")
            self._whole[command.name] = second
        return self._whole[command.name]

    def _undisturbed(self, command: LongCommand) -> Whole:
        with self.out() as out:
            begun = time.monotonic()
            ended = self.run(command, out)
            seconds = time.monotonic() - begun
            if ended.code:
                raise Failed(" ".join(ended.said[-300:].split()))
            result, items = command.result(out), command.items(out)
            return Whole(seconds, result, items, folders.size(out))

    def again(self, command: LongCommand, out: Path) -> list[Fault]:
        """The faults that the same command, undisturbed, leaves in a folder."""
        before = command.items(out)
        ended = self.run(command, out)
        if ended.code or "Traceback" in ended.said:
            return [faults.wrong(ended, "again: ")]
        return self.complete(command, out, before)

    def complete(self, command: LongCommand, out: Path, before=None) -> list[Fault]:
        """What a complete folder has that an undisturbed one has not, or lacks."""
        whole = self.whole(command)
        return [
            *faults.compared(before or {}, command.items(out), whole.items),
            *faults.differences(command.result(out), whole.result),
            *faults.twice(out),
            *faults.left(out),
        ]


def kill(bench: Bench, command: LongCommand, draw: random.Random) -> list[Fault]:
    """kill -9 at random moments, of the command and of those that go on with it."""
    return _stopped_often(bench, command, draw, signal.SIGKILL)


def sigterm(bench: Bench, command: LongCommand, draw: random.Random) -> list[Fault]:
    """SIGTERM at random moments: it tidies up, says one line, exits with 143 or 0."""
    return _stopped_often(bench, command, draw, signal.SIGTERM)


def _stopped_often(bench, command, draw, number) -> list[Fault]:
    """Stops `bench.chain` processes; looks at folders that get complete meanwhile."""
    seen, stopped = [], 0
    while stopped < bench.chain:
        with bench.out() as out:
            before, done = {}, False
            while stopped < bench.chain and not done:
                ended = _stopped(bench, command, draw, out, number)
                seen += _kept(command, out, before, ended, number)
                before = command.items(out)
                # A training that is stopped saves its step, and exits with 0.
                done = ended.code == 0 and "stopped by SIGTERM" not in ended.said
                stopped += not done
            ask = bench.complete if done else bench.again
            seen += ask(command, out)
    return seen


def _stopped(bench, command, draw, out, number) -> Ended:
    """A process that was stopped at a random moment, unless it was faster."""
    pid = bench.start(command, out)
    time.sleep(draw.uniform(0, 0.9 * bench.whole(command).seconds))
    os.kill(pid, number)
    return bench.forks.wait(pid)


def _kept(command, out, before, ended, number) -> list[Fault]:
    """Faults of a folder whose process has just been stopped."""
    seen = faults.halves(out) + faults.compared(before, command.items(out), {})
    # The signal itself ends it before it has begun, and after it has tidied up.
    codes = (0, -number, 128 + number)
    if ended.code not in codes or "Traceback" in ended.said:
        seen.append(faults.wrong(ended))
    return seen + (faults.left(out) if number == signal.SIGTERM else [])


def full_disk(bench: Bench, command: LongCommand, draw: random.Random) -> list[Fault]:
    """A disk with less space than the result takes; then there is space."""
    size = bench.whole(command).size
    disks = _small_disk(bench.folder, 4 * size + (1 << 22))
    with disks as disk, bench.out(disk) as out:
        state = os.statvfs(disk)
        free = state.f_bavail * state.f_frsize
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(free - int(draw.uniform(0, 0.7) * size)))
        ended = bench.run(command, out)
        seen = faults.refused(ended, "") + faults.halves(out) + faults.left(out)
        ballast.unlink()
        return seen + bench.again(command, out)


def second_process(
    bench: Bench, command: LongCommand, draw: random.Random
) -> list[Fault]:
    """The same command twice at once: one is refused and told the other's pid."""
    with bench.out() as out:
        first = bench.start(command, out)
        if not _stop_when_it_holds(out, first):
            os.kill(first, signal.SIGCONT)
            bench.forks.wait(first)
            raise Failed("it never held its folder")
        try:
            ended = bench.run(command, out)
        finally:
            os.kill(first, signal.SIGCONT)
        seen = faults.refused(ended, f"in use by process {first} on ")
        ended = bench.forks.wait(first)
        if ended.code:
            seen.append(faults.wrong(ended, "the first one: "))
        return seen + bench.complete(command, out)


def clock(bench: Bench, command: LongCommand, draw: random.Random) -> list[Fault]:
    """A clock that jumps by days, to and fro."""
    with bench.out() as out:
        return _done(bench, command, out, jump=draw.choice((1, -1)) * 30 * _DAY)


def memory_limit(bench: Bench, command: LongCommand, draw) -> list[Fault]:
    """24 GiB of address space."""
    with bench.out() as out:
        return _done(bench, command, out, memory=24 * _GIBIBYTE)


def read_only(bench: Bench, command: LongCommand, draw: random.Random) -> list[Fault]:
    """A folder that cannot be written. As root, the server lacks the right to."""
    with bench.out() as out:
        out.parent.chmod(0o555)
        try:
            ended = bench.run(command, out)
        finally:
            out.parent.chmod(0o755)
        seen = faults.refused(ended, str(out)) + faults.left(out)
        return seen + bench.again(command, out)


def is_root() -> bool:
    return os.geteuid() == 0


# Dropped by setpriv: root writes into every folder otherwise.
_RIGHTS = "-dac_override,-dac_read_search"
READ_ONLY_PREFIX = ("setpriv", f"--bounding-set={_RIGHTS}", f"--inh-caps={_RIGHTS}")
TRIALS: dict[str, Callable[[Bench, LongCommand, random.Random], list[Fault]]] = {
    "kill -9": kill,
    "SIGTERM": sigterm,
    "full disk": full_disk,
    "two processes": second_process,
    "clock jumps": clock,
    "24 GiB": memory_limit,
    "read-only": read_only,
}
CHAINS = ("kill -9", "SIGTERM")  # trials of which each is `chain` rounds


@contextlib.contextmanager
def _small_disk(folder: Path, size: int) -> Iterator[Path]:
    disk = folder / "disk"
    disk.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
    may = shutil.which("mount") and is_root()
    if not may or subprocess.run(mount, capture_output=True).returncode:
        raise Skipped("mounting a small disk is not allowed here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def _stop_when_it_holds(out: Path, pid: int) -> bool:
    """Stops a process once its lock tells its pid."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for lock in [out / ".lock", *out.parent.glob(".*.lock")]:
            with contextlib.suppress(OSError, ValueError):
                if json.loads(lock.read_text())["process"] == str(pid):
                    os.kill(pid, signal.SIGSTOP)
                    return lock.exists()
        time.sleep(0.0005)
    return False


def _done(bench, command, out, **how) -> list[Fault]:
    """Faults of a run in other surroundings, which must succeed."""
    ended = bench.run(command, out, **how)
    if ended.code or "Traceback" in ended.said:
        return [faults.wrong(ended)]
    return bench.complete(command, out)
