"""Procedural faces: ReStyle over e4e, three corrections of editable latents.

    python train.py --config configs/demo_restyle_e4e.py
    hyperstyle export runs/demo_restyle_e4e --out demo_restyle_e4e

Generator and feature extractor come from the shipped bundle.
"""

from configs import demo_e4e


def get_config():
    c = demo_e4e.get_config()
    c.num_iters = 3
    c.model.style_encoder.method = "restyle_e4e"
    return c
