"""The description of a run: every field with its default, differences, text.

A config file's `get_config()` takes `base(task)`, sets some fields and returns it. The
fields are locked and typed: a name or a type that is not here is refused. `checks.py`
refuses values that cannot work.
"""

import json
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

TASKS = ("gan", "recognition", "encoder", "style_encoder", "hyperstyle", "flow")
METHODS = ("psp", "e4e", "restyle_psp", "restyle_e4e")  # of task style_encoder
# The fields that may change when a run goes on: none of them alters a step.
MAY_DIFFER = frozenset(
    "num_steps log_every save_every eval_every image_every keep best "
    "wandb num_devices data.threads data.in_memory".split()
)


def base(task: str) -> ConfigDict:
    """Every field of a run with its default value.

    Args:
        task: one of `TASKS`.
    """
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
            "best": "",  # a metric as "eval/loss"; its least value's checkpoint is kept
            "wandb": "",  # a project of Weights & Biases
            "batch_size": 8,  # over all devices
            "accumulation_steps": 1,  # equal parts of a device's batch, one by one
            "precision": "float32",  # or "bfloat16", of feature maps
            "remat": False,  # less memory: generator blocks are computed twice
            "num_devices": 0,  # 0: all there are
            "on_nonfinite": "skip",  # or "stop"
            "data": _data(),
            "model": _model(),
            # The source of each network's weights: "" draws fresh ones, "demo" is the
            # shipped bundle, else the folder of a bundle or of a run. "random" leaves
            # also the networks below untrained, to measure time and memory.
            "init": {
                "generator": "",
                "encoder": "",
                "style_encoder": "",
                "feature_extractor": "",
                "hypernet": "",
                "discriminator": "",  # of task gan
                # A bundle with a converted ResNet-34 or ArcFace, for the trunk.
                "trunk": "",
                # Bundles of converted networks; "": the feature extractor instead.
                "lpips": "",
                "arcface": "",
                "moco": "",
            },
            "optim": _optim(),
            "loss": _loss(),
            "ada": _ada(),
            # Methods e4e, restyle_e4e: row 1 differs from row 0 from this step on, and
            # a further row every so many steps; start 0: all rows do from the first on.
            "progressive": {"start": 20_000, "every": 2_000},
            "num_iters": 5,  # iterations of the refinement or of ReStyle, T
        }
    )
    return config.lock()


def demo(task: str) -> ConfigDict:
    """`base` with the networks of the embedded domain: procedural faces at 64×64.

    Args:
        task: one of `TASKS`.
    """
    config = base(task)
    model = config.model
    model.generator.update(z_dim=48, w_dim=128, channel_base=2048, channel_max=64)
    model.generator.update(num_mapping_layers=3, mapping_lr_mul=1.0)
    model.discriminator.update(channel_base=1024, channel_max=64)
    for encoder in (model.encoder, model.style_encoder):
        encoder.update(widths=(16, 32, 96, 192), depths=(1, 1, 2, 2))
    model.feature_extractor.update(
        widths=(16, 32, 64, 128), depths=(1, 1, 1, 1), embedding_dim=64
    )
    model.hypernet.update(
        widths=(32, 64, 128, 256), depths=(1, 1, 1, 1), embedding_dim=256
    )
    model.hypernet.update(inner_shared=64, inner=64, hidden=64)
    model.flow.widths = (256,) * 3
    return config


def image_size(data: Mapping[str, Any]) -> tuple[int, int]:
    """(H, W) of a run's images in pixels.

    Args:
        data: the fields `data` of its config.
    """
    return data.get("height") or data["size"], data["size"]


def flatten(config: ConfigDict) -> dict[str, Any]:
    """All fields by their full names, `{"optim.lr": 1e-3, …}`."""
    flat = {}
    for key, value in config.items():
        if isinstance(value, ConfigDict):
            flat |= {f"{key}.{k}": v for k, v in flatten(value).items()}
        else:
            flat[key] = value
    return flat


def text(config: ConfigDict) -> str:
    """All fields, one `name = value` a line."""
    return "\n".join(f"{k} = {v!r}" for k, v in flatten(config).items())


def to_json(config: ConfigDict) -> str:
    """The text of a run's `config.json`."""
    return json.dumps(config.to_dict(), indent=2) + "\n"


