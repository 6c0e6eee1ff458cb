"""Methods side by side, with their times."""

import numpy as np
import pytest

from hyperstyle_jax.app import comparing
from hyperstyle_jax.app.comparing import Comparing
from hyperstyle_jax.app.session import Session


def test_methods_side_by_side(engine, done):
    compare = Comparing(engine)
    assert {"w-encoder", "w"} <= set(compare.names)
    results = [*compare.run(done, ["w-encoder"], 2)]
    assert [r.name for r in results] == ["w-encoder"]
    assert all(0 < r.seconds < 60 and r.l2 > 0 for r in results)
    table = comparing.table(done, results)
    assert table.dtype == np.uint8 and table.shape[1] > 2 * 192
    assert "W encoder" in comparing.markdown(results)
    taken = compare.take(done, results[0])
    assert taken.notes["method"] == "w-encoder" and "num_iters" not in taken.notes
    assert not taken.inverted.inversion.offsets
    engine.npz(taken)


def test_what_cannot_be_compared_is_said(engine, done):
    compare = Comparing(engine)
    with pytest.raises(ValueError, match="no method chosen"):
        next(compare.run(done, [], 2))
    with pytest.raises(ValueError, match="no photo"):
        next(compare.run(Session(), ["w"], 2))
    with pytest.raises(ValueError, match="no inversion method"):
        next(compare.run(done, ["magic"], 2))
