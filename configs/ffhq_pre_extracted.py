"""HyperStyle for faces from stored first inversions: encoder and generator run once.

    python train.py --config configs/ffhq.py --pre_extract data/ffhq_256_inverted
    python train.py --config configs/ffhq_pre_extracted.py

Paths, hardware and result as in configs/ffhq.py, whose losses these are to the rounding
of the stored pictures (3e-5). Saves one pass of encoder and generator per picture and
step, about a tenth of a step with five passes.
"""

from configs import ffhq


def get_config():
    c = ffhq.get_config()
    c.data.path = "data/ffhq_256_inverted"
    return c
