"""Which result belongs to which target, by their names."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from hyperstyle_jax.data import walking
from hyperstyle_jax.data.entries import File

NPZ = ".npz"
_BESIDE = ("_iterations", "_crop")  # what `hyperstyle invert` writes beside results
_SHOWN = 5


class Pair(NamedTuple):
    """A result and its target."""

    name: str
    result: File
    target: File


def find(
    results: Iterable[str | Path], targets: Iterable[str | Path], npz: bool
) -> list[Pair]:
    """Pairs of equal names, without folders and endings, sorted.

    In a folder that `hyperstyle invert` has filled, STEM_iterations.png and
    STEM_crop.png are no results; as a target STEM_crop.png is that of STEM.

    Args:
        results, targets: folders, files and zip files.
        npz: whether results are `.npz` inversions, not pictures.

    Raises:
        ValueError: names what has no partner, or is there twice.
    """
    ours = _by_name(_files(results, npz), "results", results=True)
    theirs = _by_name(_files(targets, False), "targets", results=False)
    _refuse("results without a target", ours.keys() - theirs.keys())
    _refuse("targets without a result", theirs.keys() - ours.keys())
    same = [name for name in ours if ours[name].path == theirs[name].path]
    _refuse("results that are their own target", same)
    return [Pair(name, ours[name], theirs[name]) for name in sorted(ours)]


def _files(sources, npz: bool) -> list[File]:
    suffixes = {"suffixes": (NPZ,)} if npz else {}
    listing = walking.find([str(source) for source in sources], **suffixes)
    if listing.empty:
        kind = "no .npz file" if npz else "no picture"
        raise ValueError(f"{listing.empty[0]}: {kind} in it")
    if broken := [file for file in listing.files if file.problem]:
        raise ValueError(f"{broken[0].path}: {broken[0].problem}")
    return listing.files


def _by_name(files: list[File], title: str, results: bool) -> dict[str, File]:
    stems = {_stem(file) for file in files}
    named: dict[str, File] = {}
    for file in files:
        name = _stem(file)
        bare, beside = _without(name)
        if beside and bare in stems and (results or beside != "_crop"):
            continue  # it stands beside the result of this name
        if not results and f"{name}_crop" in stems:
            continue  # the crop is the target, and this a result
        if not results and beside == "_crop":
            name = bare
        if name in named:
            raise ValueError(
                f"two {title} are called {name}: {named[name].path} and {file.path}"
            )
        named[name] = file
    return named


def _stem(file: File) -> str:
    return Path(file.path).stem


def _without(stem: str) -> tuple[str, str]:
    for ending in _BESIDE:
        if stem.endswith(ending):
            return stem.removesuffix(ending), ending
    return stem, ""


def _refuse(what: str, names: Iterable[str]) -> None:
    if names := sorted(names):
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        raise ValueError(
            f"{len(names)} {what}: {', '.join(names[:_SHOWN])}{more}; every result "
            "needs the target of its name, and the other way round"
        )
