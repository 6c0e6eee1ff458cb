"""Inverts a thousand drawn faces, killed half-way, and prints speed and memory.

python scripts/bulk_report.py --count 1000

Draws faces, breaks one of the files, kills `hyperstyle invert` (SIGKILL) when half of
them are inverted, runs the same command again, and checks that every good photo has
its row and files once. The figures of docs/photos.md.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--more", nargs=argparse.REMAINDER, default=[], help="options")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photos, out = Path(folder) / "photos", Path(folder) / "out"
        last = 1_000_000 + args.count - 1
        _hyperstyle("faces", "--seeds", f"1000000-{last}", "--out", str(photos))
        broken = sorted(photos.glob("*.png"))[args.count // 3]
        broken.write_bytes(broken.read_bytes()[:200])
        command = ["invert", str(photos), "--out", str(out), "--model", args.model]
        command += args.more
        half = _until_killed(command, out / "metrics.jsonl", args.count // 2)
        start, before = time.perf_counter(), _processor()
        code = _hyperstyle(*command)
        seconds, processor = time.perf_counter() - start, _processor() - before
        return _report(args.count, half, code, seconds, processor, broken, out)


def _processor() -> float:
    """Seconds of processor time of the ended processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _hyperstyle(*argv: str) -> int:
    return subprocess.run([sys.executable, "-m", "hyperstyle_jax", *argv]).returncode


def _until_killed(command: list[str], rows: Path, count: int) -> tuple[int, float]:
    """Kills the command after `count` photos; returns their number and the seconds.

    The seconds count from the first batch, without start and compilation.
    """
    argv = [sys.executable, "-m", "hyperstyle_jax", *command]
    with subprocess.Popen(argv, env=os.environ) as process:
        start = first = 0
        while (done := _lines(rows)) < count:
            if process.poll() is not None:
                raise SystemExit(f"it ended by itself after {done} photos")
            if done and not start:
                start, first = time.perf_counter(), done
            time.sleep(0.05)
        seconds = time.perf_counter() - start
        process.send_signal(signal.SIGKILL)
    return done, (done - first) / seconds


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def _report(count, half, code, seconds, processor, broken, out) -> int:
    summary = json.loads((out / "summary.json").read_text())
    rows = [json.loads(r) for r in (out / "metrics.jsonl").read_text().splitlines()]
    names = {row["name"] for row in rows}
    files = {suffix: len([*out.glob(f"*{suffix}")]) for suffix in (".npz", ".png")}
    whole = len(rows) == len(names) == count - 1 == files[".npz"]
    whole &= files[".png"] == 2 * len(names) and [*summary["failed"]] == [str(broken)]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10
    waited = summary["seconds_waited"]
    print("| | |\n|---|---|")
    print(f"| photos, of which one is broken | {count} |")
    print(f"| inverted when it was killed | {half[0]} |")
    print(f"| photos a second until then | {half[1]:.1f} |")
    print(f"| the same command again | exit code {code}, {seconds:.1f} s |")
    print(f"| … of processor time | {processor:.1f} s |")
    print(f"| … of which without a photo for the device | {waited:.1f} s |")
    print(f"| peak memory of a process | {peak:.0f} MiB |")
    print(
        f"| every good photo has its row and files once | {'yes' if whole else 'NO'} |"
    )
    return 0 if whole and code == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
