"""The feature extractor of your own domain: distances without or with labels.

    python train.py --config configs/own/features.py --config.data.path=FOLDER

For 64² pixels; `--config configs/own/features.py:256` is for 256². FOLDER is a folder
or zip file of pictures, or a folder in a zip file (`set.zip/train`). It trains without
labels (SimCLR). With --config.data.labels=TABLE it also learns the table's attributes
if --config.loss.attributes=1, and with --config.data.identity=COLUMN people if
--config.loss.id=0.1.

`hyperstyle domain` does this and the other steps by itself (docs/own_domain.md). The
settings are those of hyperstyle_jax/config/own_domain.py. Any CPU, GPU or TPU; time and
result of a long run have not been measured.
"""

from hyperstyle_jax.config import own_domain


def get_config(size: str = "64"):
    return own_domain.config("features", int(size))
