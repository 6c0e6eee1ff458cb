"""HyperStyle for cars, images wider than high: 192×256 in, 384×512 out.

    python train.py --config configs/cars.py

These commands are needed once (docs/data.md, docs/weights.md):
    hyperstyle prepare stanford-cars --source cars_train cars_test \\
      --out data/cars_256 --size 256 --height 192
    python convert_weights.py cars_w_encoder.pt --out pretrained/cars
    python convert_weights.py moco_v2_800ep_pretrain.pth.tar alexnet.pth alex.pth \\
      resnet34.pth --out pretrained/loss_networks_objects

The generator draws 512×512 pixels, of which the rows 64 to 447 are used. The loss
compares MoCo's features instead of identities. The hardware is that of configs/ffhq.py
with about two thirds of its memory. Time and result have not been measured.
"""

from configs import ffhq


def get_config():
    c = ffhq.get_config()
    c.data.update(path="data/cars_256", size=256, height=192)
    c.data.update(eval_path="", train=(0, 8_144), eval=(0, 8_041))
    c.model.generator.resolution = 512
    c.init.generator = c.init.encoder = "pretrained/cars"
    c.init.arcface = ""
    c.init.lpips = c.init.moco = c.init.trunk = "pretrained/loss_networks_objects"
    c.loss.update(id=0.0, moco=0.5)
    return c
