"""The W-encoder of your own domain, which gives the initial inversion.

    python train.py --config configs/own/encoder.py --config.data.path=FOLDER

For 64² pixels; `--config configs/own/encoder.py:256` is for 256². FOLDER is a folder or
zip file of pictures, or a folder in a zip file (`set.zip/train`). It needs the runs of
configs/own/features.py and configs/own/generator.py.

`hyperstyle domain` does this and the other steps by itself (docs/own_domain.md). The
settings are those of hyperstyle_jax/config/own_domain.py. Any CPU, GPU or TPU; time and
result of a long run have not been measured.
"""

from hyperstyle_jax.config import own_domain


def get_config(size: str = "64"):
    c = own_domain.config("encoder", int(size))
    c.init.feature_extractor = "runs/features"
    c.init.generator = "runs/generator"
    return c
