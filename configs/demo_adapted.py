"""Procedural faces as cartoons: the demo's generator, fine-tuned to another drawing.

    python train.py --config configs/demo_adapted.py
    hyperstyle export runs/demo_adapted --out cartoon
    hyperstyle adapt inverted --generator cartoon

Both drawings show the same face for the same latent. The mapping network stays, so
that a latent of the demo means the same here, and inversions can be adapted.
"""

from hyperstyle_jax.config import fields


def get_config():
    c = fields.demo("gan")
    c.num_steps, c.batch_size = 700, 16
    c.log_every, c.save_every, c.eval_every, c.image_every = 20, 100, 300, 300
    c.best = "eval/render_l2"
    c.data.style, c.data.train, c.data.eval = (
        "cartoon",
        (0, 12_000),
        (1_000_000, 1_000_256),
    )
    c.init.generator = c.init.feature_extractor = "demo"
    c.loss.update(adversarial=0.0, render=1.0, lpips=1.0, attributes=0.0)
    c.optim.update(lr=3e-3, schedule="cosine", warmup_steps=50, b2=0.99, ema=0.995)
    c.optim.frozen = "mapping/.*"
    return c
