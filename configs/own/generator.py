"""A StyleGAN2 generator of your own domain, with adaptive augmentation.

    python train.py --config configs/own/generator.py --config.data.path=FOLDER

For 64² pixels; `--config configs/own/generator.py:256` is for 256². FOLDER is a folder
or zip file of pictures, or a folder in a zip file (`set.zip/train`). It needs the run
of configs/own/features.py, which measures it. With --config.init.generator=BUNDLE (and
--config.init.discriminator=BUNDLE) it begins with networks of another domain;
--config.model.discriminator.frozen_blocks=2 then keeps the discriminator's first
blocks. --config.data.flip=True trains on mirrored pictures too.

`hyperstyle domain` does this and the other steps by itself (docs/own_domain.md). The
settings are those of hyperstyle_jax/config/own_domain.py. Any CPU, GPU or TPU; time and
result of a long run have not been measured.
"""

from hyperstyle_jax.config import own_domain


def get_config(size: str = "64"):
    c = own_domain.config("generator", int(size))
    c.init.feature_extractor = "runs/features"
    return c
