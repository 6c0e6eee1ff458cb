"""The W-encoder for faces (IR-SE-50), which gives HyperStyle's initial inversion.

    python train.py --config configs/ffhq_w_encoder.py

Besides the data of configs/ffhq.py, these commands are needed once (docs/weights.md):
    python convert_weights.py stylegan2-ffhq-config-f.pt --out pretrained/stylegan2_ffhq
    python convert_weights.py model_ir_se50.pth alexnet.pth alex.pth \\
      --out pretrained/loss_networks

The trunk begins with ArcFace's weights. A discriminator of latents, as e4e's, keeps w
near the mapping network's latents (`loss.w_adversarial`);
`--config.loss.w_norm=0.005` penalizes the distance instead, as pSp does. Hardware: any
number of devices with 16 GB or more. Time and result have not been measured.
"""

from hyperstyle_jax.config import fields


def get_config():
    c = fields.base("encoder")
    c.num_steps, c.batch_size = 200_000, 8
    c.log_every, c.save_every, c.eval_every, c.image_every = 50, 2500, 5000, 2500
    c.best = "eval/loss"
    c.data.update(kind="tfds", path="data/ffhq_256", size=256, flip=True)
    c.data.update(eval_path="data/celeba_hq_256", eval_split="test")
    c.data.update(train=(0, 70_000), eval=(0, 2_824))
    c.model.generator.resolution = 1024
    c.init.generator = "pretrained/stylegan2_ffhq"
    c.init.lpips = c.init.arcface = c.init.trunk = "pretrained/loss_networks"
    c.loss.update(l2=1.0, lpips=0.8, id=0.1, w_adversarial=0.1)
    c.optim.update(name="ranger", lr=1e-4, b1=0.95, b2=0.999, eps=1e-5)
    return c
