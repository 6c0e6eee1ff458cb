"""Prepares data sets: crops, resizes and stores the images of folders and archives."""

import os
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from hyperstyle_jax import images
from hyperstyle_jax.data import (
    datasets,
    leaks,
    shard_files,
    shards,
    tfds_format,
    walking,
)
from hyperstyle_jax.data import labels as label_tables
from hyperstyle_jax.data.entries import File, left_out_line
from hyperstyle_jax.data.published import DATASETS
from hyperstyle_jax.data.shards import MadeExample
from hyperstyle_jax.system import atomic_files, threads

_SHARD_PIXELS = 1024 * 256 * 256  # about 100 MB of PNG


def prepare(
    name: str,
    sources: Sequence[str],
    out: str | Path,
    size: int,
    height: int = 0,
    animal: str = "wild",
    eval_count: int = 0,
    accept_partial: bool = False,
    labels: str | Path = "",
) -> dict[str, Any]:
    """Crops, resizes and stores a data set; the same call again continues.

    Args:
        name: one of `published.DATASETS`. sources, animal: as in `datasets.find`.
        out: folder of the data set, for `config.data.path`.
        size: width in pixels. height: in pixels; 0 for squares.
        eval_count: how many of the last training images become the split "test".
        accept_partial: whether fewer images than published are all right.
        labels: a table of what is known of the images, see `labels.read`; it goes with
            the data set, as labels.jsonl.

    Returns:
        The content of `report.json`: `counts` {split: stored}, `skipped` {name: why},
        `leaks` [(split: name, split: name)], `left_out` {ending: count} of images of
        kinds that are not read, `notes` {"enlarged": count}, `shards`, `sha256`.

    Raises:
        ValueError: sources that are not this data set, no readable image, or a
            folder of something else.
        MemoryError: names the image that does not fit into memory; no image is left
            out for it, and the same call continues later.
    """
    if "://" in str(out):
        raise ValueError(f"{out}: expected a local folder; copy it to the bucket later")
    rows = label_tables.rows_of_file(labels) if labels else []
    splits, left_out = datasets.find(name, sources, animal)
    if labels:
        names = [file.name for files in splits.values() for file in files]
        label_tables.read(labels).rows_of(names)
    if not accept_partial:
        datasets.check_counts(name, splits, animal)
    splits = datasets.hold_out(splits, eval_count)
    full_name = f"{name}_{animal}" if DATASETS[name].animals else name
    report = _store(splits, out, full_name.replace("-", "_"), size, height)
    if rows:
        table = Path(out) / label_tables.NAME
        atomic_files.write_whole(table, label_tables.to_jsonl(rows))
    return report | {"leaks": _leaks(out, splits), "left_out": left_out}


def prepare_folder(
    source: str | Path, data_dir: str | Path, size: int, height: int = 0
) -> Path:
    """Prepares a folder or zip file of images, unless that has been done already.

    A source whose files have changed since is prepared anew. The images that had to be
    skipped are printed, and `shard_files.skipped(path)` lists them later.

    Args:
        source: folder, zip file or bucket address, with images of `images.SUFFIXES`.
        data_dir: folder for prepared data sets.
        size: width in pixels. height: in pixels; 0 for squares.

    Returns:
        The folder to give to `examples.RecordSource`.

    Raises:
        ValueError: no such source, or no readable image in it.
    """
    files, left_out, _ = walking.find_images(str(source))
    stem = re.sub(r"[^A-Za-z0-9-]+", "-", walking.source_name(str(source)))
    shape = f"{size}x{height or size}"
    path = Path(data_dir) / f"{stem}_{shape}_{_fingerprint(files)[:12]}"
    report = _store({"train": files}, path, "images", size, height, thorough=False)
    for reason in list(report["skipped"].values())[:20]:
        print(f"skipped {' '.join(reason.split())}")
    if report["skipped"]:
        print(f"skipped {len(report['skipped'])} of {len(files)} files in {source}")
    if left_out:
        print(left_out_line(left_out))
    return path


def _store(splits, out, name, size, height, thorough=True) -> dict[str, Any]:
    height = height or size
    if min(size, height) < images.MIN_SIDE:
        raise ValueError(
            f"size: got {size} x {height}, expected {images.MIN_SIDE} pixels or more"
        )
    sums = {split: _fingerprint(files) for split, files in splits.items()}
    # A shard has a limited number of pixels, and at least 16 images.
    with ThreadPoolExecutor(os.cpu_count()) as pool:

        def make_examples(split: str, files: Sequence[File]) -> Iterable[MadeExample]:
            make = partial(_made_example, height=height, width=size)
            return threads.map_in_order(pool, make, files)

        return shards.write(
            out,
            splits,
            make_examples,
            name=name,
            features={
                "image": tfds_format.png(height, size),
                "name": tfds_format.text(),
            },
            description=f"Images of {name}, cropped and resized.",
            plan={"name": name, "size": size, "height": height, "files": sums},
            shard_length=max(16, _SHARD_PIXELS // (size * height)),
            title="preparing",
            thorough=thorough,
        )


def _made_example(file: File, height: int, width: int) -> MadeExample:
    try:
        data = file.read()
        image = images.read(data, file.path)
    except (ValueError, OSError) as error:
        why = str(error).removeprefix(f"{file.path}: ")
        return MadeExample(file.name, problem=f"{file.name}: {why}")
    fitted = images.fit(image, height, width)
    enlarged = image.shape[0] < height or image.shape[1] < width
    example = {"image": images.encode_png(fitted), "name": file.name}
    return MadeExample(
        file.name,
        example,
        shard_files.checksum(data),
        shard_files.checksum(fitted.tobytes()),
        note="enlarged" if enlarged else "",
    )


def _leaks(out, splits) -> list[tuple[str, str]]:
    """Images that are in "train" and in another split."""
    sums = {split: shard_files.image_sums(out, split) for split in splits}
    train = {"train": sums.pop("train")}
    return leaks.between(train, sums) if sums else []


def _fingerprint(files: Sequence[File]) -> str:
    lines = "".join(f"{file.name} {file.stamp}\n" for file in files)
    return shard_files.checksum(lines.encode())
