"""Procedural faces, step 3 of 5: the generator of step 1, trained adversarially.

    python train.py --config configs/demo_generator.py
"""

from hyperstyle_jax import config


def get_config():
    c = config.demo("gan")
    c.num_steps, c.batch_size = 1000, 16
    c.log_every, c.save_every, c.eval_every, c.image_every = 50, 250, 250, 250
    c.data.train, c.data.eval = (0, 40_000), (1_000_000, 1_001_024)
    c.init.generator, c.init.features = "runs/demo_warmup", "runs/demo_features"
    c.loss.update(adversarial=0.02, render=1.0, lpips=0.0, r1=0.5, path_length=0.0)
    c.optim.update(lr=2e-3, schedule="cosine", b1=0.0, b2=0.99, ema=0.995)
    return c
