"""Procedural faces, step 5 of 7: the W-encoder, which gives the initial inversion.

python train.py --config configs/demo_encoder.py

Measured on 2 CPU cores with other work beside it: 10 minutes. Held-out faces have L2
0.0190 and identity similarity 0.54.

The shipped encoder was trained in two runs: 2,000 steps of this config with step 3's
generator, then with step 4's and
  --config.init.encoder=demo --config.num_steps=1200 --config.optim.lr=5e-4
  --config.loss.latent=0.15
"""

from hyperstyle_jax.config import fields


def get_config():
    c = fields.demo("encoder")
    c.num_steps, c.batch_size = 2000, 16
    c.log_every, c.save_every, c.eval_every, c.image_every = 50, 500, 500, 500
    c.data.train = (0, 40_000)
    c.init.generator, c.init.feature_extractor = (
        "runs/demo_adversarial",
        "runs/demo_recognition_2",
    )
    c.loss.update(l2=1.0, lpips=0.8, id=0.1, latent=0.3)
    c.optim.update(lr=2e-3, schedule="cosine", warmup_steps=100, ema=0.998)
    return c
