"""ReStyle over pSp for faces at 1024²: five corrections, each with its own loss.

    python train.py --config configs/ffhq_restyle_psp.py

Needs what configs/ffhq_psp.py needs. The encoder sees each image beside its
reconstruction so far, in six channels; it reads all rows off the last feature map.

Hardware: any number of devices with 24 GB or more. Published: LPIPS 0.13, L2 0.030, ID
0.66 on the test images of CelebA-HQ. Our own time and result have not been measured.
"""

from configs import ffhq_psp


def get_config():
    c = ffhq_psp.get_config()
    c.num_iters = 5
    c.model.style_encoder.method = "restyle_psp"
    return c
