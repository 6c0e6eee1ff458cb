"""The data sets that `hyperstyle prepare` knows: FFHQ, CelebA-HQ, Stanford Cars, AFHQ.

A row of `DATASETS` says how the images of a data set are divided into splits, and how
many of them were published. The command line reads this table when it starts, so this
module imports nothing that takes long.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hyperstyle_jax.data.entries import File

Splits = dict[str, list["File"]]

ANIMALS = ("cat", "dog", "wild")
# CelebA lists the split of every image, CelebA-HQ which image of CelebA each of its
# own is.
_PARTITION = "list_eval_partition.txt"
_MAPPINGS = ("CelebA-HQ-to-CelebA-mapping.txt", "image_list.txt")
_CELEBA_SPLITS = {"0": "train", "1": "validation", "2": "test"}


class Published(NamedTuple):
    """How a data set was published.

    Attributes:
        divide: (images, sources, animal) → {split: images}. Raises ValueError for
            images that are not of this data set.
        counts: the numbers of images by split, one row for each edition; with
            `animals` by animal and split. () where any number is right.
        animals: whether the data set has a part for each of `ANIMALS`.
        named_by_source: whether the names of images begin with the name of their
            source even if there is only one source, because folders have a meaning.
    """

    divide: Callable[[list["File"], Sequence[str], str], Splits]
    counts: tuple[Mapping, ...] = ()
    animals: bool = False
    named_by_source: bool = True

    def editions(self, animal: str) -> list[Mapping[str, int]]:
        """The published numbers of images by split, one for each edition."""
        return [edition[animal] if self.animals else edition for edition in self.counts]


def _all_for_training(images, sources, animal) -> Splits:
    return {"train": images}


def _celeba_hq(images, sources, animal) -> Splits:
    # The import is here because reading tables takes libraries that start slowly.
    from hyperstyle_jax.data import text_tables

    tables = text_tables.find(sources, (_PARTITION, *_MAPPINGS))
    mapping = next((tables[name] for name in _MAPPINGS if name in tables), None)
    lacking = [] if _PARTITION in tables else [f"{_PARTITION} (of CelebA)"]
    if mapping is None:
        names = f"{_MAPPINGS[0]} (of CelebAMask-HQ) or {_MAPPINGS[1]} (of CelebA-HQ)"
        lacking.append(names)
    if lacking:
        raise ValueError(
            f"celeba-hq: missing {' and '.join(lacking)}, which say what is for "
            "testing; put them beside the source or name them as further sources"
        )
    partition = dict(text_tables.rows(tables[_PARTITION], 2))
    mapping_rows = text_tables.rows(mapping, 3)
    originals = {int(row[0]): row[2] for row in mapping_rows if row[0].isdigit()}
    # CelebAMask-HQ has images of masks beside the photographs.
    photos = [f for f in images if "CelebA-HQ-img" in PurePosixPath(f.name).parts]
    splits = {name: [] for name in _CELEBA_SPLITS.values()}
    for file in photos or images:
        number = PurePosixPath(file.name).stem
        original = originals.get(int(number)) if number.isdigit() else None
        split = _CELEBA_SPLITS.get(partition.get(original))
        if split is None:
            raise ValueError(
                f"celeba-hq: {file.name} is not in {mapping.name} and {_PARTITION}; "
                "expected CelebA-HQ's images, named 0.jpg to 29999.jpg or alike"
            )
        splits[split].append(file)
    return splits


def _stanford_cars(images, sources, animal) -> Splits:
    split_of_folder = {"cars_train": "train", "cars_test": "test"}
    return _by_folder("stanford-cars", images, split_of_folder)


def _afhq(images, sources, animal) -> Splits:
    chosen = [f for f in images if animal in PurePosixPath(f.name).parts[:-1]]
    if not chosen:
        raise ValueError(
            f"afhq: no image below a folder {animal}; expected train/{animal} and "
            f"test/{animal} (in the first edition val/{animal})"
        )
    return _by_folder("afhq", chosen, {"train": "train", "test": "test", "val": "test"})


def _by_folder(name, images, split_of_folder: Mapping[str, str]) -> Splits:
    """Divides images by the folders that they are in, at any depth."""
    splits = {split: [] for split in split_of_folder.values()}
    for file in images:
        folders = PurePosixPath(file.name).parts[:-1]
        chosen = {split_of_folder[part] for part in folders if part in split_of_folder}
        if len(chosen) != 1:
            raise ValueError(
                f"{name}: {file.name} is not below one of the folders "
                f"{', '.join(split_of_folder)}; give the data set as it was published"
            )
        splits[chosen.pop()].append(file)
    if empty := [split for split, files in splits.items() if not files]:
        folders = " or ".join(k for k, v in split_of_folder.items() if v == empty[0])
        raise ValueError(f"{name}: no image below a folder {folders}; name both")
    return splits


def _afhq_edition(train: Sequence[int], test: Sequence[int]) -> dict:
    counts = zip(ANIMALS, train, test, strict=True)
    return {animal: {"train": a, "test": b} for animal, a, b in counts}


DATASETS = {
    "ffhq": Published(_all_for_training, ({"train": 70_000},)),
    "celeba-hq": Published(
        _celeba_hq, ({"train": 24_183, "validation": 2_993, "test": 2_824},)
    ),
    "stanford-cars": Published(_stanford_cars, ({"train": 8_144, "test": 8_041},)),
    "afhq": Published(
        _afhq,
        (
            # the first edition, and the second one of better quality
            _afhq_edition((5153, 4739, 4738), (500, 500, 500)),
            _afhq_edition((5065, 4678, 4593), (493, 491, 483)),
        ),
        animals=True,
    ),
    "folder": Published(_all_for_training, named_by_source=False),
}
