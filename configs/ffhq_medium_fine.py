"""HyperStyle for faces as the paper's text has it: coarse layers are left alone.

    python train.py --config configs/ffhq_medium_fine.py

Paths, hardware and duration as in configs/ffhq.py; a step is a little cheaper, for the
layers up to 8² get no offsets. Nothing measured.
"""

from configs import ffhq


def get_config():
    c = ffhq.get_config()
    c.model.hypernet.preset = "medium_fine"
    return c
