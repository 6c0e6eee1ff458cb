"""What `speed` times, by name. Networks are those of the release at full width."""

from functools import partial

from hyperstyle_jax.benchmark.inference_items import (
    invert,
    make_edit,
    make_encode,
    make_predict,
    render,
    render_offsets,
)
from hyperstyle_jax.benchmark.item import Item
from hyperstyle_jax.benchmark.training_items import (
    demo_config,
    full_config,
    full_loss_networks,
    read_images,
    train,
)

ITEMS = {
    **{f"generator_{r}": render(r, 1) for r in (64, 256, 1024)},
    **{f"generator_{r}_b4": render(r, 4) for r in (64, 256, 1024)},
    **{f"generator_{r}_offsets": render_offsets(r, 1) for r in (64, 256, 1024)},
    **{f"generator_{r}_offsets_b4": render_offsets(r, 4) for r in (64, 256, 1024)},
    "w_encoder_256": Item(make_encode, 1),
    "hypernet_1024": Item(make_predict, 1),
    "inversion_256_T5": invert(256),
    "inversion_1024_T5": invert(1024),
    "edit_1024": Item(make_edit, 1),
    "train_step_256_b2_T2": train(partial(full_config, 256, 2), 2, full_loss_networks),
    "train_step_1024_b1_T1": train(
        partial(full_config, 1024, 1), 1, full_loss_networks
    ),
    "train_step_demo": train(demo_config, 8),
    "input_pipeline": Item(None, 64, read_images),
}
# How the cost grows with one number at a time; `--only growth` takes all of them.
GROWTH = {
    "resolution": {r: invert(r) for r in (64, 128, 256, 512, 1024)},
    "batch": {b: invert(256, batch=b) for b in (1, 2, 4, 8, 16)},
    "iterations": {t: invert(256, t) for t in (1, 2, 5, 10)},
    "devices": {d: train(demo_config, 16, devices=d) for d in (1, 2, 4)},
}
_FULL_BATCH = (partial(full_config, 1024, 5), 8, full_loss_networks)
# `--only gpu`: what an accelerator has room for.
GPU = {
    "inversion_1024_T5_b8": invert(1024, batch=8),
    "inversion_1024_T5_b8_bf16": invert(1024, batch=8, dtype="bfloat16"),
    "train_step_1024_b8_T5": train(*_FULL_BATCH),
    "train_step_1024_b8_T5_bf16": train(*_FULL_BATCH, dtype="bfloat16"),
}
GROUPS = {
    "growth": [f"{name}_{n}" for name, items in GROWTH.items() for n in items],
    "gpu": list(GPU),
}
EVERY = {
    **ITEMS,
    "inversion_1024_T5_bf16": invert(1024, dtype="bfloat16"),
    **{f"{name}_{n}": v for name, items in GROWTH.items() for n, v in items.items()},
    **GPU,
}
