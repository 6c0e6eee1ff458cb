"""The description of a run: types, checks, suggestions, differences."""

import json

import pytest

from hyperstyle_jax.config import checks, errors, reading
from hyperstyle_jax.config import fields as cfg


@pytest.mark.parametrize("task", cfg.TASKS)
def test_defaults_pass_the_check(task):
    checks.check(cfg.base(task))


def test_unknown_and_ill_typed_fields_are_refused():
    config = cfg.base("gan")
    with pytest.raises(AttributeError, match="lrr"):
        config.optim.lrr = 1.0
    with pytest.raises(TypeError):
        config.optim.lr = "fast"
    with pytest.raises(TypeError):
        config.num_steps = 1.5


@pytest.mark.parametrize(
    "name, value",
    [
        ("task", "gann"),
        ("num_steps", 0),
        ("num_devices", -1),
        ("on_nonfinite", "ignore"),
        ("data.kind", "flder"),
        ("data.train", (5, 5)),
        ("data.train", (1, "b")),
        ("data.eval", (0, 10)),  # overlaps data.train
        ("data.eval_split", "test"),  # of drawn faces
        ("data.eval_path", "other"),
        ("data.leaks", "ignore"),
        ("data.height", 48),
        ("data.threads", -1),
        ("model.generator.resolution", 48),
        ("model.encoder.widths", (8, 8, 8, 0)),
        ("model.encoder.depths", (1,)),
        ("optim.lr", float("nan")),
        ("optim.b1", 1.0),
        ("optim.name", "sgdd"),
        ("loss.l2", -1.0),
        ("loss.r1_every", 0),
    ],
)
def test_check_names_the_field_in_one_line(name, value):
    config = cfg.base("gan")
    config.update_from_flattened_dict({name: value})
    with pytest.raises(ValueError) as error:
        checks.check(config)
    assert name in str(error.value) and "\n" not in str(error.value)


def test_a_folder_needs_a_path():
    config = cfg.base("gan")
    config.data.kind = "folder"
    with pytest.raises(ValueError, match="data.path"):
        checks.check(config)


def test_ranges_of_two_splits_or_folders_may_overlap():
    config = cfg.base("gan")
    config.data.update(kind="tfds", path="a", train=(0, 9), eval=(0, 9))
    with pytest.raises(ValueError, match="data.eval"):
        checks.check(config)
    config.data.eval_split = "test"
    checks.check(config)
    config.data.update(eval_split="train", eval_path="b")
    checks.check(config)


def test_batch_must_be_divisible_by_devices():
    config = cfg.base("gan")
    config.batch_size, config.num_devices = 6, 4
    with pytest.raises(ValueError, match="multiple of num_devices = 4"):
        checks.check(config)


@pytest.mark.parametrize(
    "wrong, right",
    [
        ("optim.lrr", "optim.lr"),
        ("opt.lr", "optim.lr"),
        ("num_step", "num_steps"),
        ("resolutoin", "model.generator.resolution"),
    ],
)
def test_suggestions(wrong, right):
    assert right in errors.suggestion(cfg.base("gan"), wrong)
    assert errors.suggestion(cfg.base("gan"), "qqqqqq") == ""


def test_a_saved_run_goes_on_only_with_itself():
    config = cfg.base("gan")
    saved = cfg.to_json(config)
    config.num_steps, config.keep = 7, 9
    assert cfg.differences(saved, config) == []
    config.optim.lr, config.data.train = 0.5, (0, 9)
    assert cfg.differences(saved, config) == [
        "data.train: [0, 100000] there, [0, 9] here",
        "optim.lr: 0.0001 there, 0.5 here",
    ]


def test_a_run_older_than_a_field_goes_on_if_it_has_the_default():
    config = cfg.base("gan")
    fields = json.loads(cfg.to_json(config))
    del fields["optim"]["clip"]
    assert cfg.differences(json.dumps(fields), config) == []
    config.optim.clip = 1.0
    assert cfg.differences(json.dumps(fields), config) == [
        "optim.clip: 0.0 there, 1.0 here"
    ]


def test_text_shows_every_field():
    config = cfg.base("gan")
    assert len(cfg.text(config).splitlines()) == len(cfg.flatten(config))
    assert "optim.lr = 0.0001" in cfg.text(config)


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "{", "null", '{"task": "gann"}', '{"task": ["gan"]}',
        '{"task": "gan", "num_steps": "many"}', '{"task": "gan", "optim": 1}',
        '{"task": "gan", "num_steps": 0}', "[" * 5000,
    ],
)  # fmt: skip
def test_the_damaged_config_of_a_run_is_one_line(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ValueError, match="config.json is damaged .*copy") as caught:
        reading.read_run(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_config_of_an_older_run_gets_what_it_lacks(tmp_path):
    config = cfg.base("encoder")
    config.optim.lr = 0.5
    saved = json.loads(cfg.to_json(config)) | {"gone": 1}
    del saved["precision"]
    (tmp_path / "config.json").write_text(json.dumps(saved))
    assert reading.read_run(tmp_path) == config
