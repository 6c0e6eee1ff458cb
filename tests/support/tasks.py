"""Training tasks in seconds: tiny networks, 8×8 faces, one batch over and over."""

import jax
import numpy as np
import pytest

from hyperstyle_jax import faces, trees
from hyperstyle_jax.config import fields
from hyperstyle_jax.data.examples import FaceSource
from hyperstyle_jax.loop import fit, parallel
from hyperstyle_jax.weights import bundle, specs

# What a log says of the machine, not of the numbers that were trained.
MEASURED = frozenset(
    "steps_per_second data_wait memory_gib data_images_per_second_per_core".split()
)


def tiny(task: str):
    """`config.base` with the smallest networks that have every kind of layer."""
    c = fields.base(task)
    c.batch_size, c.num_iters, c.data.size, c.data.train = 4, 2, 8, (0, 8)
    c.model.generator.update(resolution=8, z_dim=faces.LATENT_DIM, w_dim=6)
    c.model.generator.update(channel_base=32, channel_max=8, num_mapping_layers=1)
    c.model.generator.mapping_lr_mul = 1.0
    c.model.discriminator.update(channel_base=32, channel_max=8)
    small = {"widths": (8,), "depths": (1,)}
    c.model.encoder.update(**small)
    c.model.feature_extractor.update(**small, embedding_dim=5)
    c.model.style_encoder.update(widths=(4, 4, 8), depths=(1, 1, 1))
    c.model.hypernet.update(**small, embedding_dim=5, inner=4, inner_shared=4, hidden=3)
    # A large eps: Adam divides by the gradient, and rounding must not look like one.
    c.optim.update(lr=1e-2, eps=1e-3)
    return c


def batch(config) -> dict[str, np.ndarray]:
    """The first faces of the config's training set."""
    options = {"images_per_identity": config.data.images_per_identity}
    source = FaceSource(config.data.train, config.data.size, **options)
    return source.take(np.arange(config.batch_size))


def train(task, config, steps, devices=1, examples=None):
    """Steps 1 … `steps` on one batch; the state, and the metrics of each step."""
    chosen = jax.local_devices()[:devices]
    compiled = fit.Phases(task, chosen, config.seed)
    state = fit.fresh_state(task, config.seed, chosen)
    frozen = jax.device_put(task.frozen, parallel.replicated(chosen))
    pieces = parallel.split(examples or batch(config), devices)
    history = []
    for step in range(1, steps + 1):
        number = np.int32(step)
        state, metrics = compiled[step](state, frozen, pieces, number)
        history.append({k: float(v) for k, v in jax.device_get(metrics).items()})
    return jax.device_get(state), history


def assert_same_on_two(task, config, one, metrics, atol=1e-4):
    """What `train` gave on one device is what it gives on two, to rounding."""
    two, others = train(task, config, len(metrics), devices=2)
    for a, b in zip(metrics, others, strict=True):
        assert b == pytest.approx(a, rel=1e-3)
    state = {k: v for k, v in one.items() if not k.startswith("opt")}
    two = trees.flatten(two)
    for path, value in trees.flatten(state).items():
        np.testing.assert_allclose(two[path], value, atol=atol, err_msg=path)


def evaluated(task, config, state):
    """Shapes of what `eval_step` gives for one batch."""
    key, axes = jax.random.key(0), (None, None, 0, None)
    step = jax.vmap(task.eval_step, axes, axis_name=parallel.AXIS)
    pieces = parallel.split(batch(config), 1)
    outputs = jax.eval_shape(step, state, task.frozen, pieces, key)
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), outputs)


def assert_bundled(nets, folder, size=8):
    """Networks that a bundle brings back as they were."""
    bundle.save(folder, nets, info={"image_size": size, "num_iters": 2})
    again = bundle.load(folder).nets
    assert again.keys() == nets.keys()
    for role, net in nets.items():
        assert specs.spec(again[role].module) == specs.spec(net.module)
        flat = trees.flatten(again[role].variables)
        for path, value in trees.flatten(net.variables).items():
            np.testing.assert_array_equal(flat[path], value, err_msg=path)
