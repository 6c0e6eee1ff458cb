"""Kills, fills disks, turns clocks: whether the long commands lose or repeat anything.

    python scripts/reliability/campaign.py --out docs/reliability.md
    python scripts/reliability/campaign.py --only "kill -9/*" --rounds 1000
    python scripts/reliability/campaign.py --soak 60 --out docs/reliability.md

Every row is a trial of a command, as "kill -9/invert"; `--list` shows them. Counts are
kept in --work after each round, and the same command goes on from there. Exits with 1
if a fault was counted. Full disks and read-only folders need root on Linux.
"""

import argparse
import random
import re
import shutil
import subprocess
import sys
import time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import forks
import records
import soak
import trials
from long_commands import COMMANDS, CannotMake

_SCRIPTS = {
    "mutated files": ("mutated_files.py", "mutated"),
    "broken images": ("broken_images.py", "broken"),
}


_PARTS = 5


class Row(NamedTuple):
    """A line of the table, and how many rounds of it there are to be."""

    name: str  # "TRIAL/COMMAND"
    rounds: int


def main() -> int:
    args = _arguments()
    rows = _rows(args)
    if args.list:
        print("\n".join(f"{row.name}: {row.rounds} rounds" for row in rows))
        return 0
    args.work.mkdir(parents=True, exist_ok=True)
    kept = records.Records(args.work / "counts.json")
    try:
        _run_rows(rows, kept, args)
        for name, (script, option) in _SCRIPTS.items():
            if count := getattr(args, option):
                _run_script(name, script, count, kept)
        if args.soak:
            _soak(kept, args)
    finally:
        if kept.rows and args.out:
            records.write_page(args.out, kept.markdown())
    print(kept.markdown() if kept.rows else "nothing was run")
    return 1 if kept.faults() else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--rounds", type=int, default=50, help="of kill -9 in each command")
    add("--other-rounds", type=int, default=10, help="of each other trial")
    add("--only", nargs="+", default=["*"], metavar="PATTERN", help='as "*/invert"')
    add("--list", action="store_true", help="print the rows and stop")
    add("--mutated", type=int, default=0, metavar="N", help="files to mutate")
    add("--broken", type=int, default=0, metavar="N", help="images to break")
    add("--soak", type=float, default=0, metavar="MINUTES", help="invert; train")
    add("--work", type=Path, default=Path("runs/campaign"), help="folder")
    add("--out", type=Path, metavar="FILE.md", help="page for the table")
    return parser.parse_args()


def _rows(args) -> list[Row]:
    counts = {"kill -9": args.rounds}
    rows = [
        Row(f"{trial}/{command.name}", counts.get(trial, args.other_rounds))
        for trial in trials.TRIALS
        for command in COMMANDS
    ]
    return [row for row in rows if any(fnmatchcase(row.name, p) for p in args.only)]


def _run_rows(rows: list[Row], kept: records.Records, args) -> None:
    """What is missing of all rows; those that need a weaker server come last."""
    left = [row for row in rows if kept.done(row.name) < row.rounds]
    progress = _Progress(sum(row.rounds - kept.done(row.name) for row in left))
    weak = [row for row in left if row.name.startswith("read-only/")]
    strong = [row for row in left if row not in weak]
    prefix: tuple[str, ...] = ()
    if trials.is_root() and not shutil.which("setpriv"):
        for row in weak:
            kept.note(row.name, "skipped: root without setpriv can write everywhere")
        weak = []
    elif trials.is_root():
        prefix = trials.READ_ONLY_PREFIX
    known: dict[str, trials.Whole] = {}
    for group, how in ((strong, ()), (weak, prefix)):
        if group:
            with forks.serving(args.work.resolve() / "server", how) as server:
                bench = trials.Bench(args.work.resolve(), server, known)
                for part in range(1, _PARTS + 1):  # a stop finds all rows equally far
                    for row in group:
                        some = row._replace(rounds=-(-row.rounds * part // _PARTS))
                        _run_row(some, bench, kept, progress)


def _run_row(row: Row, bench: trials.Bench, kept: records.Records, progress) -> None:
    trial, _, name = row.name.partition("/")
    (command,) = (c for c in COMMANDS if c.name == name)
    chained = trial in trials.CHAINS
    while (number := kept.done(row.name)) < row.rounds:
        bench.chain = min(trials.CHAIN, row.rounds - number)
        rounds = bench.chain if chained else 1
        draw = random.Random(f"{row.name} {number}")
        try:
            faults = trials.TRIALS[trial](bench, command, draw)
        except trials.Skipped as why:
            kept.note(row.name, f"skipped: {why}")
            return
        except (trials.Failed, CannotMake) as error:  # nothing was counted
            if not number:
                kept.note(row.name, f"failed: {error}", wrong=1)
            print(f"{row.name} failed: {error}", flush=True)
            return
        kept.add(row.name, faults, rounds)
        done = number + rounds
        progress.step(f"{row.name} {done} of {row.rounds}", rounds)
        for fault in faults:
            print(f"  {fault.kind}: {fault.what}", flush=True)


class _Progress:
    """Prints what is done and how long the rest will take at this pace."""

    def __init__(self, total: int):
        self._total, self._done, self._begun = total, 0, time.monotonic()

    def step(self, what: str, rounds: int) -> None:
        self._done += rounds
        pace = (time.monotonic() - self._begun) / self._done
        left = pace * (self._total - self._done) / 60
        print(f"{what}; {pace:.1f} s a round, {left:.0f} min left", flush=True)


def _run_script(name: str, script: str, count: int, kept: records.Records) -> None:
    """Another script of this folder, unless as many files have been tried."""
    if kept.rows.get(name, {}).get("count", 0) >= count:
        return
    print(f"{name}: {count:,} ...", flush=True)
    path = Path(__file__).with_name(script)
    command = [sys.executable, "-W", "ignore", str(path), "--count", str(count)]
    done = subprocess.run(
        command, cwd=forks.ROOT, env=forks.environment(), stdout=subprocess.PIPE
    )
    said = done.stdout.decode(errors="replace")
    kept.note(name, _in_a_line(said), count=count, wrong=int(done.returncode != 0))


def _in_a_line(said: str) -> str:
    """The row "all" of a table under its head, or the text itself."""
    table = [re.findall(r"[^|]+", line) for line in said.splitlines() if "|" in line]
    pairs = zip(table[0], table[-1], strict=True) if len(table) > 1 else ()
    cells = [f"{head.strip()} {value.strip()}" for head, value in pairs]
    return ", ".join(cells[1:]) or " ".join(said.split())


def _soak(kept: records.Records, args) -> None:
    kind = "soak of {}".format
    done = [kept.rows.get(kind(n), {}).get("minutes", 0) for n in soak.NAMES]
    if min(done) >= args.soak:
        return
    folder = args.work.resolve()
    with forks.serving(folder / "server") as server:
        trials.Bench(folder, server, {})  # makes the inputs
        print(f"soaks: {args.soak:g} minutes ...", flush=True)
        for name, soaked in soak.soak(server, folder, args.soak).items():
            kept.note(kind(name), str(soaked), minutes=args.soak, mib=soaked.mib)


if __name__ == "__main__":
    sys.exit(main())
