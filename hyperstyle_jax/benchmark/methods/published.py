"""Published figures of the methods, of other images, networks and hardware than ours.

CelebA-HQ's test set at 256×256, as HyperStyle's paper (https://arxiv.org/abs/2111.15666)
compares the methods.
"""

from typing import NamedTuple


class Published(NamedTuple):
    """Identity (CurricularFace), MS-SSIM, LPIPS (AlexNet), L2, seconds per image."""

    identity: float
    ms_ssim: float
    lpips: float
    l2: float
    seconds: float

    def __str__(self):
        return (
            f"{self.identity:.2f} · {self.ms_ssim:.2f} · {self.lpips:.2f} · "
            f"{self.l2:.3f} · {self.seconds:g} s"
        )


SOURCE = "HyperStyle's paper: faces, CelebA-HQ test set"
# By our names of methods.
PUBLISHED = {
    "pti": Published(0.85, 0.92, 0.09, 0.015, 55.7),
    "psp": Published(0.56, 0.76, 0.17, 0.034, 0.106),
    "e4e": Published(0.50, 0.72, 0.20, 0.052, 0.106),
    "restyle-psp": Published(0.66, 0.79, 0.13, 0.030, 0.366),
    "restyle-e4e": Published(0.52, 0.74, 0.19, 0.041, 0.366),
    "hyperstyle": Published(0.76, 0.84, 0.09, 0.019, 1.234),
}
# Rows of the paper of which we cannot say which of our methods they are.
OTHERS = {"StyleGAN2 optimization": Published(0.78, 0.90, 0.09, 0.020, 227.6)}
