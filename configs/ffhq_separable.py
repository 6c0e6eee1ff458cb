"""HyperStyle for faces with separable heads, the release's other kind.

    python train.py --config configs/ffhq_separable.py

Paths and duration as in configs/ffhq.py. Offsets of a layer are outer products of two
vectors for each tap: fewer parameters; embeddings are kept for each iteration. Nothing
measured.
"""

from configs import ffhq


def get_config():
    c = ffhq.get_config()
    c.model.hypernet.separable = True
    return c
