"""Procedural faces: e4e, an encoder to W+ whose latents stay editable.

    python train.py --config configs/demo_e4e.py
    hyperstyle export runs/demo_e4e --out demo_e4e

Generator and feature extractor come from the shipped bundle. The published schedule of
rows (20,000 steps, then one every 2,000) in a tenth of the time.
"""

from configs import demo_psp


def get_config():
    c = demo_psp.get_config()
    c.model.style_encoder.method = "e4e"
    c.progressive.update(start=1500, every=150)
    c.loss.update(delta=2e-4, w_adversarial=0.1, w_lr=2e-4, w_pool=50)
    return c
