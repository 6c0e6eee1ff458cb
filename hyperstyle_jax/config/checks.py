"""Refuses values of a config that cannot work, before a run starts."""

import math
from typing import Any

from ml_collections import ConfigDict

from hyperstyle_jax.config.fields import METHODS, TASKS, base, flatten


def check(config: ConfigDict) -> None:
    """Checks all values of a config.

    Args:
        config: what a config file's `get_config()` returned.

    Raises:
        ValueError: in one line the field, its value and what is expected.
    """
    c = config
    _check_fields(c)
    _need(c.task in TASKS, "task", c.task, f"one of {', '.join(TASKS)}")
    for name in ("num_steps", "log_every", "save_every", "keep", "batch_size"):
        _need(c[name] >= 1, name, c[name], "1 or more")
    for name in ("seed", "eval_every", "image_every", "num_devices", "num_iters"):
        _need(c[name] >= 0, name, c[name], "0 or more")
    _need(
        c.batch_size % max(c.num_devices, 1) == 0,
        "batch_size",
        c.batch_size,
        f"a multiple of num_devices = {c.num_devices}",
    )
    good = not c.best or (c.best.startswith("eval/") and c.eval_every > 0)
    _need(good, "best", c.best, "as eval/loss, and config.eval_every 1 or more")
    parts = max(c.num_devices, 1) * max(c.accumulation_steps, 1)
    good = c.accumulation_steps >= 1 and c.batch_size % parts == 0
    expected = "1 or more, and num_devices · accumulation_steps a divisor of "
    expected += f"batch_size = {c.batch_size}"
    _need(good, "accumulation_steps", c.accumulation_steps, expected)
    choices = {
        "on_nonfinite": ("skip", "stop"),
        "precision": ("float32", "bfloat16"),
        "data.kind": ("faces", "folder", "tfds"),
        "data.leaks": ("refuse", "drop"),
        "data.style": ("portrait", "cartoon"),
        "optim.name": ("adam", "ranger"),
        "optim.schedule": ("constant", "cosine"),
        "model.hypernet.preset": ("medium_fine", "all_convs"),
        "model.style_encoder.method": METHODS,
        "model.style_encoder.trunk": ("ir_se", "resnet"),
    }
    flat = flatten(c)
    for name, options in choices.items():
        _need(flat[name] in options, name, flat[name], f"one of {', '.join(options)}")
    _check_data(c.data)
    _check_models(flat)
    _check_sizes(c)
    if c.task == "style_encoder":
        _check_style_encoder(c)
    _check_numbers(flat)


def _check_fields(config: Any) -> None:
    want = flatten(base(TASKS[0])).keys()
    have = flatten(config).keys() if isinstance(config, ConfigDict) else set()
    if want != have:
        raise ValueError(
            "get_config() must return hyperstyle_jax.config.fields.base(task), some "
            f"values changed; missing {sorted(want - have)}, unknown "
            f"{sorted(have - want)}"
        )


def _check_data(data: ConfigDict) -> None:
    if data.kind != "faces":
        _need(data.path != "", "data.path", data.path, f"a folder for kind {data.kind}")
    for name in ("train", "eval"):
        pair = data[name]
        good = len(pair) == 2 and all(isinstance(i, int) for i in pair)
        good = good and 0 <= pair[0] < pair[1]
        _need(good, f"data.{name}", pair, "two integers (lo, hi) with 0 <= lo < hi")
    tfds = data.kind == "tfds"
    good = tfds or data.eval_split == "train"
    _need(good, "data.eval_split", data.eval_split, '"train" unless kind is tfds')
    good = data.kind != "faces" or not data.eval_path
    _need(good, "data.eval_path", data.eval_path, "nothing for kind faces")
    _need(data.held_out >= 0, "data.held_out", data.held_out, "0 or more images")
    if data.kind == "faces":
        for name in ("held_out", "labels", "identity"):
            good = not data[name]
            _need(good, f"data.{name}", data[name], "nothing for kind faces")
    columns = data.identity or data.label_columns
    good = data.labels or not columns or data.kind == "tfds"  # which may hold a table
    _need(good, "data.labels", data.labels, "the file that has these columns")
    (lo, hi), (eval_lo, eval_hi) = data.train, data.eval
    apart = data.held_out > 0 or hi <= eval_lo or eval_hi <= lo
    apart = apart or data.eval_split != "train" or data.eval_path not in ("", data.path)
    _need(apart, "data.eval", data.eval, f"no index of data.train = {data.train}")
    _need(data.threads >= 0, "data.threads", data.threads, "0 or more")
    _need(data.size >= 4, "data.size", data.size, "4 pixels or more")
    good = data.height == 0 or 4 <= data.height <= data.size
    good = good and (data.kind != "faces" or data.height in (0, data.size))
    _need(
        good,
        "data.height",
        data.height,
        "0 or 4 pixels up to data.size; 0 for kind faces",
    )
    count = data.images_per_identity
    _need(count >= 1, "data.images_per_identity", count, "1 or more")


