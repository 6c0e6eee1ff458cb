"""Procedural faces: StyleFlow's flow of the demo's latents, given 30 attributes.

python train.py --config configs/demo_flow.py
"""

from hyperstyle_jax.config import fields


def get_config():
    c = fields.demo("flow")
    c.num_steps, c.batch_size = 2500, 8
    c.log_every, c.save_every, c.eval_every, c.image_every = 50, 250, 500, 500
    c.data.train, c.data.eval = (0, 64), (1_000_000, 1_000_128)
    c.init.generator = c.init.feature_extractor = "demo"
    c.optim.update(lr=1e-3, schedule="cosine", warmup_steps=100, clip=1.0, ema=0.998)
    return c
