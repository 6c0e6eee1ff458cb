"""Finds the images of a data set by split, and checks that they are all there."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hyperstyle_jax.data import walking
from hyperstyle_jax.data.entries import File
from hyperstyle_jax.data.published import DATASETS, Splits


class Dataset(NamedTuple):
    """A data set's images by split, and the numbers of images that are not read."""

    splits: Splits
    left_out: dict[str, int]  # {".heic": 6}


def find(name: str, sources: Sequence[str], animal: str = "wild") -> Dataset:
    """The images of a data set by split: "train", and "test" where it has one.

    Files that cannot be opened are in the first split, with the problem that they have.

    Args:
        name: one of `published.DATASETS`.
        sources: folders, zip files, bucket addresses; for celeba-hq also text files.
        animal: the part of afhq to take.

    Raises:
        ValueError: a source is missing, or is not this data set.
    """
    if not sources:
        raise ValueError(f"{name}: got no source, expected folders or zip files")
    published = DATASETS[name]
    places = [source for source in sources if not source.endswith(".txt")]
    named_by_source = published.named_by_source or len(sources) > 1
    prefixes = [f"{walking.source_name(p)}/" if named_by_source else "" for p in places]
    listing = walking.find(places, prefixes=prefixes)
    unopened = [file for file in listing.files if file.problem]
    images = [file for file in listing.files if not file.problem]
    if not images:
        error = walking.no_image(", ".join(sources), listing.left_out)
        for file in unopened[:1]:
            error += f"; first problem: {file.path}: {file.problem}"
        raise ValueError(error)
    _check_names(images)
    splits = published.divide(images, sources, animal)
    splits = {split: files for split, files in splits.items() if files}
    first = next(iter(splits))
    return Dataset(splits | {first: [*unopened, *splits[first]]}, listing.left_out)


def check_counts(name: str, splits: Splits, animal: str = "wild") -> None:
    """Refuses a data set in which images are missing, or that has too many.

    Args:
        name, animal: as in `find`.

    Raises:
        ValueError: says how many there are of each split, and how many there should be.
    """
    editions = DATASETS[name].editions(animal)
    counts = {
        split: sum(not file.problem for file in files)
        for split, files in splits.items()
    }
    if editions and counts not in editions:
        wanted = " or ".join(map(_listed, editions))
        raise ValueError(
            f"{name}: got {_listed(counts)}; expected {wanted}; give all of the data "
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


def _listed(counts: Mapping[str, int]) -> str:
    """As "8,144 train, 8,041 test"."""
    return ", ".join(f"{count:,} {split}" for split, count in counts.items())
