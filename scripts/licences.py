"""Writes docs/licences.md: the licence of every package that requirements.txt pins.

    .venv/bin/python scripts/licences.py

It reads what the installed packages say of themselves. A licence that it does not know,
or that MIT software cannot depend on, ends it with the package's name.
"""

import re
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/licences.md"
PACKAGE = "hyperstyle_jax"

# SPDX names of what MIT software may depend on without changing its own terms. MPL-2.0
# asks that changes of its own files stay under it, no more; GPL would ask it of ours.
ALLOWED = {
    "0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC",
    "MIT", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Unlicense", "Zlib",
}  # fmt: skip
# What packages write instead, as their License or as the last part of a classifier.
OTHER_NAMES = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 3-Clause License": "BSD-3-Clause",
    "BSD License": "BSD",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
# Needed on Windows only, so not installed here: read off the files of these packages.
ON_WINDOWS = {"colorama": "BSD-3-Clause", "nest-asyncio": "BSD-2-Clause"}

HEAD = """\
# Licences

hyperstyle_jax is under the MIT licence (LICENSE). It holds no code of the packages
below: pip installs them beside it. Made by `make licences` from what the packages of
requirements.txt say of themselves. "Running" are those that the package needs to run,
with all that they need; "development" serve tests, checks and TensorBoard alone.

| package | version | licence | for |
|---|---|---|---|
"""


def main() -> None:
    running = needed_by(PACKAGE)
    rows = []
    for name, version in pinned().items():
        name_of_licence = ON_WINDOWS.get(name) or licence(name)
        if not is_allowed(name_of_licence):
            raise SystemExit(f"{name}: MIT software cannot depend on {name_of_licence}")
        is_needed = name in running or name in ON_WINDOWS
        purpose = "running" if is_needed else "development"
        rows.append(f"| {name} | {version} | {name_of_licence} | {purpose} |\n")
    PAGE.write_text(HEAD + "".join(rows))
    print(f"{len(rows)} packages in {PAGE.relative_to(ROOT)}")


def pinned() -> dict[str, str]:
    """{package: version} of requirements.txt, names as packaging normalizes them."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = [re.match(r"([\w.-]+)==([^\s;]+)", line) for line in lines]
    return {normalized(pin[1]): pin[2] for pin in pins if pin}


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(name: str) -> str:
    """An installed package's licence, as an SPDX expression.

    Raises:
        SystemExit: the package names no licence that OTHER_NAMES knows.
    """
    about = metadata.metadata(name)
    if about["License-Expression"]:
        return about["License-Expression"]
    # Some packages put the whole text here: its first line is its name.
    first = (about["License"] or "").strip().partition("\n")[0].strip()
    classifiers = about.get_all("Classifier") or []
    names = [c.rpartition(" :: ")[2] for c in classifiers if c.startswith("License")]
    for said in [first, *names]:
        said = OTHER_NAMES.get(said, said)
        if is_allowed(said):
            return said
    raise SystemExit(f"{name}: which licence is {[first, *names]}? See OTHER_NAMES")


def is_allowed(expression: str) -> bool:
    """Whether MIT software can depend on it; "OR" leaves the choice, "AND" does not."""
    return any(
        all(part.strip() in ALLOWED for part in choice.split(" AND "))
        for choice in expression.split(" OR ")
    )


def needed_by(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """All packages that an installed one needs to run, its own needs' needs too."""
    seen, left = set(), [(name, extras)]
    while left:
        name, extras = left.pop()
        for line in metadata.requires(name) or []:
            need = Requirement(line)
            item = (normalized(need.name), frozenset(need.extras))
            wanted = need.marker is None or any(
                need.marker.evaluate({"extra": extra}) for extra in extras or {""}
            )
            if wanted and item not in seen:
                seen.add(item)
                left.append(item)
    return {name for name, _ in seen}


if __name__ == "__main__":
    main()
