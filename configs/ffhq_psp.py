r"""pSp for faces at 1024²: an encoder to W+, the recipe of the published faces.

    python train.py --config configs/ffhq_psp.py

Besides the data of configs/ffhq.py, the commands of configs/ffhq_w_encoder.py are
needed once. The trunk begins with ArcFace's weights. Other published recipes:
  frontal views: --config.loss.l2=0.001 --config.loss.lpips=0.08 --config.loss.id=1 \
    --config.loss.l2_crop=0.01 --config.loss.lpips_crop=0.8 --config.loss.w_norm=0.005
  other domains: --config.loss.id=0 --config.loss.moco=0.5 --config.loss.w_norm=0.005,
    with --config.init.moco

Hardware: any number of devices with 16 GB or more. Published: LPIPS 0.17, L2 0.034, ID
0.56 on the test images of CelebA-HQ. Our own time and result have not been measured.
"""

from configs import ffhq_w_encoder
from hyperstyle_jax.config import fields


def get_config():
    c = fields.base("style_encoder")
    parent = ffhq_w_encoder.get_config()
    c.update({k: parent[k] for k in ("num_steps", "batch_size", "best")})
    c.log_every, c.save_every, c.eval_every, c.image_every = 50, 2500, 5000, 2500
    c.data, c.init, c.optim = parent.data, parent.init, parent.optim
    c.num_steps = 300_000
    c.model.generator.resolution = 1024
    c.model.style_encoder.method = "psp"
    c.loss.update(l2=1.0, lpips=0.8, id=0.1)
    return c
