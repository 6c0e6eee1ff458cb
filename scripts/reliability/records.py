"""The campaign's counts: kept in a JSON file, shown as a markdown table."""

import datetime
import importlib.metadata
import json
import os
import platform
from collections import Counter
from pathlib import Path
from typing import Any

from faults import KINDS, Fault

_NOTES = 20  # faults that are kept in words, for each row
BEGIN, END = "<!-- campaign: begin -->", "<!-- campaign: end -->"
_LIBRARIES = ("jax", "flax", "orbax-checkpoint", "numpy", "pillow")


class Records:
    """Rows by name; each change is written at once, so that a campaign can go on."""

    def __init__(self, path: Path):
        self._path = path
        self.rows: dict[str, dict[str, Any]] = {}
        if path.exists():
            self.rows = json.loads(path.read_text())

    def done(self, name: str) -> int:
        """How many rounds of a row have been run."""
        return self.rows.get(name, {}).get("rounds", 0)

    def add(self, name: str, faults: list[Fault], rounds: int = 1) -> None:
        """Counts some rounds."""
        if "said" in self.rows.get(name, ()):  # it could not run until now
            del self.rows[name]
        row = self.rows.setdefault(name, {"rounds": 0, "notes": []})
        row["rounds"] += rounds
        counts = Counter(fault.kind for fault in faults)
        for kind in KINDS:
            row[kind] = row.get(kind, 0) + counts[kind]
        row["notes"] = (row["notes"] + [f"{f.kind}: {f.what}" for f in faults])[:_NOTES]
        self._save(name)

    def note(self, name: str, said: str, **more) -> None:
        """Keeps what another script, or a soak, has said; or why a row is skipped."""
        self.rows[name] = {"said": said, **more}
        self._save(name)

    def _save(self, name: str) -> None:
        self.rows[name]["where"] = _where()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps(self.rows, indent=1) + "\n")
        os.replace(part, self._path)

    def faults(self) -> int:
        return sum(row.get(kind, 0) for row in self.rows.values() for kind in KINDS)

    def markdown(self) -> str:
        """The machines, the table of rounds, and a line for everything else."""
        places = sorted({row["where"] for row in self.rows.values()})
        lines = [*places, "", f"| | command | rounds | {' | '.join(KINDS)} |"]
        lines.append("| --- | --- |" + " ---: |" * (1 + len(KINDS)))
        trials = [name.partition("/")[0] for name in self.rows]
        for name in sorted(self.rows, key=lambda n: trials.index(n.partition("/")[0])):
            row = self.rows[name]
            if "rounds" in row:
                trial, _, command = name.partition("/")
                cells = [f"{row[key]:,}" for key in ("rounds", *KINDS)]
                lines.append(f"| {trial} | {command} | {' | '.join(cells)} |")
        others = {name: row for name, row in self.rows.items() if "said" in row}
        lines += ["", *(f"- {name}: {row['said']}" for name, row in others.items())]
        notes = {name: row.get("notes", ()) for name, row in self.rows.items()}
        seen = [f"- {name}: {what}" for name in notes for what in notes[name]]
        if seen:
            lines += ["", "Faults:", "", *seen]
        text = "\n".join(lines).rstrip() + "\n"
        return text.replace(str(self._path.parent.resolve()), "WORK")


def write_page(page: Path, table: str) -> None:
    """Puts the table between its marks in a page, and makes a missing page."""
    text = page.read_text() if page.exists() else f"# Reliability\n\n{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{page} has no {BEGIN} … {END}: put both lines into it")
    page.write_text(f"{before}{BEGIN}\n{table}{END}{after}")


def _where() -> str:
    """Machine, date and versions, in one line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    versions = [f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES]
    python = f"Python {platform.python_version()}"
    today = datetime.date.today().isoformat()
    return f"{machine}, {memory:.0f} GiB; {today}; {python}, {', '.join(versions)}."
