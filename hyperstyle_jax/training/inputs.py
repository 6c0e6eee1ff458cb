"""The batches that a config describes, for training and for evaluation."""

import os
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ml_collections import ConfigDict

from hyperstyle_jax.config import fields as cfg
from hyperstyle_jax.data import pipeline, reading
from hyperstyle_jax.data.examples import (
    Batch,
    FaceSource,
    Labelled,
    RecordSource,
    Source,
    Subset,
)
from hyperstyle_jax.data.labels import Labels
from hyperstyle_jax.loop import parallel
from hyperstyle_jax.training import labels


class _Examples(NamedTuple):
    """The images to train or to evaluate on, by their positions in the records.

    `place` names the data set in messages, as "PATH, split train".
    """

    records: RecordSource
    place: str
    positions: list[int]


def make_data(config: ConfigDict) -> tuple[pipeline.Stream, Callable[[], Iterator]]:
    """The batches of a run.

    Returns:
        Endless training batches, whose position can be saved and restored, and a
        function that starts the evaluation batches anew.

    Raises:
        ValueError: no such folder, no image in it, ranges that it does not have, or
            images that are both trained and evaluated on.
    """
    data = config.data
    train, held_out = record_sources(data, config.task == "recognition")
    threads = data.threads or min(os.cpu_count() or 1, 16)
    shard, problems = parallel.shard(), {}
    if data.in_memory:
        train = reading.in_memory(train, problems, threads=threads)
    batches = pipeline.batches(
        train,
        config.batch_size // shard[1],
        config.seed,
        flip=data.flip,
        shard=shard,
        threads=threads,
    )
    log = batches.reading_log
    log.problems |= problems

    def evaluation() -> Iterator[Batch]:  # every process reads all of them
        return pipeline.each_once(held_out, config.batch_size, problems=log.held_out)

    return batches, evaluation


def record_sources(
    data: ConfigDict, with_labels: bool = False
) -> tuple[Source, Source]:
    """The examples to train on and those to evaluate on.

    Args:
        data: of the config.
        with_labels: whether to add the labels of its table.

    Raises:
        ValueError: as `make_data`.
    """
    if data.kind == "faces":
        return _faces(data, tuple(data.train)), _faces(data, tuple(data.eval))
    train, held_out = (_examples(data, name) for name in ("train", "eval"))
    leaking = set(_leaks(data, train, held_out))
    kept = [i for i in train.positions if i not in leaking]
    if not kept:
        raise ValueError(f"no image of {train.place} is left to train on")
    train = train._replace(positions=kept)
    for examples in (train, held_out):
        _check_size(cfg.image_size(data), examples)
    table = labels.table_of(data) if with_labels else None
    return _source(train, table), _source(held_out, table)


def _source(examples: _Examples, table: Labels | None) -> Source:
    """The examples with their labels, without those that the table does not have."""
    if table is None:
        return Subset(examples.records, examples.positions)
    names = [sums.name for sums in examples.records.image_sums()]
    if not names:
        raise ValueError(
            f"{examples.place} does not store the names of its images, so a table of "
            "labels cannot be matched; prepare it again with `hyperstyle prepare`"
        )
    rows = table.rows_of(names)
    positions = [i for i in examples.positions if rows[i] >= 0]
    if not positions:
        raise ValueError(f"{examples.place}: no image has a row in the table of labels")
    if lost := len(examples.positions) - len(positions):
        print(f"{lost} images of {examples.place} have no labels and are left out",
              file=sys.stderr)  # fmt: skip
    chosen = rows[positions]
    extra = {"attributes": table.values[chosen]}
    if table.identities is not None:
        extra["identity"] = table.identities[chosen]
    return Labelled(Subset(examples.records, positions), extra)


def _faces(data: ConfigDict, indices: tuple[int, int]) -> Source:
    options = {
        "accessories": data.accessories,
        "images_per_identity": data.images_per_identity,
        "style": data.style,
    }
    if not data.cache_dir:
        return FaceSource(indices, data.size, **options)
    from hyperstyle_jax.data import builders  # seconds: only where they are needed

    path = builders.prepare_faces(data.cache_dir, indices, data.size, **options)
    return RecordSource(path)


def _examples(data: ConfigDict, name: str) -> _Examples:
    """The records of the range `data[name]`, cut off after the last record."""
    evaluated = name == "eval"
    path = (data.eval_path if evaluated else "") or data.path
    split = data.eval_split if evaluated else "train"
    records = RecordSource(records_path(data, path), split)
    place = f"{path}, split {split}" if data.kind == "tfds" else path
    count = len(records)
    if data.held_out:
        chosen = _spread(data.held_out, count)
        if evaluated:
            return _Examples(records, place, chosen)
        others = sorted(set(range(count)).difference(() if data.eval_path else chosen))
        return _Examples(records, place, others)
    first, end = data[name]
    if first >= count:
        raise ValueError(
            f"config.data.{name} is {data[name]}, but {place} has {count} images; "
            f"choose a range within (0, {count}), or set config.data.held_out"
        )
    return _Examples(records, place, list(range(first, min(end, count))))


def _spread(wanted: int, count: int) -> list[int]:
    """Positions spread evenly over `count` images: `wanted`, but at most a tenth."""
    number = min(wanted, max(1, count // 10))
    return [(2 * i + 1) * count // (2 * number) for i in range(number)]


def records_path(data: ConfigDict, path: str) -> str:
    """The path of the prepared data set, which is made first if it has to be.

    Args:
        data: of the config.
        path: of a folder or zip file of images; for kind "tfds" of the data set itself.
    """
    if data.kind == "tfds":
        return path
    from hyperstyle_jax.data import preparing

    cache = data.cache_dir or "data_cache"
    return str(preparing.prepare_folder(path, cache, data.size, data.height))


def _leaks(data: ConfigDict, train: _Examples, held_out: _Examples) -> list[int]:
    """The positions of training images to leave out because evaluation has them."""
    from hyperstyle_jax.data import leaks

    sums = [e.records.image_sums() for e in (train, held_out)]
    if not all(sums):
        print("no checksums are stored with the data: leaks cannot be found",
              file=sys.stderr)  # fmt: skip
        return []
    mine, others = (
        [r[i] for i in e.positions]
        for r, e in zip(sums, (train, held_out), strict=True)
    )
    pairs = leaks.between({train.place: mine}, {held_out.place: others})
    if pairs and data.leaks == "refuse":
        raise ValueError(
            f"{len(pairs)} images are in config.data.train and config.data.eval: "
            f"{leaks.one_line(pairs)}; choose other ranges, or leave them out of "
            "training with config.data.leaks=drop"
        )
    dropped = [train.positions[i] for i in leaks.shared(mine, others)]
    if dropped:
        print(f"{len(dropped)} images are left out of training, because evaluation "
              f"has them: {leaks.one_line(pairs)}", file=sys.stderr)  # fmt: skip
    return dropped


def _check_size(size: tuple[int, int], examples: _Examples) -> None:
    stored = reading.image_size(examples.records)
    if stored != size:
        raise ValueError(
            f"config.data asks for images of {size[0]} x {size[1]} (height x size), "
            f"but those in {examples.place} are {stored[0]} x {stored[1]}; change one "
            "of them"
        )
