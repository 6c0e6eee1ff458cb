"""e4e for faces at 1024²: an encoder to W+ whose latents stay editable.

    python train.py --config configs/ffhq_e4e.py

Needs what configs/ffhq_psp.py needs. The published recipe: 20,000 steps with one row
for all layers, then a further row every 2,000 steps; rows stay near the first one, and
all near the mapping network's latents, by a discriminator of latents.

Hardware: any number of devices with 16 GB or more. Published: LPIPS 0.20, L2 0.052, ID
0.50 on the test images of CelebA-HQ. Our own time and result have not been measured.
"""

from configs import ffhq_psp


def get_config():
    c = ffhq_psp.get_config()
    c.num_steps = 200_000
    c.model.style_encoder.method = "e4e"
    c.progressive.update(start=20_000, every=2_000)
    c.loss.update(delta=2e-4, w_adversarial=0.1, w_r1=10.0, w_lr=2e-5, w_pool=50)
    return c
