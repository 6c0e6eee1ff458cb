"""HyperStyle for faces at 1024², the released recipe: all 17 convolutions are tuned.

    python train.py --config configs/ffhq.py

These commands are needed once (docs/data.md, docs/weights.md):
    hyperstyle prepare ffhq --source images1024x1024 --out data/ffhq_256 --size 256
    hyperstyle prepare celeba-hq --source CelebAMask-HQ list_eval_partition.txt \\
      --out data/celeba_hq_256 --size 256
    python convert_weights.py faces_w_encoder.pt --out pretrained/ffhq
    python convert_weights.py model_ir_se50.pth alexnet.pth alex.pth resnet34.pth \\
      --out pretrained/loss_networks

Without CelebA-HQ, hold out the last images of FFHQ: --config.data.eval_path="" \\
--config.data.eval_split=train --config.data.train="(0, 69000)" \\
--config.data.eval="(69000, 70000)".

Hardware: any number of devices with 24 GB or more. `--dry_run` estimates the memory;
`--config.precision=bfloat16`, `--config.remat=True` and
`--config.accumulation_steps=2` lower it. One H200 trains on 32 images a second in
bfloat16, five iterations each.

Published: about 120,000 steps of 8 images; on the test images of CelebA-HQ ID 0.76,
MS-SSIM 0.84, LPIPS 0.09, L2 0.019. Our own result has not been measured.
"""

from hyperstyle_jax.config import fields


def get_config():
    c = fields.base("hyperstyle")
    c.num_steps, c.batch_size, c.num_iters = 120_000, 8, 5
    c.log_every, c.save_every, c.eval_every, c.image_every = 50, 2500, 5000, 2500
    c.best = "eval/loss"
    c.data.update(kind="tfds", path="data/ffhq_256", size=256, flip=True)
    c.data.update(eval_path="data/celeba_hq_256", eval_split="test")
    c.data.update(train=(0, 70_000), eval=(0, 2_824))
    c.model.generator.resolution = 1024
    c.init.generator = c.init.encoder = "pretrained/ffhq"
    c.init.lpips = c.init.arcface = c.init.trunk = "pretrained/loss_networks"
    c.loss.update(l2=1.0, lpips=0.8, id=0.1)
    c.optim.update(name="ranger", lr=1e-4, b1=0.95, b2=0.999, eps=1e-5)
    return c
