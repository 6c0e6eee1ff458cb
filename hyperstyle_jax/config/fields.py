"""The description of a run: every field with its default, checks, differences, text.

A config file's `get_config()` takes `base(task)`, sets some fields and returns it. The
fields are locked and typed: a name or a type that is not here is refused.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

TASKS = ("gan", "recognition", "encoder", "hyperstyle")
# What a run may change when it goes on: none of these alters a single step.
MAY_DIFFER = frozenset(
    "num_steps log_every save_every eval_every image_every keep best "
    "wandb num_devices data.threads data.in_memory".split()
)


def base(task: str) -> ConfigDict:
    """Every field of a run with its default, for one of `TASKS`."""
    config = ConfigDict(
        {
            "task": task,
            "seed": 0,
            "num_steps": 1000,
            "log_every": 50,
            "save_every": 500,
            "eval_every": 500,  # 0: never
            "image_every": 500,  # 0: never
            "keep": 2,  # newest checkpoints
            "best": "",  # as "eval/loss": where it is least is kept too
            "wandb": "",  # a project of Weights & Biases
            "batch_size": 8,  # over all devices
            "accumulation_steps": 1,  # parts of a device's batch, one after another
            "precision": "float32",  # or "bfloat16", of feature maps
            "remat": False,  # less memory: generator blocks are computed twice
            "num_devices": 0,  # 0: all there are
            "on_nonfinite": "skip",  # or "stop"
            "data": _data(),
            "model": {
                "generator": {
                    "resolution": 64,
                    "z_dim": 512,
                    "w_dim": 512,
                    "channel_base": 32768,
                    "channel_max": 512,
                    "num_mapping_layers": 8,
                    "mapping_lr_mul": 0.01,
                },
                "discriminator": {"channel_base": 32768, "channel_max": 512},
                "encoder": {"widths": (64, 128, 256, 512), "depths": (3, 4, 14, 3)},
                "hypernet": _hypernet(),
                "feature_extractor": {
                    "widths": (32, 64, 128, 256),
                    "depths": (1, 1, 1, 1),
                    "embedding_dim": 128,
                },
            },
            # Each: "" = fresh, "demo" = the shipped bundle, a bundle or run folder,
            # "random" = untrained, also those below: to measure time and memory.
            "init": {
                "generator": "",
                "encoder": "",
                "feature_extractor": "",
                "hypernet": "",
                # A converted ResNet-34 or IR-SE-50 to begin the trunk with.
                "trunk": "",
                # Bundles of converted networks, "" = the feature extractor instead.
                "lpips": "",
                "arcface": "",
                "moco": "",
            },
            "optim": _optim(),
            "loss": _loss(),
            "num_iters": 5,  # iterations of the refinement, T
        }
    )
    return config.lock()


def demo(task: str) -> ConfigDict:
    """`base` with the networks of the embedded domain: procedural faces at 64×64."""
    config = base(task)
    model = config.model
    model.generator.update(z_dim=48, w_dim=128, channel_base=2048, channel_max=64)
    model.generator.update(num_mapping_layers=3, mapping_lr_mul=1.0)
    model.discriminator.update(channel_base=1024, channel_max=64)
    model.encoder.update(widths=(16, 32, 96, 192), depths=(1, 1, 2, 2))
    model.feature_extractor.update(
        widths=(16, 32, 64, 128), depths=(1, 1, 1, 1), embedding_dim=64
    )
    model.hypernet.update(
        widths=(32, 64, 128, 256), depths=(1, 1, 1, 1), embedding_dim=256
    )
    model.hypernet.update(inner_shared=64, inner=64, hidden=64)
    return config


def check(config: ConfigDict) -> None:
    """Refuses values that cannot work.

    Raises:
        ValueError: one line that names the field, its value and what is expected.
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
        "optim.name": ("adam", "ranger"),
        "optim.schedule": ("constant", "cosine"),
        "model.hypernet.preset": ("medium_fine", "all_convs"),
    }
    flat = flatten(c)
    for name, options in choices.items():
        _need(flat[name] in options, name, flat[name], f"one of {', '.join(options)}")
    _check_data(c.data)
    _check_models(flat)
    _check_numbers(flat)


def image_size(data: Mapping[str, Any]) -> tuple[int, int]:
    """(H, W) of a run's images, by its fields `data`."""
    return data.get("height") or data["size"], data["size"]


def flatten(config: ConfigDict) -> dict[str, Any]:
    """`{"optim.lr": 1e-3, …}`."""
    flat = {}
    for key, value in config.items():
        if isinstance(value, ConfigDict):
            flat |= {f"{key}.{k}": v for k, v in flatten(value).items()}
        else:
            flat[key] = value
    return flat


