"""e4e for cars, images wider than high: 192×256 in, 384×512 out.

    python train.py --config configs/cars_e4e.py

Needs what configs/cars.py needs (data/cars_256), and model_ir_se50.pth converted into
pretrained/loss_networks (configs/ffhq.py): the trunk begins with it, as published.
MoCo's features take the place of identities. Time and result have not been measured.
"""

from configs import cars, ffhq_e4e


def get_config():
    return with_cars(ffhq_e4e.get_config())


def with_cars(c):
    """Data, generator and loss networks of cars in the config of faces."""
    objects = cars.get_config()
    c.data = objects.data
    c.model.generator.resolution = 512
    c.init.generator = objects.init.generator
    c.init.arcface = ""
    c.init.lpips = c.init.moco = "pretrained/loss_networks_objects"
    c.loss.update(id=0.0, moco=0.5)
    return c
