"""Procedural faces: StyleFlow's flow of the demo's latents, given 30 attributes.

python train.py --config configs/demo_flow.py
hyperstyle export runs/demo_flow --out my_flow

Measured on 2 CPU cores with much other work beside it: 40 minutes, 20,000 images drawn.
Held-out latents have -0.67 bits per dimension. Of an attribute's change that is asked
for, 0.68 are read in the edited image, over all attributes (docs/edits_flow.md).

For another bundle set init.generator and init.feature_extractor, and name its
attributes in model.flow.attributes; widths of (512,) * 5 are the release's.
"""

from hyperstyle_jax.config import fields


def get_config():
    c = fields.demo("flow")
    c.num_steps, c.batch_size = 2500, 8
    c.log_every, c.save_every, c.eval_every, c.image_every = 50, 250, 500, 500
    c.data.train, c.data.eval = (0, 64), (1_000_000, 1_000_128)
    c.init.generator = c.init.feature_extractor = "demo"
    c.optim.update(lr=1e-3, schedule="cosine", warmup_steps=100, clip=1.0)
    return c