def text(config: ConfigDict) -> str:
    """One `name = value` a line."""
    return "\n".join(f"{k} = {v!r}" for k, v in flatten(config).items())


def to_json(config: ConfigDict) -> str:
    return json.dumps(config.to_dict(), indent=2) + "\n"


def differences(saved: str, config: ConfigDict) -> list[str]:
    """The fields of a saved `config.json` that make this another run.

    Returns:
        Lines like `optim.lr: 0.001 there, 0.002 here`; empty if the run may go on.
    """
    default, there, here = (
        flatten(ConfigDict(json.loads(text)))
        for text in (to_json(base(config.task)), saved, to_json(config))
    )
    there = default | there  # the run may be older than a field
    lines = []
    for name in sorted((there.keys() | here.keys()) - MAY_DIFFER):
        old, new = there.get(name, "absent"), here.get(name, "absent")
        if old != new:
            lines.append(f"{name}: {old!r} there, {new!r} here")
    return lines


def _data() -> dict[str, Any]:
    return {
        "kind": "faces",  # procedural | "folder" or zip of images | "tfds" folder
        "path": "",
        "cache_dir": "data_cache",
        "size": 64,  # width in pixels
        "height": 0,  # 0: square
        "train": (0, 100_000),  # indices lo … hi - 1; of a data set's split "train"
        "eval": (1_000_000, 1_000_256),  # of eval_split
        "eval_path": "",  # another folder to evaluate on; "": path
        "eval_split": "train",  # of a tfds folder
        "leaks": "refuse",  # or "drop": what eval has too is left out of train
        "in_memory": False,  # read and decode all images before the first step
        "threads": 0,  # that read and decode; 0: one for each core, at most 16
        "images_per_identity": 1,
        "accessories": False,
        "flip": False,
        "augment": 0.0,
    }


def _hypernet() -> dict[str, Any]:
    return {
        "widths": (64, 128, 256, 512),
        "depths": (3, 4, 6, 3),
        "embedding_dim": 512,
        "inner_shared": 128,
        "inner": 256,
        "hidden": 512,
        "preset": "all_convs",
        "stem_stride": 2,
        "shared_kernel": True,  # full kernels from the shared head
        "to_rgb": False,
        "separable": False,
    }


def _optim() -> dict[str, Any]:
    return {
        "name": "adam",
        "lr": 1e-4,
        "schedule": "constant",
        "warmup_steps": 0,
        "b1": 0.9,
        "b2": 0.999,
        "eps": 1e-8,
        "clip": 0.0,  # global norm; 0: off
        "ema": 0.0,  # decay per step; 0: off
    }


def _loss() -> dict[str, Any]:
    return {
        "l2": 1.0,
        "lpips": 0.8,
        "id": 0.1,
        "moco": 0.0,  # domains other than faces; needs init.moco
        "moco_normalize": True,  # by ImageNet's statistics; the release does not
        "attributes": 1.0,
        "shape": 0.0,  # task recognition: a face's known shape from its identity vector
        "adversarial": 1.0,  # task gan; 0: no discriminator
        "render": 0.0,  # task gan: regression on images of known latents
        "latent": 0.0,  # task encoder: w of generated images
        "w_norm": 0.0,  # task encoder: squared distance of w from the mean latent
        "w_adversarial": 0.0,  # task encoder: a discriminator of latents
        "w_r1": 10.0,
        "r1": 1.0,
        "r1_every": 16,
        "path_length": 2.0,
        "path_length_every": 4,
        "style_mixing": 0.9,
    }


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
    (lo, hi), (eval_lo, eval_hi) = data.train, data.eval
    apart = hi <= eval_lo or eval_hi <= lo
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


def _check_models(flat: dict[str, Any]) -> None:
    name = "model.generator.resolution"
    size = flat[name]
    _need(size >= 8 and size & (size - 1) == 0, name, size, "a power of two from 8 on")
    for name, value in flat.items():
        if not name.startswith("model."):
            continue
        if isinstance(value, tuple):
            good = value and all(isinstance(v, int) and v >= 1 for v in value)
            _need(good, name, value, "positive integers, as 16,32,64")
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
    for name in ("lr", "eps"):
        value = flat[f"optim.{name}"]
        _need(value > 0, f"optim.{name}", value, "more than 0")
    for name in ("clip", "warmup_steps"):
        value = flat[f"optim.{name}"]
        _need(value >= 0, f"optim.{name}", value, "0 or more")


def _need(good: Any, name: str, value: Any, expected: str) -> None:
    if not good:
        raise ValueError(f"config.{name} is {value!r}, expected {expected}")
