"""What tasks need of their images, for every task and every kind of data."""

import json

import jax
import numpy as np
import pytest
import tasks

from hyperstyle_jax import images
from hyperstyle_jax.config import checks
from hyperstyle_jax.config import fields as cfg
from hyperstyle_jax.data import builders, preparing
from hyperstyle_jax.loop import fit, parallel
from hyperstyle_jax.training import inputs, labels, run

KINDS = ("faces", "folder", "labelled folder", "tfds", "labelled tfds", "faces tfds")
ROWS = [
    {"file": f"{i}.png", "age": i / 2, "who": f"p{i % 5}"}
    | ({"hair": "bun"} if i % 3 else {})
    for i in range(20)
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of images, a table, and prepared data sets."""
    place = tmp_path_factory.mktemp("labels")
    rng = np.random.default_rng(0)
    for i in range(20):
        image = rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)
        images.save_png(place / "images" / f"{i}.png", image)
    table = place / "table.jsonl"
    table.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    source = [str(place / "images")]
    preparing.prepare("folder", source, place / "tfds", 16)
    preparing.prepare("folder", source, place / "labelled", 16, labels=table)
    builders.prepare_faces(place / "faces", (0, 20), 16)
    return place


def of_kind(config, kind, place):
    data = config.data
    data.size = config.model.generator.resolution = 16
    data.update(cache_dir=str(place / "cache"), leaks="drop")
    if kind == "faces":
        return
    data.held_out = 4
    if "folder" in kind:
        data.update(kind="folder", path=str(place / "images"))
        if "labelled" in kind:
            data.update(labels=str(place / "table.jsonl"), identity="who")
        return
    name = {"tfds": "tfds", "labelled tfds": "labelled"}.get(kind)
    path = place / name if name else next((place / "faces").rglob("1.0.0"))
    data.update(kind="tfds", path=str(path))
    if "labelled" in kind:
        data.identity = "who"


LABELLED = {"faces", "labelled folder", "labelled tfds", "faces tfds"}
DRAWN = {"faces", "faces tfds"}
# (task, changed fields, the kinds of data that it can be trained on)
CASES = [
    ("gan", {}, set(KINDS)),
    ("gan", {"loss.render": 1.0, "loss.lpips": 0.0, "loss.attributes": 0.0}, DRAWN),
    ("gan", {"loss.render": 1.0}, DRAWN),
    ("recognition", {}, LABELLED),
    ("recognition", {"loss.id": 0.0}, LABELLED),
    ("recognition", {"loss.shape": 1.0}, DRAWN),
    ("recognition", {"loss.id": 0.0, "loss.attributes": 0.0, "loss.contrastive": 1.0},
     set(KINDS)),
    ("encoder", {}, set(KINDS)),
    ("hyperstyle", {}, set(KINDS)),
]  # fmt: skip


@pytest.mark.parametrize("task, changes, good", CASES, ids=range(len(CASES)))
@pytest.mark.parametrize("kind", KINDS)
def test_a_config_is_refused_or_can_be_traced(kind, task, changes, good, place):
    """No label is found missing once training has begun."""
    config = tasks.tiny(task)
    config.update_from_flattened_dict(changes)
    of_kind(config, kind, place)
    try:
        checks.check(config)
        labels.check(config)
    except ValueError as error:
        assert kind not in good and "\n" not in str(error)
        assert "config." in str(error) and "set" in str(error)
        return
    assert kind in good
    batch = run.batch_shapes(config)
    drawn = next(inputs.make_data(config)[0])
    needed = {k: v for k, v in jax.eval_shape(lambda: drawn).items() if k in batch}
    assert needed == batch
    if kind == "labelled folder" and task == "recognition":
        traced(config, batch)  # the other tasks read nothing but images here


def traced(config, batch):
    """The shapes of a training step and of an evaluation."""
    key, axes = jax.random.key(0), (None, None, 0, None)
    task, state, frozen = run.abstract(config)
    pieces = jax.eval_shape(lambda b: parallel.split(b, 1), batch)
    for step in (fit.guarded(task.train_step), task.eval_step):
        step = jax.vmap(step, axes, axis_name=parallel.AXIS)
        jax.eval_shape(step, state, frozen, pieces, key)


def test_labels_are_those_of_their_images(place):
    config = tasks.tiny("recognition")
    of_kind(config, "labelled folder", place)
    known = labels.known(config)
    assert known.attributes == ("age", "hair=bun", "hair=none")
    assert known.identities == range(5)
    train, held_out = inputs.record_sources(config.data, with_labels=True)
    assert (len(train), len(held_out)) == (18, 2)
    for source in (train, held_out):
        batch = source.take(np.arange(len(source)))
        for image, values, who in zip(
            batch["image"], batch["attributes"], batch["identity"], strict=True
        ):
            i = int(2 * values[0])
            file = place / "images" / f"{i}.png"
            np.testing.assert_array_equal(image, images.read(file))
            assert values[1] == (i % 3 > 0) and who == i % 5


def test_images_without_a_row_are_left_out(place, tmp_path, capsys):
    table = tmp_path / "some.csv"
    table.write_text("image,age\n" + "".join(f"{i}.png,{i}\n" for i in range(10)))
    config = tasks.tiny("recognition")
    of_kind(config, "folder", place)
    config.data.labels = str(table)
    train, _ = inputs.record_sources(config.data, with_labels=True)
    assert (
        len(train) < 12 and "have no labels and are left out" in capsys.readouterr().err
    )
    table.write_text("image,age\nother.png,1\nothers.png,2\n")
    with pytest.raises(ValueError, match="the labels name no image"):
        inputs.record_sources(config.data, with_labels=True)


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"data.labels": "", "data.identity": "who"},
            "config.data.labels is '', expected the file that has these columns",
        ),
        ({"data.identity": "whose"}, "no column whose; it has file, age, who, hair"),
        ({"data.label_columns": "hair,aged"}, "no column aged"),
        ({"data.labels": "none.jsonl"}, "none.jsonl: got nothing, expected a .csv"),
    ],
)
def test_wrong_names_are_told_in_one_line(changes, message, place):
    config = tasks.tiny("recognition")
    of_kind(config, "labelled folder", place)
    config.update_from_flattened_dict(changes)
    with pytest.raises(ValueError, match=message):
        checks.check(config)
        labels.check(config)


def test_a_failed_start_binds_no_workdir(place, tmp_path):
    config = cfg.base("recognition")
    of_kind(config, "folder", place)
    with pytest.raises(ValueError, match="config.loss.contrastive=1 trains without"):
        run.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
