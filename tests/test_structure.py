"""The package's rooms and doors, read off its syntax trees; nothing is imported."""

import ast
import re
import statistics
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
    # 3, training of the networks, official weights in and out, photographs of people
    "training": 3,
    "convert": 3,
    "photos": 3,
    # 4, programs that measure
    "parity": 4,
    "evaluation": 4,
    "benchmark": 4,
    # 5, the commands, and the page that one of them serves
    "app": 5,
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
    "jax.experimental.ode": {"editing.ode"},
    "dlib": {"photos.landmarks.dlib"},
    "mediapipe": {"photos.landmarks.mediapipe"},
    "imageio_ffmpeg": {"images.video"},
    "gradio": {"app"},
    "starlette": {"app"},
    "tensorboardX": {"loop.boards"},
    "wandb": {"loop.boards"},
    # Configs end at the tasks: below, functions take plain values.
    "ml_collections": {"config", "training"},
}
NOWHERE = {"torch", "torchvision", "tensorflow", "cv2", "flax.nnx", "haiku"}
IMPORTS = (ast.Import, ast.ImportFrom)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# The loop is told in one piece, because its order is what it is about.
LONG_FUNCTIONS = {"loop.fit.fit"}


def inner(name: str) -> set[str]:
    """The modules of this package that a module imports."""
    names = set()
    for target in imports(name):
        top, _, rest = target.partition(".")
        if top == "hyperstyle_jax" and rest:
            parent = rest.rpartition(".")[0]
            names.add(rest if rest in modules() else parent)
    return names


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
    """`import hyperstyle_jax` and the command's parser load no jax and no NumPy."""
    light = {*sys.stdlib_module_names, "hyperstyle_jax"}
    commands = {name for name in modules() if within(name, {"cli"})}
    waiting, seen = {"", "__main__"} | commands, set()
    while waiting:
        seen.add(name := waiting.pop())
        heavy = {n for n in imports_at_once(name) if n.partition(".")[0] not in light}
        assert not heavy, f"{name or 'hyperstyle_jax'} imports {heavy}"
        targets = {n.partition(".")[2] for n in imports_at_once(name)}
        waiting |= {m for m in modules() for t in targets if within(t, {m})} - seen


def imports_at_once(name: str) -> set[str]:
    """What a module imports while it is imported itself, by full dotted names."""
    statements = [n for n in modules()[name].body if isinstance(n, IMPORTS)]
    return imported(ast.Module(statements, []))


def test_files_fit_in_a_head():
    for path in [*PACKAGE.rglob("*.py"), *beside()]:
        lines = len(path.read_text().splitlines())
        # The tables of official names are as long as the official networks.
        most = 650 if "convert" in str(path.relative_to(ROOT)) else 400
        assert lines <= most, f"{path.relative_to(ROOT)} has {lines} lines"


def test_half_of_the_files_are_short():
    lengths = [len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")]
    assert statistics.median(lengths) <= 150


@pytest.mark.parametrize("room", FLOORS)
def test_functions_fit_on_a_screen(room):
    lengths = {
        f"{name}.{node.name}": node.end_lineno - node.lineno + 1
        for name in modules()
        if within(name, {room})
        for node in ast.walk(modules()[name])
        if isinstance(node, FUNCTIONS)
    }
    assert {k for k, n in lengths.items() if n > 60} <= LONG_FUNCTIONS


@pytest.mark.parametrize("room", FLOORS)
def test_everything_public_is_described(room):
    """Modules, classes, functions and methods; names with "_" are not public.

    A method that overrides one of a base class in the same module is described there.
    """
    names = [name for name in modules() if within(name, {room})]
    assert not [text for name in names for text in undescribed(name)]


def undescribed(module: str) -> list[str]:
    tree = modules()[module]
    classes = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef)}
    lacking = [] if ast.get_docstring(tree) else [module]
    for node in public(tree):
        if not ast.get_docstring(node):
            lacking.append(f"{module}.{node.name}")
        if isinstance(node, ast.ClassDef):
            bases = [classes.get(getattr(base, "id", "")) for base in node.bases]
            inherited = {m.name for base in bases if base for m in public(base)}
            for method in public(node):
                if not ast.get_docstring(method) and method.name not in inherited:
                    lacking.append(f"{module}.{node.name}.{method.name}")
    return lacking


def public(owner: ast.Module | ast.ClassDef) -> list:
    """The public classes and functions of a module, or methods of a class."""
    kinds = (*FUNCTIONS, ast.ClassDef)
    nodes = [node for node in owner.body if isinstance(node, kinds)]
    return [node for node in nodes if not node.name.startswith("_")]


def test_no_file_knows_this_machine():
    pattern = re.compile(r"""["'\s(=]/(?:work|home|root|Users|mnt)/""")
    for path in [*PACKAGE.rglob("*.py"), *beside(), ROOT / "Makefile"]:
        match = pattern.search(path.read_text())
        assert not match, f"{path.relative_to(ROOT)}: {match[0]!r}"