def differences(saved: str, config: ConfigDict) -> list[str]:
    """The fields in which a run differs from the one that has saved `config.json`.

    Fields that alter no step (`MAY_DIFFER`) do not count.

    Args:
        saved: the text of the file.
        config: of the run that is to go on.

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
        "cache_dir": "data_cache",  # for prepared images; "" draws faces every time
        "size": 64,  # width in pixels
        "height": 0,  # 0: square
        "train": (0, 100_000),  # indices lo … hi - 1; of a data set's split "train"
        "eval": (1_000_000, 1_000_256),  # of eval_split
        "eval_path": "",  # another folder to evaluate on; "": data.path
        "eval_split": "train",  # of a tfds folder
        # This many images of a folder or data set, spread evenly and at most a tenth of
        # it, are evaluated on, all others trained on; 0: `train` and `eval` say which.
        "held_out": 0,
        "labels": "",  # a .csv or .jsonl file: what is known of each image, by its name
        "label_columns": "",  # those that are attributes, as "age,smile"; "": all
        "identity": "",  # the column that says who is in an image
        "leaks": "refuse",  # or "drop": images that eval has too are not trained on
        "in_memory": False,  # read and decode all images before the first step
        "threads": 0,  # that read and decode; 0: one for each core, at most 16
        "images_per_identity": 1,  # of procedural faces
        "accessories": False,  # on procedural faces
        "style": "portrait",  # of procedural faces, or "cartoon"
        "flip": False,  # mirrors half of the training images
        "augment": 0.0,  # share of training images with pasted shapes
    }


def _model() -> dict[str, Any]:
    return {
        "generator": {
            "resolution": 64,
            "z_dim": 512,
            "w_dim": 512,
            "channel_base": 32768,
            "channel_max": 512,
            "num_mapping_layers": 8,
            "mapping_lr_mul": 0.01,
        },
        "discriminator": {
            "channel_base": 32768,
            "channel_max": 512,
            "frozen_blocks": 0,  # from the image on, that are not trained (Freeze-D)
        },
        "encoder": {"widths": (64, 128, 256, 512), "depths": (3, 4, 14, 3)},
        "style_encoder": {
            "method": "psp",  # one of METHODS
            "widths": (64, 128, 256, 512),
            "depths": (3, 4, 14, 3),
            "trunk": "ir_se",  # or "resnet"
        },
        "hypernet": _hypernet(),
        "flow": {
            "widths": (512,) * 5,  # of the hidden layers
            # Names of the feature extractor's attributes; (): of procedural faces.
            "attributes": (),
        },
        "feature_extractor": {
            "widths": (32, 64, 128, 256),
            "depths": (1, 1, 1, 1),
            "embedding_dim": 128,
        },
    }


def _hypernet() -> dict[str, Any]:
    return {
        "widths": (64, 128, 256, 512),
        "depths": (3, 4, 6, 3),
        "embedding_dim": 512,
        "inner_shared": 128,  # channels of the embedders before the shared head
        "inner": 256,  # channels of the other embedders
        "hidden": 512,  # of the shared head
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
        "frozen": "",  # regular expression for whole paths of parameters that stay
        # Task gan: the average's half-life is at most this share of the steps so far;
        # 0: of any length from the first step on.
        "ema_rampup": 0.0,
    }


def _loss() -> dict[str, Any]:
    return {
        "l2": 1.0,
        "lpips": 0.8,
        "id": 0.1,
        "moco": 0.0,  # domains other than faces; needs init.moco
        "moco_normalize": True,  # by ImageNet's statistics; the release does not
        "attributes": 1.0,  # tasks recognition and gan; needs labels
        "contrastive": 0.0,  # task recognition, without labels: SimCLR's loss
        "shape": 0.0,  # task recognition: a drawn face's shape from its identity vector
        "adversarial": 1.0,  # task gan; 0: no discriminator
        "render": 0.0,  # task gan: regression on images of known latents
        "latent": 0.0,  # task encoder: w of generated images
        # Tasks encoder and style_encoder: distance of latents from their mean, and a
        # discriminator of latents with its gradient penalty.
        "w_norm": 0.0,
        "w_adversarial": 0.0,
        "w_r1": 10.0,
        # Task style_encoder, as all up to l2_crop: that discriminator's step size, and
        # how many latents of earlier steps it may see, 0: row 0 of this step's alone.
        "w_lr": 2e-5,
        "w_pool": 0,
        "delta": 0.0,  # distance of rows of w+ from row 0; methods e4e, restyle_e4e
        "lpips_crop": 0.0,  # of the middle of aligned faces
        "l2_crop": 0.0,
        "r1": 1.0,  # task gan, as all below
        "r1_every": 16,  # steps
        "path_length": 2.0,
        "path_length_every": 4,  # steps
        "style_mixing": 0.9,  # share of images of two latents
    }


def _ada() -> dict[str, Any]:
    """Adaptive discriminator augmentation of the task gan."""
    return {
        "target": 0.0,  # of r_t, published: 0.6; 0: the strength stays at `p`
        "p": 0.0,  # the strength to begin with; 0 with target 0: no augmentation
        "images": 500_000,  # that are shown while p goes from 0 to 1 at most
        "blit": True,  # mirror images, quarter turns, whole pixels
        "geometry": True,  # scale, rotation, stretching, fractions of pixels
        "color": True,  # brightness, contrast, inversion, hue, saturation
    }
