"""setup.cfg says the truth: names, versions, entry point, what the code imports."""

import configparser
import functools
import importlib
import re
import sys
import tomllib
from importlib import metadata

from packaging.requirements import Requirement
from paths import ROOT
from syntax_trees import imports, modules

# What jax brings along and decides the version of.
BROUGHT = {"jaxlib", "ml-dtypes"}
# Modules of extras whose packages have other names.
EXTRAS = {"dlib": "dlib-bin"}


def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def requirements(*extras: str) -> dict[str, Requirement]:
    config = setup()
    lines = config["options"]["install_requires"].split("\n")
    for extra in extras:
        lines += config["options.extras_require"][extra].split("\n")
    found = [Requirement(line) for line in lines if line]
    return {normalized(r.name): r for r in found}


@functools.cache
def pins() -> dict[str, tuple[Requirement, list[str]]]:
    """{package: (its pin, the sums of its files)} of requirements.txt."""
    lines = (ROOT / "requirements.txt").read_text().replace("\\\n", " ").splitlines()
    found = {}
    for line in lines:
        if line.strip() and not line.strip().startswith("#"):
            pin, *sums = line.split("--hash=")
            requirement = Requirement(pin)
            found[normalized(requirement.name)] = requirement, sums
    return found


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_metadata():
    config = setup()["metadata"]
    assert config["name"] == "hyperstyle_jax" and config["license"] == "MIT"
    assert re.fullmatch(r"\d+\.\d+\.\d+", config["version"])
    assert (ROOT / config["license_files"]).exists()
    assert setup()["options"]["python_requires"] == ">=3.11"
    classifiers = config["classifiers"]
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"Python :: {here}" in classifiers


def test_pyproject_holds_tools_only():
    """Metadata stands in setup.cfg; what the table must name is dynamic."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project.keys() == {"build-system", "project", "tool"}
    assert project["project"].keys() == {"name", "dynamic"}
    assert project["project"]["name"] == setup()["metadata"]["name"]


def test_the_command_starts_where_setup_cfg_says():
    line = setup()["options.entry_points"]["console_scripts"].strip()
    command, module, function = re.fullmatch(r"(\w+) = ([\w.]+):(\w+)", line).groups()
    assert command == "hyperstyle"
    assert callable(getattr(importlib.import_module(module), function))


def test_every_import_is_declared():
    extras = set(setup()["options.extras_require"]) - {"test"}
    declared = {*requirements(*extras), *BROUGHT}
    owners = metadata.packages_distributions()
    tops = {n.partition(".")[0] for name in modules() for n in imports(name)}
    tops -= {*sys.stdlib_module_names, "hyperstyle_jax"}
    for top in sorted(tops):
        # What an extra brings need not be installed; mostly its package has the name.
        given = {normalized(o) for o in owners.get(top, [EXTRAS.get(top, top)])}
        assert given & declared, f"{top} is imported, but setup.cfg has none of {given}"


def test_pinned_versions_are_what_setup_cfg_allows():
    for name, wanted in requirements("test", "tensorboard").items():
        pin, _ = pins()[name]
        (version,) = [s.version for s in pin.specifier]
        assert wanted.specifier.contains(version), f"{name} {version}"


def test_every_package_is_pinned_with_the_sums_of_its_files():
    for name, (pin, sums) in pins().items():
        assert [s.operator for s in pin.specifier] == ["=="], name
        assert sums, f"{name} has no --hash"
        for line in sums:
            assert re.fullmatch(r"sha256:[0-9a-f]{64}", line.strip()), name


def test_requirements_name_no_host():
    text = (ROOT / "requirements.txt").read_text()
    assert not re.search(r"//|--(extra-)?index|--find-links", text)
