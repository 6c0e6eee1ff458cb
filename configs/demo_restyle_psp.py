"""Procedural faces: ReStyle over pSp, three corrections, each with its own loss.

    python train.py --config configs/demo_restyle_psp.py
    hyperstyle export runs/demo_restyle_psp --out demo_restyle_psp

Generator and feature extractor come from the shipped bundle.
"""

from configs import demo_psp


def get_config():
    c = demo_psp.get_config()
    c.num_iters = 3
    c.model.style_encoder.method = "restyle_psp"
    return c
