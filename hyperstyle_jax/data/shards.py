"""Writes data sets of many shards, and continues where an earlier call was stopped.

A folder is filled shard by shard. Each finished shard has a JSON file in `parts/`: its
length, its sha256, and the name and checksums of every image. The same call again
makes what is missing; at the end TFDS's description is written, and the folder is a
TFDS data set in array_record files, read and written without TensorFlow.
"""

import contextlib
import json
import math
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from array_record.python.array_record_module import ArrayRecordWriter
from tqdm import tqdm

from hyperstyle_jax.data import shard_files, tfds_format
from hyperstyle_jax.data.shard_files import ImageSums
from hyperstyle_jax.system import atomic_files, errors, folder_lock, program


class MadeExample(NamedTuple):
    """An example to be stored, or the reason why there is none."""

    name: str
    example: dict[str, Any] | None = None
    file_sum: str = ""  # sha256 of the file it came from
    pixel_sum: str = ""  # sha256 of the image as it is stored
    problem: str = ""
    note: str = ""  # the report counts the examples with each note, as "enlarged"


class _Shard(NamedTuple):
    split: str
    number: int
    keys: list[Any]  # what to make the examples of
    file: Path
    part: Path  # its JSON file


def write(
    path: str | Path,
    splits: Mapping[str, Sequence[Any]],
    make_examples: Callable[[str, Sequence[Any]], Iterable[MadeExample]],
    *,
    name: str,
    features: Mapping[str, Any],
    description: str,
    plan: Mapping[str, Any],
    shard_length: int,
    title: str,
    thorough: bool = True,
) -> dict[str, Any]:
    """Makes a data set, or what is still missing of it.

    Args:
        path: its folder.
        splits: {split: what to make each example of}, not empty.
        make_examples: (split, some of these) → an example for each, in this order.
        name: of the data set.
        features: of an example, {name: `png`, `text` or `tensor` of `tfds_format`}.
        description: a sentence for `dataset_info.json`.
        plan: what the data set is made of, in JSON's types. A folder with another plan
            is refused.
        shard_length: examples per file. title: for the progress bar.
        thorough: whether a complete data set is compared with its checksums, or only
            with the lengths of its files.

    Returns:
        The content of `report.json`: counts, checksums, what was skipped.

    Raises:
        ValueError: the folder belongs to something else, or nothing could be made.
        OSError: the folder cannot be written.
    """
    path, features = Path(path), tfds_format.features_dict(features)
    plan = json.loads(_json(dict(plan)))
    if not thorough and _is_complete(path, plan):
        return shard_files.report(path)
    with folder_lock.hold(path, wait=not thorough):
        _claim(path, plan)
        if not thorough and _is_complete(path, plan):  # the other process finished it
            return shard_files.report(path)
        shards = _shards(path, name, splits, shard_length)
        _fill(shards, make_examples, features, title)
        return _finish(path, name, features, description, shards)


def _shards(path, name, splits, shard_length) -> list[_Shard]:
    shards = []
    for split, keys in splits.items():
        count = math.ceil(len(keys) / shard_length)
        for i in range(count):
            some = list(keys[i * shard_length : (i + 1) * shard_length])
            file = path / shard_files.shard_name(name, split, i, count)
            part = shard_files.part_file(path, split, i)
            shards.append(_Shard(split, i, some, file, part))
    return shards


def _fill(shards: list[_Shard], make_examples, features, title: str) -> None:
    """Makes the shards that are missing or damaged."""
    missing = [shard for shard in shards if not _is_written(shard)]
    total = sum(len(shard.keys) for shard in shards)
    count = total - sum(len(shard.keys) for shard in missing)
    with (
        _bar(title, total, count) as bar,
        program.telling(lambda: f"{count:,} of {total:,} images are done"),
    ):
        for shard in missing:
            examples = make_examples(shard.split, shard.keys)
            part = _write_shard(shard.file, features, examples, bar)
            atomic_files.write_json(shard.part, part)
            count += len(shard.keys)


