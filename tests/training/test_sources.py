"""Where a run's networks come from: trunks of converted backbones."""

import numpy as np
import pytest
import tasks
from networks import random_net

from hyperstyle_jax import trees
from hyperstyle_jax.models.irnet import FaceNet
from hyperstyle_jax.models.resnet import ResNet
from hyperstyle_jax.training import criteria, encoder, from_config, sources
from hyperstyle_jax.weights import bundle


def config_with(task, folder):
    config = tasks.tiny(task)
    config.init.trunk = str(folder)
    return config


def saved(folder, **nets):
    bundle.save(folder, nets, info={"image_size": 8})
    return folder


@pytest.fixture
def resnet():
    return random_net(ResNet((8,), (1,), pool=False), 0, [(8, 8, 3)])


def test_the_hypernetwork_begins_with_a_resnet(resnet, tmp_path):
    """On equal images its first convolution answers as the ResNet's on one."""
    config = config_with("hyperstyle", saved(tmp_path / "b", resnet=resnet))
    begun = from_config.load_hypernet(config, sources.bundle_networks)
    plain = from_config.load_hypernet(tasks.tiny("hyperstyle"), sources.bundle_networks)
    for collection in ("params", "batch_stats"):
        flat, before, given = (
            trees.flatten(net.variables[collection]) for net in (begun, plain, resnet)
        )
        for path, value in flat.items():
            inside = path.removeprefix("trunk/")
            if path == "trunk/stem/conv/weight":
                whole = value[:, :, :3] + value[:, :, 3:]
                np.testing.assert_allclose(whole, given[inside], rtol=1e-6)
                np.testing.assert_array_equal(value[:, :, :3], value[:, :, 3:])
            else:
                wanted = given.get(inside, before[path])
                np.testing.assert_array_equal(value, wanted, err_msg=path)


def test_the_encoder_begins_with_arcface(tmp_path):
    net = random_net(FaceNet((8,), (1,), embedding=4), 0, [(112, 112, 3)])
    config = config_with("encoder", saved(tmp_path / "b", arcface=net))
    state = encoder.make_task(config).init(None)
    flat, given = trees.flatten(state["params"]), trees.flatten(net.params["body"])
    for path, value in given.items():
        np.testing.assert_array_equal(flat[f"body/{path}"], value, err_msg=path)


def test_a_trunk_of_another_width_is_refused(tmp_path):
    net = random_net(ResNet((4,), (1,), pool=False), 0, [(8, 8, 3)])
    config = config_with("hyperstyle", saved(tmp_path / "b", resnet=net))
    with pytest.raises(ValueError, match=r"config.init.trunk: trunk/.*change widths"):
        from_config.load_hypernet(config, sources.bundle_networks)


def test_a_bundle_without_the_trunk_is_refused(resnet, tmp_path):
    folder = saved(tmp_path / "b", resnet=resnet)
    with pytest.raises(ValueError, match=r"config.init.trunk: .* has no arcface"):
        encoder.make_task(config_with("encoder", folder)).init(None)


def test_moco_with_or_without_imagenets_statistics(tmp_path):
    module = ResNet((4,), (1,), bottleneck=True)
    folder = saved(tmp_path / "b", moco=random_net(module, 0, [(224, 224, 3)]))
    config = tasks.tiny("hyperstyle")
    config.loss.update(lpips=0.0, id=0.0, moco=0.5)
    config.init.moco = str(folder)
    x = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32)
    distances = {}
    for normalize in (True, False):
        config.loss.moco_normalize = normalize
        nets = from_config.loss_networks(config, sources.bundle_networks)
        assert not criteria.without_published(nets)
        target = criteria.extract_features(nets, x)
        distances[normalize] = criteria.distances(nets, -x, target)
        assert distances[normalize].keys() == {"l2", "moco"}
    assert distances[True]["moco"] != distances[False]["moco"]


def test_no_trunk_changes_nothing(resnet):
    assert sources.with_trunk(resnet, "trunk", "resnet", "") is resnet
