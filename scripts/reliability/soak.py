"""Commands that run for hours: resident memory every minute, and how it grows."""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from forks import ROOT, Forks

_MIB = 1 << 20
_WARM_MINUTES = 10  # before, memory grows by what is used for the first time


class Soaked(NamedTuple):
    """Resident memory in MiB at some minutes, from a first look after warming up."""

    minutes: list[float]
    mib: list[float]

    def slope(self) -> float:
        """MiB per hour over the second half, by least squares; nan for too few."""
        half = len(self.minutes) // 2
        x, y = np.array(self.minutes[half:]) / 60, self.mib[half:]
        return float(np.polyfit(x, y, 1)[0]) if len(x) > 1 else float("nan")

    def __str__(self) -> str:
        looks = f"{len(self.mib)} looks in {self.minutes[-1]:.1f} minutes"
        change = f"{self.mib[0]:.0f} MiB at first, {self.mib[-1]:.0f} at last"
        if self.minutes[-1] < _WARM_MINUTES:
            return f"{looks}: {change}; too short for a slope"
        return f"{looks}: {change}; {self.slope():+.1f} MiB an hour in the second half"


def soak(forks: Forks, folder: Path, minutes: float) -> dict[str, Soaked]:
    """Runs all of `NAMES` beside one another for some minutes.

    Raises:
        RuntimeError: one of them ended before, or ended badly.
    """
    outs = {name: folder / f"soak_{name}" for name in NAMES}
    for out in outs.values():
        shutil.rmtree(out, ignore_errors=True)
    pids = {name: _start(name, forks, folder, out) for name, out in outs.items()}
    soaked = _watch(pids, minutes)
    for name, pid in pids.items():
        os.kill(pid, signal.SIGTERM)
        ended = forks.wait(pid)
        shutil.rmtree(outs[name], ignore_errors=True)
        if ended.code not in (0, 143) or "Traceback" in ended.said:
            raise RuntimeError(f"{name} ended with {ended.code}: {ended.said[-500:]}")
    return soaked


NAMES = ("invert", "train")


def _start(name: str, forks: Forks, folder: Path, out: Path) -> int:
    if name == "invert":
        argv = [f"{folder}/inputs/photos", "--model", f"{folder}/inputs/model"]
        return forks.start("invert for ever", ["invert", *argv, "--out", str(out)])
    argv = ["--config", f"{ROOT}/configs/tiny.py", "--workdir", str(out)]
    argv += ["--config.num_steps=100000000", "--config.save_every=200"]
    argv += ["--config.eval_every=100", "--config.log_every=50"]
    return forks.start("train", argv)


def _watch(pids: dict[str, int], minutes: float) -> dict[str, Soaked]:
    soaked, begun = {name: Soaked([], []) for name in pids}, time.monotonic()
    pause = min(60.0, 6 * minutes)
    while (time.monotonic() - begun) / 60 < minutes:
        time.sleep(pause)
        now = (time.monotonic() - begun) / 60
        for name, pid in pids.items():
            resident = _resident(pid)
            if resident is None:
                continue  # it has ended; its end says why
            soaked[name].minutes.append(now)
            soaked[name].mib.append(resident)
            what = {"minutes": round(now, 2), "MiB": round(resident, 1)}
            print(json.dumps({"what": name} | what), file=sys.stderr, flush=True)
    return soaked


def _resident(pid: int) -> float | None:
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / _MIB or None  # 0 of a zombie
