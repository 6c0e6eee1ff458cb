"""The package's rooms and doors, read off its syntax trees; nothing is imported."""

import ast
import re
import sys
from pathlib import Path

import pytest
from paths import ROOT
from syntax_trees import PACKAGE, beside, imported, imports, modules, parsed

# Imports go downwards or stay on their floor; the room's name decides.
FLOORS = {
    # 0, the ground: single nouns, networks, files, the drawn domain
    "system": 0,
    "config": 0,
    "trees": 0,
    "net": 0,
    "metrics": 0,
    "plots": 0,
    "models": 0,
    "faces": 0,
    "torch_format": 0,
    # 1, images and networks on disk, functions of Nets and arrays
    "images": 1,
    "losses": 1,
    "offsets": 1,
    "weights": 1,
    # 2, data, methods, edits, the loop that trains anything
    "data": 2,
    "inversion": 2,
    "editing": 2,
    "loop": 2,
    # 3, training of the networks, official weights in and out
    "training": 3,
    "convert": 3,
    # 4, programs that measure
    "parity": 4,
    "evaluation": 4,
    "benchmark": 4,
    # 5, the commands
    "cli": 5,
}
# Each library that touches the outside enters by one file (or one folder).
DOORS = {
    "PIL": {"images"},
    "tensorflow_datasets": {"data.builders", "data.tfds_format"},
    "array_record": {"data.shards"},
    "etils": {"data.walking", "data.text_tables"},
    "grain": {"data.pipeline"},
    "orbax": {"loop.checkpoint"},
    "safetensors": {"weights.safetensors_reader"},
    "matplotlib": {"plots"},
    "tensorboardX": {"loop.boards"},
    "wandb": {"loop.boards"},
    # Configs end at the tasks: below, functions take plain values.
    "ml_collections": {"config", "training"},
}
NOWHERE = {"torch", "torchvision", "tensorflow", "cv2", "flax.nnx", "haiku"}


def inner(name: str) -> set[str]:
    """The modules of this package that a module imports."""
    found = set()
    for target in imports(name):
        top, _, rest = target.partition(".")
        if top == "hyperstyle_jax" and rest:
            parent = rest.rpartition(".")[0]
            found.add(rest if rest in modules() else parent)
    return found


def floor(name: str) -> int:
    room = name.partition(".")[0]
    assert room in FLOORS, f"give {room} a floor in {Path(__file__).name}"
    return FLOORS[room]


def rooms() -> list[str]:
    return [name for name in modules() if name not in ("", "__main__")]


def within(name: str, places: set[str]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def test_imports_go_downwards():
    upwards = [
        f"{name} ({floor(name)}) imports {other} ({floor(other)})"
        for name in rooms()
        for other in inner(name)
        if floor(other) > floor(name)
    ]
    assert not upwards


def test_no_circles():
    done, path = set(), []

    def visit(name):
        assert name not in path, " → ".join([*path[path.index(name) :], name])
        if name not in done:
            path.append(name)
            for other in sorted(inner(name)):
                visit(other)
            done.add(path.pop())

    for name in rooms():
        visit(name)


def test_modules_are_imported_by_name_in_tables_only():
    """An import by a computed name could hide a circle from the test above."""
    users = {name for name in modules() if imports_by_name(name)}
    assert users == {"", "cli.main", "weights.specs"}


def imports_by_name(name: str) -> bool:
    used = {getattr(n, "attr", getattr(n, "id", "")) for n in ast.walk(modules()[name])}
    return bool(
        used & {"import_module", "__import__"}
        or "importlib.import_module" in imports(name)
    )


# What a training step is made of takes plain values, not the config.
STEP_PARTS = (
    "augment common criteria factors gan_losses iterations latent_losses optimizers "
    "report sources"
)


@pytest.mark.parametrize("part", STEP_PARTS.split())
def test_parts_of_a_training_step_know_no_config(part):
    name = f"training.{part}"
    assert not within_any(imports(name), "ml_collections")
    assert not [other for other in inner(name) if within(other, {"config"})]


@pytest.mark.parametrize(
    ("room", "allowed"),
    [
        # Networks import only each other; the loop knows no network and no method.
        ("models", {"models"}),
        ("loop", {"loop", "system", "images"}),
        ("data", {"data", "faces", "system", "images"}),
        ("torch_format", {"torch_format", "system"}),
        # Weights come in without the programs that train or show them.
        (
            "convert",
            {"convert", "torch_format", "models", "weights", "net", "trees", "offsets"}
            | {"inversion.storage", "system"},
        ),
    ],
)
def test_some_rooms_see_little(room, allowed):
    for name in filter(lambda name: within(name, {room}), rooms()):
        seen = {other for other in inner(name) if not within(other, allowed)}
        assert not seen, f"{name} imports {seen}"


def test_nothing_imports_the_command_line():
    for name in rooms():
        if not within(name, {"cli"}):
            assert not any(within(other, {"cli"}) for other in inner(name)), name


@pytest.mark.parametrize("library", DOORS)
def test_each_library_enters_by_one_door(library):
    used = {name for name in modules() if within_any(imports(name), library)}
    assert used, f"{library} has a door but no use"
    assert {name for name in used if not within(name, DOORS[library])} == set()


def within_any(names, library):
    return any(within(name, {library}) for name in names)


def test_some_libraries_are_nowhere():
    files = [*modules().values(), *(parsed(p) for p in beside())]
    for tree in files:
        assert not [n for n in imported(tree) if within(n, NOWHERE)]


def test_pmap_is_known_in_one_place():
    users = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("pmap", "shard_map")
    }
    assert users == {"loop.parallel"}


def test_what_is_imported_at_once_is_light():
    """`import hyperstyle_jax` and the command's start load no jax."""
    light = {*sys.stdlib_module_names, "hyperstyle_jax"}
    for name in ("", "__main__", "cli", "cli.main"):
        for node in modules()[name].body:
            assert {n.partition(".")[0] for n in imported(statement(node))} <= light


def statement(node):
    """The node itself if it is an import, else an empty module."""
    imports = isinstance(node, (ast.Import, ast.ImportFrom))
    return node if imports else ast.Module([], [])


def test_files_fit_in_a_head():
    for path in [*PACKAGE.rglob("*.py"), *beside()]:
        lines = len(path.read_text().splitlines())
        # The tables of official names are as long as the official networks.
        most = 650 if "convert" in str(path.relative_to(ROOT)) else 400
        assert lines <= most, f"{path.relative_to(ROOT)} has {lines} lines"


def test_no_file_knows_this_machine():
    pattern = re.compile(r"""["'\s(=]/(?:work|home|root|Users|mnt)/""")
    for path in [*PACKAGE.rglob("*.py"), *beside(), ROOT / "Makefile"]:
        found = pattern.search(path.read_text())
        assert not found, f"{path.relative_to(ROOT)}: {found[0]!r}"
