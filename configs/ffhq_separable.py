"""HyperStyle for faces with separable decoders, a variant of the release.

    python train.py --config configs/ffhq_separable.py

Paths, hardware and duration are those of configs/ffhq.py. The offsets of a layer are
outer products of two vectors for each tap of the kernel, which needs fewer parameters.
An inversion keeps the embeddings of every iteration. Time and result have not been
measured.
"""

from configs import ffhq


def get_config():
    c = ffhq.get_config()
    c.model.hypernet.separable = True
    return c
