"""Procedural faces, step 2 of 7: identity, attributes and a perceptual distance.

python train.py --config configs/demo_recognition.py
python train.py --config configs/demo_recognition.py \\
  --workdir runs/demo_recognition_2 \\
  --config.init.feature_extractor=runs/demo_recognition --config.num_steps=3500

Measured on 2 CPU cores with other work beside it: 9 and 12 minutes. On held-out faces
R² of the attributes is 0.88 on average. Two images of one person are more similar than
two of different people in 98 % of the cases.

With --config.seed=7 and --config.data.train=100000,140000 the network learns other
people. `hyperstyle evaluate --eval-network` takes it as a measure that no method was
trained with (as good as the first; 17 minutes for each run).
"""

from hyperstyle_jax.config import fields


def get_config():
    c = fields.demo("recognition")
    c.num_steps, c.batch_size = 2500, 32
    c.log_every, c.save_every, c.eval_every, c.image_every = 50, 500, 500, 0
    c.data.train, c.data.images_per_identity = (0, 40_000), 40
    c.data.eval = (1_000_000, 1_001_000)
    c.loss.update(id=0.1, attributes=1.0, shape=1.0)
    c.optim.update(lr=2e-3, schedule="cosine", warmup_steps=100)
    return c
