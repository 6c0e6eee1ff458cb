"""The settings for a domain of one's own: networks and training by size and number.

One table, from which `configs/own/*.py` and `hyperstyle domain` make their runs. The
generator's settings by resolution are those that StyleGAN2-ADA chooses by itself
(https://arxiv.org/abs/2006.06676, `auto`); the small networks are those of the shipped
bundle's domain, with which a CPU can do something in an hour.
"""

from typing import NamedTuple

from ml_collections import ConfigDict

from hyperstyle_jax.config import fields

STEPS = ("features", "generator", "encoder", "hyperstyle")
TASKS = dict(zip(STEPS, ("recognition", "gan", "encoder", "hyperstyle"), strict=True))
SIZES = (16, 32, 64, 128, 256, 512, 1024)
NETWORKS = ("tiny", "small", "full")
_MOST_SEEN = 256  # pixels; the networks beside the generator see no larger images


class _Widths(NamedTuple):
    """Of a generator and its discriminator: channels at one pixel, and the most."""

    base: int
    most: int


# By resolution. "full" is as published for it, "tiny" shows only that all steps work.
_WIDTHS = {
    "tiny": {size: _Widths(8 * size, 8) for size in SIZES},
    "small": {size: _Widths(32 * size, 64) for size in SIZES},
    "full": {size: _Widths(16384 if size < 512 else 32768, 512) for size in SIZES},
}
# Images that a full-strength augmentation takes at least to build up: few pictures are
# soon known by heart. Published: 500,000, and 100,000 for a transfer.
_ADA_IMAGES = ((2_000, 100_000), (10_000, 200_000), (1 << 62, 500_000))
# Images that a step trains on at most in all, by step of the chain.
MOST_IMAGES = {
    "features": 3_200_000,
    "generator": 25_000_000,
    "encoder": 3_200_000,
    "hyperstyle": 960_000,
}


def config(
    step: str,
    size: int = 64,
    *,
    networks: str = "",
    pictures: int = 10_000,
    labelled: bool = False,
    identity: bool = False,
    mirror: bool = False,
    transfer: bool = False,
) -> ConfigDict:
    """The run of one step of the chain; `data.path` and `init` are still to be named.

    Args:
        step: one of `STEPS`.
        size: resolution of the generator.
        networks: one of `NETWORKS`; by default small up to 128², else full.
        pictures: about how many there are.
        labelled: whether a table tells attributes. identity: and who is in a picture.
        mirror: whether a mirrored picture is one of the domain.
        transfer: whether the generator begins as that of another domain.

    Raises:
        ValueError: an unknown step, size or networks.
    """
    for name, value, known in (
        ("step", step, STEPS),
        ("size", size, SIZES),
        ("networks", networks, ("", *NETWORKS)),
    ):
        if value not in known:
            listed = ", ".join(str(k) for k in known if k != "")
            raise ValueError(f"{name} {value!r}: expected one of {listed}")
    networks = networks or ("small" if size <= 128 else "full")
    c = fields.base(TASKS[step])
    c.model.update(_model(size, networks))
    c.model.generator.resolution = size
    seen = size if step == "generator" else min(size, _MOST_SEEN)
    c.data.update(kind="folder", size=seen, held_out=512, leaks="drop", flip=mirror)
    c.log_every, c.save_every, c.eval_every, c.image_every = 50, 500, 1000, 1000
    c.num_steps = 10_000
    c.optim.update(lr=1e-3, warmup_steps=100, ema=0.998)
    if step == "features":
        _features(c, networks, labelled, identity)
    elif step == "generator":
        _generator(c, size, networks, pictures, transfer)
    elif step == "encoder":
        c.batch_size, c.best = _batch(size, networks, 16), "eval/loss"
        c.loss.update(l2=1.0, lpips=0.8, id=0.1, latent=0.3)
    else:
        c.batch_size, c.best = _batch(size, networks, 8), "eval/loss"
        c.num_iters = 5 if networks == "full" else 3
        c.loss.update(l2=1.0, lpips=0.8, id=0.1)
        c.optim.clip = 1.0
    return c.lock()


def _features(c, networks, labelled, identity):
    c.batch_size = 16 if networks == "tiny" else 64
    c.loss.update(
        attributes=float(labelled),
        id=0.1 if identity else 0.0,
        contrastive=0.0 if identity else 1.0,
    )


def _generator(c, size, networks, pictures, transfer):
    c.batch_size = _batch(size, networks, max(4, min(4096 // size, 32)))
    c.best = "eval/frechet"
    half_life = 10_000 / 32  # steps: 10 / 32 thousand images for each of a batch
    c.optim.update(
        lr=2e-3 if size >= 1024 else 2.5e-3,
        b1=0.0,
        b2=0.99,
        warmup_steps=0,
        ema=0.5 ** (1 / half_life),
        ema_rampup=0.0 if transfer else 0.05,
    )
    c.loss.update(
        r1=2e-4 * size**2 / c.batch_size,
        path_length=2.0,
        style_mixing=0.9,
        lpips=0.0,
        attributes=0.0,
    )
    if networks != "full":  # both penalties in the same steps: fewer programs
        c.loss.r1_every = c.loss.path_length_every = 8
    by_number = next(images for most, images in _ADA_IMAGES if pictures <= most)
    c.ada.update(target=0.6, images=100_000 if transfer else by_number)


def _batch(size, networks, published):
    """Small networks learn from small batches, of which a CPU does more."""
    return (
        4 if networks == "tiny" else min(published, 16 if networks == "small" else 32)
    )


def _model(size: int, networks: str) -> dict:
    widths = _WIDTHS[networks][size]
    both = {"channel_base": widths.base, "channel_max": widths.most}
    if networks == "full":
        generator = {"num_mapping_layers": 8 if size >= 1024 else 2}
        return {"generator": both | generator, "discriminator": both}
    tiny = networks == "tiny"
    stages = (8, 16) if tiny else (32, 64, 128, 256)
    ones = (1,) * len(stages)
    return {
        "generator": both
        | {
            "z_dim": 16 if tiny else 64,
            "w_dim": 16 if tiny else 128,
            "num_mapping_layers": 2,
        },
        "discriminator": both,
        "encoder": {"widths": stages, "depths": ones},
        "feature_extractor": {
            "widths": tuple(w // 2 for w in stages),
            "depths": ones,
            "embedding_dim": 16 if tiny else 64,
        },
        "hypernet": {
            "widths": stages,
            "depths": ones,
            "embedding_dim": stages[-1],
            "inner_shared": 16 if tiny else 64,
            "inner": 16 if tiny else 64,
            "hidden": 16 if tiny else 64,
        },
    }
