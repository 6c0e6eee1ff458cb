"""Data sets of many files that can be interrupted while they are made.

A folder is filled shard by shard. Each finished shard has a JSON file in `parts/`: its
length, its sha256, and the name and checksums of every image. The same call again
makes what is missing; at the end TFDS's description is written, and the folder is a
TFDS data set in array_record files, read and written without TensorFlow.
"""

import contextlib
import hashlib
import itertools
import json
import math
import os
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter
from tqdm import tqdm

from hyperstyle_jax.system import atomic_files, errors, folder_lock, program

T = TypeVar("T")
U = TypeVar("U")
_PARTS, _PLAN, _REPORT = "parts", "plan.json", "report.json"


class Made(NamedTuple):
    """One example of a shard, or why there is none."""

    name: str
    example: dict[str, Any] | None = None
    file_sum: str = ""  # sha256 of the file it came from
    pixel_sum: str = ""  # sha256 of the image as it is stored
    problem: str = ""
    note: str = ""  # worth counting, as "enlarged"


class Row(NamedTuple):
    """What is known of a stored image without reading it."""

    name: str
    file_sum: str
    pixel_sum: str


def write(
    path: str | Path,
    splits: Mapping[str, Sequence[Any]],
    make: Callable[[str, Sequence[Any]], Iterable[Made]],
    *,
    name: str,
    features: Any,
    description: str,
    identity: Mapping[str, Any],
    shard_length: int,
    title: str,
    thorough: bool = True,
) -> dict[str, Any]:
    """Makes a data set, or what is still missing of it.

    Args:
        path: its folder.
        splits: {name: what to make an example of}, not empty.
        make: (split, some of these) → an example each, in this order.
        name: of the data set.
        features: of an example, {name: `png`, `text` or `tensor`}.
        identity: what the data set is made of, in JSON's types. A folder of another
            identity is refused.
        shard_length: examples per file. title: for the progress bar.
        thorough: whether a complete data set is compared with its checksums, or only
            with the lengths of its files.

    Returns:
        The content of `report.json`: counts, checksums, what was skipped.

    Raises:
        ValueError: the folder belongs to something else, or nothing could be made.
    """
    path, features = Path(path), tfds.features.FeaturesDict(features)
    identity = json.loads(_json(dict(identity)))
    if not thorough and _is_whole(path, identity):
        return report(path)
    with folder_lock.hold(path, wait=not thorough):
        _claim(path, identity)
        if not thorough and _is_whole(path, identity):  # by the one waited for
            return report(path)
        totals = _fill(path, splits, make, name, features, shard_length, title)
        return _finish(path, name, features, description, totals)


def _fill(path, splits, make, name, features, shard_length, title) -> dict[str, int]:
    """Makes the shards that are missing or damaged; {split: how many there are}."""
    shards = [
        (split, i, list(keys[i * shard_length : (i + 1) * shard_length]))
        for split, keys in splits.items()
        for i in range(math.ceil(len(keys) / shard_length))
    ]
    totals = {split: math.ceil(len(k) / shard_length) for split, k in splits.items()}
    done = {(s, i): _finished(path, name, s, i, totals) for s, i, _ in shards}
    before = sum(len(keys) for split, i, keys in shards if done[split, i])
    every = sum(map(len, splits.values()))
    stored = {"count": before}
    with (
        _bar(title, every, before) as bar,
        program.telling(lambda: f"{stored['count']:,} of {every:,} pictures are done"),
    ):
        for split, i, keys in shards:
            if not done[split, i]:
                file = path / _file_name(name, split, i, totals[split])
                part = _write_shard(file, features, make(split, keys), bar)
                atomic_files.write_json(_part_file(path, split, i), part)
                stored["count"] += len(keys)
    return totals


def is_data_set(path: str | Path) -> bool:
    return (Path(path) / _REPORT).is_file()


def report(path: str | Path) -> dict[str, Any]:
    """`report.json` of a finished folder."""
    return json.loads((Path(path) / _REPORT).read_text())


def identity(path: str | Path) -> dict[str, Any]:
    """What the folder was made of."""
    return json.loads((Path(path) / _PLAN).read_text())


def rows(path: str | Path, split: str) -> list[Row]:
    """Names and checksums of the stored images, in the order of the records."""
    files = sorted((Path(path) / _PARTS).glob(f"{split}-*.json"))
    return [Row(*r) for file in files for r in json.loads(file.read_text())["images"]]


def skipped(path: str | Path) -> dict[str, str]:
    """Name → reason for all that could not be stored."""
    return dict(report(path)["skipped"])


def check_files(path: str | Path) -> None:
    """Whether every file is there and as long as it was.

    Raises:
        ValueError: names the first one that is not.
    """
    for name, shard in report(path)["shards"].items():
        file = Path(path) / name
        size = file.stat().st_size if file.is_file() else 0
        if size != shard["bytes"]:
            raise ValueError(
                f"{file}: got {size} bytes, expected {shard['bytes']}; copy the data "
                "set again, or delete this file and make it with the same command"
            )


def png(height: int, width: int):
    """An image [height, width, 3] uint8, given and stored as the bytes of a PNG."""
    shape = (height, width, 3)
    return tfds.features.Image(shape=shape, encoding_format="png")


def text():
    return tfds.features.Text()


def tensor(shape: tuple[int, ...], dtype):
    """An array, stored as its bytes."""
    return tfds.features.Tensor(shape=shape, dtype=dtype, encoding="bytes")


