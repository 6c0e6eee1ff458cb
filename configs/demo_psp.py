"""Procedural faces: pSp, an encoder to W+, for the shipped generator.

    python train.py --config configs/demo_psp.py
    hyperstyle export runs/demo_psp --out demo_psp

Generator and feature extractor come from the shipped bundle.
"""

from hyperstyle_jax.config import fields


def get_config():
    c = fields.demo("style_encoder")
    c.num_steps, c.batch_size = 4000, 16
    c.log_every, c.save_every, c.eval_every, c.image_every = 50, 500, 500, 500
    c.data.train = (0, 40_000)
    c.init.generator = c.init.feature_extractor = "demo"
    c.model.style_encoder.method = "psp"
    c.loss.update(l2=1.0, lpips=0.8, id=0.1)
    c.optim.update(lr=2e-3, schedule="cosine", warmup_steps=100, clip=1.0, ema=0.998)
    return c
