"""Tables of names and layouts, followed in both directions."""

import numpy as np
import pytest

from hyperstyle_jax.convert import layouts
from hyperstyle_jax.convert.layouts import Constant, Rule

LAYOUTS = {
    "o i h w -> h w i o": ((2, 3, 4, 5), (4, 5, 3, 2), {}),
    "1 c 1 1 -> c": ((1, 6, 1, 1), (6,), {}),
    "1 ->": ((1,), (), {}),
    "(o i) c 1 1 -> c i o": ((6, 4, 1, 1), (4, 3, 2), {"o": 2, "i": 3}),
    "e (c h w) -> (h w c) e": ((5, 24), (24, 5), {"h": 2, "w": 3}),
    "l* d -> d": ((3, 4), (4,), {"l": 3}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_are_followed_both_ways(layout):
    shape, ours, sizes = LAYOUTS[layout]
    table = [Rule("t", "params/t", layout, sizes)]
    assert layouts.official_shapes(table, {"params/t": ours}) == {"t": shape}
    tensor = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    if "*" in layout:
        tensor = np.repeat(tensor[:1], shape[0], 0)
    arrays = layouts.apply(table, {"params/t": ours}, {"t": tensor}, "test")
    assert arrays["params/t"].shape == ours
    np.testing.assert_array_equal(layouts.invert(table, arrays)["t"], tensor)


def test_axes_go_where_the_layout_says():
    table = [Rule("t", "p", "e (c h w) -> (h w c) e", {"h": 2, "w": 3})]
    tensor = np.arange(5 * 24).reshape(5, 24)
    array = layouts.apply(table, {"p": (24, 5)}, {"t": tensor}, "test")["p"]
    h, w, c, e = 1, 2, 3, 4
    assert array[(h * 3 + w) * 4 + c, e] == tensor[e, (c * 2 + h) * 3 + w]


def test_rows_that_should_be_equal():
    table = [Rule("t", "p", "l* d -> d", {"l": 2})]
    with pytest.raises(ValueError, match="t: rows"):
        layouts.apply(table, {"p": (2,)}, {"t": np.eye(2)}, "test")


def test_constants_may_be_missing_and_are_written():
    table = [Constant("c", np.ones(2)), Rule("t", "p")]
    assert layouts.apply(table, {"p": (1,)}, {"t": np.zeros(1)}, "test").keys() == {"p"}
    assert sorted(layouts.invert(table, {"p": np.zeros(1)})) == ["c", "t"]
