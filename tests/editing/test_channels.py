"""Single channels of the styles: their names, their effects, edits by them."""

import numpy as np
import pytest
from networks import tiny_nets

from hyperstyle_jax.editing import calibrating, channels, steps
from hyperstyle_jax.editing.amounts import parse
from hyperstyle_jax.editing.calibrating import Meter
from hyperstyle_jax.offsets import synthesize
from hyperstyle_jax.weights.bundle import Bundle


@pytest.fixture(scope="module")
def model() -> Bundle:
    return Bundle(tiny_nets(8), {"image_size": 8}, {}, "id")


def test_channels_have_names(model):
    generator = model.nets["generator"]
    channel = channels.parse(generator, "b8/conv0:2")
    assert str(channel) == "b8/conv0:2" and channel.path == "synthesis/b8/conv0/weight"
    for text in ("b8/conv0", "b8/conv0:999", "b8/conv0:-1", "b9/conv0:1", "2"):
        with pytest.raises(ValueError, match="expected LAYER:NUMBER"):
            channels.parse(generator, text)


def test_an_edit_by_a_channel_shifts_its_style_alone(model):
    generator = model.nets["generator"]
    inversion = calibrating.generated(generator, 2, seed=0)
    edited = steps.apply_edits(model, inversion, "channel:b8/conv0:2=3")
    (bias,) = edited.replaced.values()
    before = generator.params["synthesis"]["b8"]["conv0"]["affine"]["bias"]
    std = channels.deviations(generator)["synthesis/b8/conv0/weight"][2]
    expected = np.where(np.arange(len(before)) == 2, 3 * std, 0)
    np.testing.assert_allclose(bias - before, np.tile(expected, (2, 1)), atol=1e-5)
    assert steps.apply_edits(model, inversion, "channel:b8/conv0:2=0") is inversion
    with pytest.raises(ValueError, match="give sd"):
        steps.apply_edits(model, inversion, "channel:b8/conv0:2=3deg")


def test_effects_are_those_of_the_edits(model):
    generator = model.nets["generator"]

    def read(images):
        return images.mean((1, 2)), None  # three attributes: the colours

    meter = Meter(("r", "g", "b"), {}, np.array([1.0, 2.0, 1.0]), read)
    effects = channels.measure(generator, meter, count=2, strength=2.0, together=5)
    sizes = [layer.in_channels for layer in generator.module.layers()]
    assert len(effects) == sum(sizes) == len({e.channel for e in effects})
    effect = effects[sizes[0]]
    inversion = calibrating.generated(generator, 2, seed=1)
    means = []
    for strength in (2.0, -2.0):
        (step,) = steps.resolve(model, parse(f"channel:{effect.channel}={strength}"))
        shown = synthesize(generator, steps.apply(generator, inversion, step))
        means.append(np.clip(shown, -1, 1).mean((0, 1, 2)))
    expected = (means[0] - means[1]) / 4 / meter.std
    np.testing.assert_allclose(effect.changes, expected, atol=1e-4)
    rows = list(channels.ranked(effects, meter.names, per_attribute=2))
    assert [row["attribute"] for row in rows] == ["r", "r", "g", "g", "b", "b"]
    assert all(0 <= row["purity"] <= 1 and row["focus"] >= 1 / 9 for row in rows)
