"""HyperStyle for faces from stored initial inversions: encoder and generator run once.

    hyperstyle pre-extract configs/ffhq.py --out data/ffhq_256_inverted
    python train.py --config configs/ffhq_pre_extracted.py

Paths, hardware and result as in configs/ffhq.py, whose losses these are to the rounding
of the stored images (3e-5). Each image is stored with the initial inversions of
itself and of its mirror image: 0.9 MB, 63 GB for all of FFHQ. Saves one evaluation
of encoder and generator for each image and step, about a tenth of a step with five
iterations.
"""

from configs import ffhq


def get_config():
    c = ffhq.get_config()
    c.data.path = "data/ffhq_256_inverted"
    return c
