"""ReStyle over e4e for faces at 1024²: five corrections of latents that stay editable.

    python train.py --config configs/ffhq_restyle_e4e.py

Needs what configs/ffhq_psp.py needs. The recipe is that of configs/ffhq_e4e.py, in each
of five iterations. The discriminator of latents learns from the first one's. (It sees
them with the mean latent, as the encoder's loss does; the official code forgets it.)

Hardware: any number of devices with 24 GB or more. Published: LPIPS 0.19, L2 0.041, ID
0.52 on the test images of CelebA-HQ. Our own time and result have not been measured.
"""

from configs import ffhq_e4e


def get_config():
    c = ffhq_e4e.get_config()
    c.num_iters = 5
    c.model.style_encoder.method = "restyle_e4e"
    return c