def in_order(pool, work: Callable[[T], U], items: Iterable[T]) -> Iterator[U]:
    """`map` in threads, but a few items ahead only: images are large."""
    items, ahead = iter(items), 4 * (os.cpu_count() or 1)
    waiting = deque(pool.submit(work, i) for i in itertools.islice(items, ahead))
    while waiting:
        yield waiting.popleft().result()
        waiting.extend(pool.submit(work, i) for i in itertools.islice(items, 1))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _claim(path: Path, identity: dict[str, Any]) -> None:
    """Writes the plan, unless the folder has one, which must be the same."""
    plan = path / _PLAN
    if plan.is_file():
        old = json.loads(plan.read_text())
        names = sorted(old.keys() | identity.keys())
        lines = [
            f"{k}: {old.get(k)} there, {identity.get(k)} here"
            for k in names
            if old.get(k) != identity.get(k)
        ]
        if lines:
            raise ValueError(
                f"{path} holds another data set ({'; '.join(lines)}); choose another "
                "folder or delete that one"
            )
    elif any(file.name != folder_lock.NAME for file in path.iterdir()):
        raise ValueError(f"{path} is not empty and no data set; choose another folder")
    atomic_files.write_json(plan, identity)


def _is_whole(path: Path, made_of: dict[str, Any]) -> bool:
    if is_data_set(path):
        with contextlib.suppress(ValueError, OSError):
            check_files(path)
            return identity(path) == made_of
    return False


def _finished(path, name, split, i, totals) -> bool:
    """Whether a shard is there and undamaged."""
    part, file = _part_file(path, split, i), path / _file_name(name, split, i,
        totals[split])  # fmt: skip
    if not part.is_file() or not file.is_file():
        return False
    return atomic_files.sha256(file) == json.loads(part.read_text())["sha256"]


def _write_shard(file: Path, features, made: Iterable[Made], bar) -> dict[str, Any]:
    part = {"images": [], "skipped": {}, "notes": {}}
    temporary = atomic_files.part_of(file)
    with errors.about(file):
        writer = ArrayRecordWriter(str(temporary), "group_size:1")
    try:
        for one in made:
            if one.example is None:
                part["skipped"][one.name] = one.problem
            else:
                with errors.about(file):
                    writer.write(features.serialize_example(one.example))
                row = Row(one.name, one.file_sum, one.pixel_sum)
                part["images"].append(row)
                if one.note:
                    part["notes"][one.note] = part["notes"].get(one.note, 0) + 1
            bar.update()
        with errors.about(file):
            writer.close()
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)
    return part | {"sha256": atomic_files.sha256(file), "bytes": file.stat().st_size}


def _finish(path, name, features, description, totals) -> dict[str, Any]:
    """Writes the report, and the description that makes the folder a TFDS data set."""
    parts = {
        split: [json.loads(_part_file(path, split, i).read_text()) for i in range(n)]
        for split, n in totals.items()
    }
    lengths = {s: [len(p["images"]) for p in found] for s, found in parts.items()}
    every = [part for found in parts.values() for part in found]
    skipped = {k: why for part in every for k, why in part["skipped"].items()}
    if empty := [split for split, n in lengths.items() if not sum(n)]:
        raise ValueError(
            f"{path}: no readable image in split {empty[0]}; first problem: "
            f"{next(iter(skipped.values()))}"
        )
    found: dict[str, Any] = {
        "counts": {split: sum(n) for split, n in lengths.items()},
        "skipped": skipped,
        "notes": dict(sum((Counter(part["notes"]) for part in every), Counter())),
        "shards": {
            _file_name(name, split, i, totals[split]): {
                "examples": len(part["images"]),
                "bytes": part["bytes"],
                "sha256": part["sha256"],
            }
            for split, found in parts.items()
            for i, part in enumerate(found)
        },
    }
    # Of the content: files differ from run to run, as protobuf orders fields freely.
    content = {split: [p["images"] for p in found] for split, found in parts.items()}
    found["sha256"] = sha256(_json(content))
    with errors.about(path):
        _describe(path, name, features, description, lengths)
    atomic_files.write_json(path / _REPORT, found)
    return found


def _describe(path, name, features, description, lengths) -> None:
    """`dataset_info.json` and `features.json`."""
    version = tfds.core.Version("1.0.0")
    owner = tfds.core.dataset_info.DatasetIdentity(name, version, os.fspath(path), "")
    info = tfds.core.DatasetInfo(
        builder=owner,
        description=description,
        features=features,
        disable_shuffling=True,  # records stand in the order of the names
    )
    info.set_file_format("array_record")
    infos = []
    for split, found in lengths.items():
        template = tfds.core.ShardedFileTemplate(
            data_dir=path,
            dataset_name=name,
            split=split,
            filetype_suffix="array_record",
        )
        infos.append(
            tfds.core.SplitInfo(
                name=split,
                shard_lengths=found,
                num_bytes=sum(
                    (path / _file_name(name, split, i, len(found))).stat().st_size
                    for i in range(len(found))
                ),
                filename_template=template,
            )
        )
    info.set_splits(tfds.core.splits.SplitDict(infos))
    info.write_to_directory(path)


def _file_name(name: str, split: str, i: int, count: int) -> str:
    return f"{name}-{split}.array_record-{i:05d}-of-{count:05d}"


def _part_file(path: Path, split: str, i: int) -> Path:
    return path / _PARTS / f"{split}-{i:05d}.json"


def _json(value) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


@contextlib.contextmanager
def _bar(title: str, total: int, before: int):
    """Rate and time left; into a file, a line every half minute."""
    live = sys.stderr.isatty()
    interval = 0.1 if live else 30.0
    options = {"unit": "example", "initial": before, "mininterval": interval}
    with tqdm(desc=title, total=total, **options) as bar:
        yield bar
