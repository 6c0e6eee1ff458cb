"""A StyleGAN2 generator for faces at 1024² from fresh weights, the paper's config F.

    python train.py --config configs/ffhq_generator.py

This command is needed once (docs/data.md):
    hyperstyle prepare ffhq --source images1024x1024 --out data/ffhq_1024 --size 1024

Hardware: 8 devices with 32 GB, 4 images each. Published: 25,000,000 images, 9 days on 8
V100, Fréchet inception distance 2.84. Our own time and result have not been measured.
The published generators need no training: convert_weights.py reads them.
"""

from hyperstyle_jax.config import fields


def get_config():
    c = fields.base("gan")
    c.num_steps, c.batch_size = 780_000, 32
    c.log_every, c.save_every, c.eval_every, c.image_every = 50, 5000, 0, 5000
    c.data.update(kind="tfds", path="data/ffhq_1024", size=1024, flip=True)
    c.data.update(train=(0, 69_936), eval=(69_936, 70_000))
    c.model.generator.resolution = 1024
    c.loss.update(r1=10.0, path_length=2.0, style_mixing=0.9)
    c.optim.update(lr=2e-3, b1=0.0, b2=0.99, eps=1e-8, ema=0.9978)
    return c