def _claim(path: Path, plan: dict[str, Any]) -> None:
    """Writes the plan, unless the folder has one, which must be the same."""
    file = path / shard_files.PLAN
    if file.is_file():
        old = shard_files.plan(path)
        lines = [
            f"{k}: {old.get(k)} there, {plan.get(k)} here"
            for k in sorted(old.keys() | plan.keys())
            if old.get(k) != plan.get(k)
        ]
        if lines:
            raise ValueError(
                f"{path} holds another data set ({'; '.join(lines)}); choose another "
                "folder or delete that one"
            )
    elif any(other.name != folder_lock.NAME for other in path.iterdir()):
        raise ValueError(f"{path} is not empty and no data set; choose another folder")
    atomic_files.write_json(file, plan)


def _is_complete(path: Path, plan: dict[str, Any]) -> bool:
    """Whether the folder holds the data set of this plan, by its files' lengths."""
    if shard_files.is_finished(path):
        with contextlib.suppress(ValueError, OSError):
            shard_files.check_files(path)
            return shard_files.plan(path) == plan
    return False


def _is_written(shard: _Shard) -> bool:
    """Whether a shard exists and is undamaged."""
    if not shard.part.is_file() or not shard.file.is_file():
        return False
    part = json.loads(shard.part.read_text())
    return atomic_files.sha256(shard.file) == part["sha256"]


def _write_shard(
    file: Path, features, examples: Iterable[MadeExample], bar
) -> dict[str, Any]:
    """Writes a shard and returns the content of its JSON file."""
    part = {"images": [], "skipped": {}, "notes": {}}
    serialize = tfds_format.serializer(features)
    temporary = atomic_files.part_of(file)
    with errors.about(file):
        writer = ArrayRecordWriter(str(temporary), "group_size:1")
    try:
        for made in examples:
            if made.example is None:
                part["skipped"][made.name] = made.problem
            else:
                with errors.about(file):
                    writer.write(serialize(made.example))
                sums = ImageSums(made.name, made.file_sum, made.pixel_sum)
                part["images"].append(sums)
                if made.note:
                    part["notes"][made.note] = part["notes"].get(made.note, 0) + 1
            bar.update()
        with errors.about(file):
            writer.close()
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)
    return part | {"sha256": atomic_files.sha256(file), "bytes": file.stat().st_size}


def _finish(path, name, features, description, shards: list[_Shard]) -> dict[str, Any]:
    """Writes TFDS's description of the data set, and its report."""
    parts: dict[str, list[dict]] = {}
    for shard in shards:
        parts.setdefault(shard.split, []).append(json.loads(shard.part.read_text()))
    report = _report(path, shards, parts)
    lengths = {s: [len(part["images"]) for part in ps] for s, ps in parts.items()}
    with errors.about(path):
        tfds_format.describe(path, name, features, description, lengths)
    atomic_files.write_json(path / shard_files.REPORT, report)
    return report


def _report(path, shards: list[_Shard], parts: dict[str, list[dict]]) -> dict[str, Any]:
    """The content of `report.json`, from the JSON files of all shards by split."""
    all_parts = [part for split_parts in parts.values() for part in split_parts]
    counts = {s: sum(len(p["images"]) for p in ps) for s, ps in parts.items()}
    skipped = {k: why for part in all_parts for k, why in part["skipped"].items()}
    if empty := [split for split, count in counts.items() if not count]:
        raise ValueError(
            f"{path}: no readable image in split {empty[0]}; first problem: "
            f"{next(iter(skipped.values()))}"
        )
    # This checksum is of the content: the bytes of files differ between versions of
    # the libraries that write them.
    content = {split: [p["images"] for p in ps] for split, ps in parts.items()}
    return {
        "counts": counts,
        "skipped": skipped,
        "notes": dict(sum((Counter(part["notes"]) for part in all_parts), Counter())),
        "shards": {
            shard.file.name: {
                "examples": len(part["images"]),
                "bytes": part["bytes"],
                "sha256": part["sha256"],
            }
            for shard, part in zip(shards, all_parts, strict=True)
        },
        "sha256": shard_files.checksum(_json(content)),
    }


def _json(value) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


@contextlib.contextmanager
def _bar(title: str, total: int, before: int) -> Iterator[tqdm]:
    """A progress bar on a terminal; elsewhere a line every half minute."""
    live = sys.stderr.isatty()
    interval = 0.1 if live else 30.0
    options = {"unit": "example", "initial": before, "mininterval": interval}
    with tqdm(desc=title, total=total, **options) as bar:
        yield bar
