"""What is timed of trained networks runs, here with tiny ones."""

import jax
import pytest
from networks import tiny_nets

from hyperstyle_jax.benchmark import inference_items, random_networks


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    nets = tiny_nets()
    for name in ("generator", "encoder", "hypernet"):
        monkeypatch.setattr(random_networks, name, lambda *_, net=nets[name]: net)


@pytest.mark.parametrize(
    "make",
    [
        inference_items.render(16, 2).make,
        inference_items.render_offsets(16, 2).make,
        inference_items.make_edit,
    ],
    ids=["render", "render_offsets", "edit"],
)
def test_an_item_renders_images(make):
    function, args = make()
    image = jax.eval_shape(function, *args)
    assert image.shape[1:] == (16, 16, 3)
