"""Which images of FFHQ, CelebA-HQ, Stanford Cars and AFHQ are for what."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from etils import epath

from hyperstyle_jax.data import walking
from hyperstyle_jax.data.entries import File

Splits = dict[str, list[File]]

ANIMALS = ("cat", "dog", "wild")
# CelebA says of every image what it is for, CelebA-HQ which image of CelebA it is.
_PARTITION = "list_eval_partition.txt"
_MAPPINGS = ("CelebA-HQ-to-CelebA-mapping.txt", "image_list.txt")
_CELEBA_SPLITS = {"0": "train", "1": "validation", "2": "test"}


class _Kind(NamedTuple):
    """`divide(images, sources, animal)`, and the numbers of images as published."""

    divide: Callable[[list[File], Sequence[str], str], Splits]
    published: tuple[dict[str, Any], ...] = ()  # one for each edition


class DataSet(NamedTuple):
    """A data set's images by split, and how many images of which kinds are not read."""

    splits: Splits
    left_out: dict[str, int]


def find(name: str, sources: Sequence[str], animal: str = "wild") -> DataSet:
    """The images of a data set by split: "train", and "test" where it has one.

    Files that cannot be opened are in the first split, with the problem that they have.

    Args:
        name: one of `NAMES`.
        sources: folders, zip files, bucket addresses; for celeba-hq also text files.
        animal: of afhq.

    Raises:
        ValueError: a source is missing, or is not this data set.
    """
    if not sources:
        raise ValueError(f"{name}: got no source, expected folders or zip files")
    places = [source for source in sources if not source.endswith(".txt")]
    # "folder" names images from the source on, the others' folders have a meaning,
    # perhaps the source itself.
    single = name == "folder" and len(sources) == 1
    prefixes = ["" if single else f"{walking.stem(place)}/" for place in places]
    listing = walking.find(places, prefixes=prefixes)
    odd = [file for file in listing.files if file.problem]
    images = [file for file in listing.files if not file.problem]
    if not images:
        first = f"; first problem: {odd[0].path}: {odd[0].problem}" if odd else ""
        raise ValueError(walking.no_image(", ".join(sources), listing.left_out) + first)
    _check_names(images)
    splits = _KINDS[name].divide(images, sources, animal)
    splits = {split: files for split, files in splits.items() if files}
    first = next(iter(splits))
    return DataSet(splits | {first: [*odd, *splits[first]]}, listing.left_out)


def check_counts(name: str, splits: Splits, animal: str = "wild") -> None:
    """Refuses a data set of which images are missing, or too many.

    Raises:
        ValueError: says how many there are of each split, and how many there should be.
    """
    published = _KINDS[name].published
    found = {
        split: sum(not file.problem for file in files)
        for split, files in splits.items()
    }
    if name == "afhq":
        published = tuple(edition[animal] for edition in published)
    if published and found not in published:
        wanted = " or ".join(_counts(edition) for edition in published)
        raise ValueError(
            f"{name}: got {_counts(found)}; expected {wanted}; give all of the data "
            "set and nothing else, or --partial for what is there"
        )


def hold_out(splits: Splits, count: int) -> Splits:
    """Makes the last `count` images of "train" the split "test".

    Raises:
        ValueError: there is a split "test" already, or "train" is too small.
    """
    if not count:
        return splits
    if "test" in splits:
        raise ValueError("--eval-count: this data set has a test split of its own")
    train = splits["train"]
    if not 0 < count < len(train):
        raise ValueError(
            f"--eval-count {count}: expected 1 to {len(train) - 1} of {len(train)}"
        )
    return {"train": train[:-count], "test": train[-count:]}


def _whole(images, sources, animal) -> Splits:
    return {"train": images}


def _celeba_hq(images, sources, animal) -> Splits:
    texts = _texts(sources)
    mapping = next((texts[name] for name in _MAPPINGS if name in texts), None)
    lacking = [] if _PARTITION in texts else [f"{_PARTITION} (of CelebA)"]
    if mapping is None:
        names = f"{_MAPPINGS[0]} (of CelebAMask-HQ) or {_MAPPINGS[1]} (of CelebA-HQ)"
        lacking.append(names)
    if lacking:
        raise ValueError(
            f"celeba-hq: missing {' and '.join(lacking)}, which say what is for "
            "testing; put them beside the source or name them as further sources"
        )
    partition = dict(_rows(texts[_PARTITION], 2))
    original = {int(row[0]): row[2] for row in _rows(mapping, 3) if row[0].isdigit()}
    # CelebAMask-HQ has images of masks beside the photographs.
    photos = [f for f in images if "CelebA-HQ-img" in PurePosixPath(f.name).parts]
    splits = {name: [] for name in _CELEBA_SPLITS.values()}
    for file in photos or images:
        number = PurePosixPath(file.name).stem
        one = original.get(int(number)) if number.isdigit() else None
        what = _CELEBA_SPLITS.get(partition.get(one))
        if what is None:
            raise ValueError(
                f"celeba-hq: {file.name} is not in {mapping.name} and {_PARTITION}; "
                "expected CelebA-HQ's images, named 0.jpg to 29999.jpg or alike"
            )
        splits[what].append(file)
    return splits


