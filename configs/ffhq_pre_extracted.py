"""HyperStyle for faces from stored initial inversions: encoder and generator run once.

    hyperstyle pre-extract configs/ffhq.py --out data/ffhq_256_inverted
    python train.py --config configs/ffhq_pre_extracted.py

Paths, hardware and result are those of configs/ffhq.py. The losses are the same up to
the rounding of the stored images (3e-5). The data set holds the initial inversions of
each image and of its mirror image: 0.9 MB an image, 63 GB for all of FFHQ. A step saves
one evaluation of encoder and generator for each image, which is about a tenth of its
time with five iterations.
"""

from configs import ffhq


def get_config():
    c = ffhq.get_config()
    c.data.path = "data/ffhq_256_inverted"
    return c
