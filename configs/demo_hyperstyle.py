r"""Procedural faces, step 6 of 7: the hypernetwork, one iteration.

    python train.py --config configs/demo_hyperstyle.py

With one iteration, training sees six times as many images a minute as with five. Into
some images flat shapes and displaced pieces are pasted (`data.augment`), so that there
are errors which no latent can correct. No training image shows an accessory.

Measured on 2 CPU cores with other work beside it: 48 minutes (7 steps a second when
idle). The shipped hypernetwork was trained further: this config with step 3's
generator, then another 20 minutes with
  --config.init.hypernet=demo --config.num_steps=3600 --config.loss.id=0.6
then 1750 steps of several iterations, and then 77 seconds on one H200 with
  --config.init.hypernet=demo --config.num_steps=2600 --config.batch_size=32 \
  --config.loss.id=0.6 --config.data.train=0,60000 --config.data.augment=0.3
On held-out faces L2 fell from 0.0194 (initial inversion) to 0.0077, and identity
similarity rose from 0.50 to 0.80.
"""

from hyperstyle_jax.config import fields


def get_config():
    c = fields.demo("hyperstyle")
    c.num_steps, c.batch_size, c.num_iters = 12_000, 8, 1
    c.log_every, c.save_every, c.eval_every, c.image_every = 100, 1000, 500, 4000
    c.data.train, c.data.augment = (0, 40_000), 0.2
    c.init.generator = c.init.encoder = c.init.feature_extractor = "runs/demo_encoder"
    c.loss.update(l2=20.0, lpips=0.8, id=0.4)
    c.optim.update(lr=1e-3, schedule="cosine", warmup_steps=100, clip=1.0, ema=0.998)
    return c
