"""ReStyle over pSp for cars: 192×256 in, 384×512 out, on a ResNet-34.

    python train.py --config configs/cars_restyle_psp.py

Needs what configs/cars.py needs (data/cars_256). MoCo's features take the place of
identities. Time and result have not been measured.
"""

from configs import cars_e4e, ffhq_restyle_psp


def get_config():
    return with_cars(ffhq_restyle_psp.get_config())


def with_cars(c):
    """Cars in the config of faces, with a ResNet-34 that begins as MoCo's."""
    c = cars_e4e.with_cars(c)
    c.model.style_encoder.update(trunk="resnet", depths=(3, 4, 6, 3))
    c.init.trunk = c.init.moco
    return c
