"""The size of the images that converted networks take."""

import pytest

from hyperstyle_jax.convert import image_sizes
from hyperstyle_jax.convert.sources import Source


def source(role="hypernet", **opts):
    return Source("hyperstyle", {role: None}, [], opts=opts)


def named(*datasets):
    return [source(dataset_type=dataset) for dataset in datasets]


def image_size(sources):
    messages = []
    size = image_sizes.of_sources(sources, messages.append)
    return size, messages


@pytest.mark.parametrize(
    ("dataset", "size"),
    [
        ("ffhq_hypernet", (256, 256)),
        ("afhq_wild_hypernet", (256, 256)),
        ("cars_hypernet", (192, 256)),
        ("cars_encode", (192, 256)),
    ],
)
def test_the_options_name_a_data_set_of_known_size(dataset, size):
    assert image_size(named(dataset)) == (size, [])
    assert image_size([source("encoder"), *named(dataset)]) == (size, [])


@pytest.mark.parametrize("opts", [{}, {"dataset_type": "oscars"}])
def test_without_a_known_data_set_a_size_is_assumed_and_said(opts):
    size, (message,) = image_size([source(**opts)])
    assert size == (256, 256)
    assert "images of 256x256 are assumed" in message
    assert opts.get("dataset_type", "no data set") in message
    assert "--image-size 192x256" in message


def test_networks_of_one_size_need_no_data_set():
    assert image_size([source("generator")]) == ((256, 256), [])


def test_files_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match="--image-size") as error:
        image_size(named("ffhq_encode", "cars_hypernet"))
    assert "cars_hypernet (192x256)" in str(error.value)
    assert image_size(named("cars_encode", "cars_hypernet"))[0] == (192, 256)
