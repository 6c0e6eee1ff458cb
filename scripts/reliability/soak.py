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


def soak(name: str, forks: Forks, folder: Path, minutes: float) -> Soaked:
    """Runs one of `NAMES` for some minutes.

    Raises:
        RuntimeError: it ended before.
    """
    out = folder / "soak"
    shutil.rmtree(out, ignore_errors=True)
    if name == "invert":
        argv = [f"{folder}/inputs/photos", "--model", f"{folder}/inputs/model"]
        pid = forks.start("invert for ever", ["invert", *argv, "--out", str(out)])
    else:
        argv = ["--config", f"{ROOT}/configs/tiny.py", "--workdir", str(out)]
        argv += ["--config.num_steps=100000000", "--config.save_every=200"]
        argv += ["--config.eval_every=100", "--config.log_every=50"]
        pid = forks.start("train", argv)
    soaked = _watch(pid, minutes)
    os.kill(pid, signal.SIGTERM)
    ended = forks.wait(pid)
    shutil.rmtree(out, ignore_errors=True)
    if soaked is None or "Traceback" in ended.said:
        raise RuntimeError(f"{name} ended with {ended.code}: {ended.said[-500:]}")
    return soaked


NAMES = ("invert", "train")


def _watch(pid: int, minutes: float) -> Soaked | None:
    """None if the process ended meanwhile."""
    soaked, begun = Soaked([], []), time.monotonic()
    pause = min(60.0, 6 * minutes)
    while (now := (time.monotonic() - begun) / 60) < minutes:
        time.sleep(pause)
        resident = _resident(pid)
        if resident is None:
            return None
        soaked.minutes.append(now + pause / 60)
        soaked.mib.append(resident)
        what = {"minutes": round(now + pause / 60, 2), "MiB": round(resident, 1)}
        print(json.dumps(what), file=sys.stderr, flush=True)
    return soaked


def _resident(pid: int) -> float | None:
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / _MIB or None  # 0 of a zombie
