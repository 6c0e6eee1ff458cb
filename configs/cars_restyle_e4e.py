"""ReStyle over e4e for cars: 192×256 in, 384×512 out, on a ResNet-34.

    python train.py --config configs/cars_restyle_e4e.py

Needs what configs/cars.py needs (data/cars_256). MoCo's features take the place of
identities. Time and result have not been measured.
"""

from configs import cars_restyle_psp, ffhq_restyle_e4e


def get_config():
    return cars_restyle_psp.with_cars(ffhq_restyle_e4e.get_config())
