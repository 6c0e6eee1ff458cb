"""Images from folders and archives into data sets at the size of training."""

import os
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hyperstyle_jax import images
from hyperstyle_jax.data import datasets, leaks, shards, walking
from hyperstyle_jax.data.entries import File, left_out_line
from hyperstyle_jax.data.shards import Made

_SHARD_PIXELS = 1024 * 256 * 256  # about 100 MB of PNG


def prepare(
    name: str,
    sources: Sequence[str],
    out: str | Path,
    size: int,
    height: int = 0,
    animal: str = "wild",
    eval_count: int = 0,
    partial: bool = False,
) -> dict[str, Any]:
    """Crops, resizes and stores a data set; the same call again goes on.

    Args:
        name: one of `datasets.NAMES`. sources, animal: as in `datasets.find`.
        out: folder of the data set, for `config.data.path`.
        size: width in pixels. height: 0 for squares.
        eval_count: so many of the last training images become the split "test".
        partial: whether fewer images than published are all right.

    Returns:
        The content of `report.json`: `counts` {split: stored}, `skipped` {name: why},
        `leaks` [(split: name, split: name)], `left_out` {ending: count} of images of
        kinds that are not read, `notes` {"enlarged": count}, `shards`, `sha256`.

    Raises:
        ValueError: sources that are not this data set, no readable image, or a
            folder of something else.
        MemoryError: names the image for which there is too little; nothing is left
            out for it, and the same call goes on later.
    """
    if "://" in str(out):
        raise ValueError(f"{out}: expected a local folder; copy it to the bucket later")
    splits, left_out = datasets.find(name, sources, animal)
    if not partial:
        datasets.check_counts(name, splits, animal)
    splits = datasets.hold_out(splits, eval_count)
    what = f"{name}_{animal}" if name == "afhq" else name
    report = _store(splits, out, what.replace("-", "_"), size, height)
    found = leaks.between(*_rows(out, splits)) if len(splits) > 1 else []
    return report | {"leaks": found, "left_out": left_out}


def prepare_folder(
    source: str | Path, data_dir: str | Path, size: int, height: int = 0
) -> Path:
    """A folder or zip file of images as a data set, unless that has been done.

    A source whose files have changed since is prepared anew. What had to be skipped is
    printed, and stays in `shards.skipped(path)`.

    Args:
        source: folder, zip file or bucket address, with images of `images.SUFFIXES`.
        data_dir: folder for prepared data sets.
        size: width in pixels. height: 0 for squares.

    Returns:
        The folder to give to `pipeline.RecordSource`.

    Raises:
        ValueError: no such source, or no readable image in it.
    """
    files, left_out, _ = walking.find_images(str(source))
    stem = re.sub(r"[^A-Za-z0-9-]+", "-", walking.stem(str(source)))
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
    # Small images and few of them still make more than one file to read at once.
    with ThreadPoolExecutor(os.cpu_count()) as pool:

        def make(split: str, files: Sequence[File]) -> Iterable[Made]:
            return shards.in_order(pool, lambda file: _one(file, height, size), files)

        return shards.write(
            out,
            splits,
            make,
            name=name,
            features={"image": shards.png(height, size), "name": shards.text()},
            description=f"Images of {name}, cropped and resized.",
            identity={"name": name, "size": size, "height": height, "files": sums},
            shard_length=max(16, _SHARD_PIXELS // (size * height)),
            title="preparing",
            thorough=thorough,
        )


def _one(file: File, height: int, width: int) -> Made:
    try:
        data = file.read()
        image = images.read(data, file.path)
    except (ValueError, OSError) as error:
        why = str(error).removeprefix(f"{file.path}: ")
        return Made(file.name, problem=f"{file.name}: {why}")
    fitted = images.fit(image, height, width)
    small = image.shape[0] < height or image.shape[1] < width
    example = {"image": images.encode_png(fitted), "name": file.name}
    return Made(
        file.name,
        example,
        shards.sha256(data),
        shards.sha256(fitted.tobytes()),
        note="enlarged" if small else "",
    )


def _rows(out, splits) -> tuple[dict, dict]:
    found = {split: shards.rows(out, split) for split in splits}
    return {"train": found.pop("train")}, found


def _fingerprint(files: Sequence[File]) -> str:
    lines = "".join(f"{file.name} {file.stamp}\n" for file in files)
    return shards.sha256(lines.encode())