def _check_sizes(config: ConfigDict) -> None:
    """Images that the generator draws, or that its images can be averaged to."""
    data, resolution = config.data, config.model.generator.resolution
    if config.task == "gan":
        good = data.size == resolution and data.height in (0, resolution)
        expected = f"model.generator.resolution = {resolution}, and data.height 0"
        _need(good, "data.size", data.size, expected)
    elif config.task in ("encoder", "style_encoder", "hyperstyle"):
        good = data.size <= resolution and resolution % data.size == 0
        expected = f"a divisor of model.generator.resolution = {resolution}"
        _need(good, "data.size", data.size, expected)


def _check_style_encoder(config: ConfigDict) -> None:
    """Losses that go together, a pyramid with three stages, a schedule of rows."""
    loss, model = config.loss, config.model.style_encoder
    both = loss.id > 0 and loss.moco > 0
    _need(not both, "loss.moco", loss.moco, f"0 beside loss.id = {loss.id}")
    name, progressive = "model.style_encoder", model.method.endswith("e4e")
    good = progressive or not loss.delta
    _need(good, "loss.delta", loss.delta, f"0 for the method {model.method}")
    stages = 1 if model.method.startswith("restyle") else 3
    good = len(model.widths) >= stages
    _need(good, f"{name}.widths", model.widths, f"{stages} or more, for its pyramid")
    start, every = config.progressive.start, config.progressive.every
    _need(start >= 0, "progressive.start", start, "0 or more steps")
    _need(every >= 1, "progressive.every", every, "1 or more steps")
    restyle = model.method.startswith("restyle")
    good = not restyle or config.num_iters >= 1
    _need(good, "num_iters", config.num_iters, f"1 or more for {model.method}")
    _need(loss.w_lr > 0, "loss.w_lr", loss.w_lr, "more than 0")


def _check_models(flat: dict[str, Any]) -> None:
    name = "model.generator.resolution"
    size = flat[name]
    _need(size >= 8 and size & (size - 1) == 0, name, size, "a power of two from 8 on")
    for name, value in flat.items():
        if not name.startswith("model."):
            continue
        if name == "model.flow.attributes":
            good = all(isinstance(v, str) and v for v in value)
            _need(good, name, value, "names, as smile,age")
        elif isinstance(value, tuple):
            good = value and all(isinstance(v, int) and v >= 1 for v in value)
            _need(good, name, value, "positive integers, as 16,32,64")
        elif name.endswith(".frozen_blocks"):
            most = flat["model.generator.resolution"].bit_length() - 2
            _need(0 <= value < most, name, value, f"0 up to {most - 1}")
        elif type(value) is int:
            _need(value >= 1, name, value, "1 or more")
        if name.endswith(".depths"):
            widths = flat[name.replace(".depths", ".widths")]
            _need(len(value) == len(widths), name, value, f"as many as widths {widths}")


def _check_numbers(flat: dict[str, Any]) -> None:
    for name, value in flat.items():
        if isinstance(value, float):
            _need(math.isfinite(value), name, value, "a finite number")
        if name.startswith("loss.") and not isinstance(value, (str, tuple)):
            _need(value >= 0, name, value, "0 or more")
        if name.startswith("loss.") and name.endswith("_every"):
            _need(value >= 1, name, value, "1 or more")
    for name in ("b1", "b2", "ema"):
        value = flat[f"optim.{name}"]
        _need(0 <= value < 1, f"optim.{name}", value, "from 0 up to, not including, 1")
    for name in ("optim.ema_rampup", "ada.target", "ada.p"):
        _need(0 <= flat[name] <= 1, name, flat[name], "from 0 up to 1")
    _need(flat["ada.images"] >= 1, "ada.images", flat["ada.images"], "1 or more")
    for name in ("lr", "eps"):
        value = flat[f"optim.{name}"]
        _need(value > 0, f"optim.{name}", value, "more than 0")
    for name in ("clip", "warmup_steps"):
        value = flat[f"optim.{name}"]
        _need(value >= 0, f"optim.{name}", value, "0 or more")


def _need(good: Any, name: str, value: Any, expected: str) -> None:
    if not good:
        raise ValueError(f"config.{name} is {value!r}, expected {expected}")
