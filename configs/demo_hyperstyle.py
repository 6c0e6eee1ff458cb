"""Procedural faces, step 5 of 5: the hypernetwork of the shipped bundle.

    python train.py --config configs/demo_hyperstyle.py

Some of the training pictures have flat shapes and displaced pieces pasted in, so that
there are errors which no w can mend. No accessory is ever shown.
"""

from hyperstyle_jax import config


def get_config():
    c = config.demo("hyperstyle")
    c.num_steps, c.batch_size, c.num_iters = 1500, 8, 3
    c.log_every, c.save_every, c.eval_every, c.image_every = 50, 200, 200, 400
    c.data.train, c.data.augment = (0, 40_000), 0.4
    c.init.generator = c.init.encoder = c.init.features = "runs/demo_encoder"
    c.loss.update(l2=20.0, lpips=0.8, id=0.2)
    c.optim.update(lr=2e-3, schedule="cosine", warmup_steps=100, clip=1.0, ema=0.995)
    return c
