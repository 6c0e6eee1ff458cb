"""The config of `toy_train.py`."""

from hyperstyle_jax.config.fields import base


def get_config():
    c = base("gan")
    c.num_steps, c.save_every, c.log_every = 12, 5, 3
    c.eval_every, c.image_every, c.num_devices, c.batch_size = 6, 0, 1, 8
    c.optim.lr = 0.1
    return c
