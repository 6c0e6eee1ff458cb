"""ReStyle over pSp for cars: 192×256 in, 384×512 out, on a ResNet-34.

    python train.py --config configs/cars_restyle_psp.py

Needs what configs/cars.py needs (data/cars_256). MoCo's features take the place of
identities. Time and result have not been measured.
"""

from configs import cars, ffhq_restyle_psp


def get_config():
    c, objects = ffhq_restyle_psp.get_config(), cars.get_config()
    c.data = objects.data
    c.model.generator.resolution = 512
    c.model.style_encoder.update(trunk="resnet", depths=(3, 4, 6, 3))
    c.init.generator = objects.init.generator
    c.init.arcface = ""
    c.init.lpips = c.init.moco = c.init.trunk = "pretrained/loss_networks_objects"
    c.loss.update(id=0.0, moco=0.5)
    return c
