"""HyperStyle for wild animals at 512².

    python train.py --config configs/afhq_wild.py

These commands are needed once (docs/data.md, docs/weights.md):
    hyperstyle prepare afhq --animal wild --source afhq_v2.zip --out data/afhq_wild \\
      --size 256
    python convert_weights.py afhq_wild_w_encoder.pt --out pretrained/afhq_wild
    python convert_weights.py moco_v2_800ep_pretrain.pth.tar alexnet.pth alex.pth \\
      resnet34.pth --out pretrained/loss_networks_objects

The loss compares MoCo's features instead of identities. The hardware is that of
configs/ffhq.py. The data set is small (under 5,000 images): watch the scores on its
test images; the run keeps the best step. Time and result have not been measured.
"""

from configs import ffhq


def get_config():
    c = ffhq.get_config()
    c.data.update(path="data/afhq_wild", eval_path="", train=(0, 4_738), eval=(0, 500))
    c.model.generator.resolution = 512
    c.init.generator = c.init.encoder = "pretrained/afhq_wild"
    c.init.arcface = ""
    c.init.lpips = c.init.moco = c.init.trunk = "pretrained/loss_networks_objects"
    c.loss.update(id=0.0, moco=0.5)
    return c
