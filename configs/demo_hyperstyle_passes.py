"""Procedural faces, step 7 of 7: the hypernetwork of step 6, five passes in a row.

    python train.py --config configs/demo_hyperstyle_passes.py

Measured on 2 CPU cores with other work beside it: 48 minutes. L2 of held-out faces
(1,000,000 …) 0.0079 with one pass → 0.0070 with five, identity similarity 0.74 → 0.76;
without this step further passes make it worse (T = 3: L2 0.0100).
"""

from hyperstyle_jax import config


def get_config():
    c = config.demo("hyperstyle")
    c.num_steps, c.batch_size, c.num_iters = 3200, 8, 5
    c.log_every, c.save_every, c.eval_every, c.image_every = 50, 200, 400, 1600
    c.data.train, c.data.augment = (0, 40_000), 0.3
    c.init.generator = c.init.encoder = c.init.features = "runs/demo_encoder"
    c.init.hypernet = "runs/demo_hyperstyle"
    c.loss.update(l2=30.0, lpips=0.8, id=0.4)
    c.optim.update(lr=6e-4, schedule="cosine", warmup_steps=100, clip=1.0, ema=0.995)
    return c