def _cars(images, sources, animal) -> Splits:
    meanings = {"cars_train": "train", "cars_test": "test"}
    return _by_folder("stanford-cars", images, meanings)


def _afhq(images, sources, animal) -> Splits:
    mine = [f for f in images if animal in PurePosixPath(f.name).parts[:-1]]
    if not mine:
        raise ValueError(
            f"afhq: no image below a folder {animal}; expected train/{animal} and "
            f"test/{animal} (in the first edition val/{animal})"
        )
    return _by_folder("afhq", mine, {"train": "train", "test": "test", "val": "test"})


def _by_folder(name, images, meanings: dict[str, str]) -> Splits:
    splits = {split: [] for split in meanings.values()}
    for file in images:
        folders = PurePosixPath(file.name).parts[:-1]
        found = {meanings[part] for part in folders if part in meanings}
        if len(found) != 1:
            raise ValueError(
                f"{name}: {file.name} is not below one of the folders "
                f"{', '.join(meanings)}; give the data set as it was published"
            )
        splits[found.pop()].append(file)
    if empty := [split for split, files in splits.items() if not files]:
        folders = " or ".join(k for k, v in meanings.items() if v == empty[0])
        raise ValueError(f"{name}: no image below a folder {folders}; name both")
    return splits


def _texts(sources) -> dict[str, File]:
    """Text files in, beside and among the sources, by name."""
    found = {}
    for source in sources:
        beside = epath.Path(walking.real_path(source)).parent
        near = [beside / name for name in (_PARTITION, *_MAPPINGS)]
        for place in (source, *(str(path) for path in near if path.exists())):
            for file in walking.find([place], (".txt",)).files:
                found.setdefault(PurePosixPath(file.name).name, file)
    return found


def _rows(file: File, columns: int) -> list[list[str]]:
    """The rows of a text table whose columns stand between spaces, header and all."""
    rows = [line.split() for line in _text(file).splitlines()]
    rows = [row for row in rows if row]
    if short := [row for row in rows if len(row) < columns]:
        raise ValueError(
            f"{file.name}: got the line {' '.join(short[0])!r}, expected {columns} or "
            "more columns; fetch it again"
        )
    return [row[:columns] for row in rows]


def _text(file: File) -> str:
    """A text in UTF-8, or as editors of Windows save it: with a mark, or in UTF-16."""
    data = file.read()
    encoding = json.detect_encoding(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file.path}: not a text in {encoding.upper()} ({error.reason}); save it "
            "as UTF-8"
        ) from None


def _check_names(images: list[File]) -> None:
    """Refuses two images of one name, which no report could tell apart."""
    paths = {}
    for file in images:
        if file.name in paths:
            raise ValueError(
                f"{file.name} is the name of two files, {paths[file.name]} and "
                f"{file.path}; rename one of them or its folder"
            )
        paths[file.name] = file.path


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {split}" for split, count in counts.items())


def _editions(train: tuple[int, ...], test: tuple[int, ...]):
    pairs = zip(ANIMALS, train, test, strict=True)
    return {animal: {"train": a, "test": b} for animal, a, b in pairs}


_KINDS = {
    "ffhq": _Kind(_whole, ({"train": 70_000},)),
    "celeba-hq": _Kind(
        _celeba_hq, ({"train": 24_183, "validation": 2_993, "test": 2_824},)
    ),
    "stanford-cars": _Kind(_cars, ({"train": 8_144, "test": 8_041},)),
    # The first edition, and the second one of better quality.
    "afhq": _Kind(
        _afhq,
        (
            _editions((5153, 4739, 4738), (500, 500, 500)),
            _editions((5065, 4678, 4593), (493, 491, 483)),
        ),
    ),
    "folder": _Kind(_whole),
}
NAMES = tuple(_KINDS)
