"""Pivotal tuning and the projector against the official code; parts of the fixtures.

`hyperstyle parity` compares all runs, whose programs take minutes to compile.
"""

import pytest
from paths import SHARED

from hyperstyle_jax import parity
from hyperstyle_jax.parity import projections, tuning

PEERS = SHARED / "goldens_peers"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PEERS.is_dir(), reason="the official fixtures are not here"),
]


@pytest.mark.parametrize("name", ["pti_tuning_64", "projector_w_64"])
def test_fixture(name, monkeypatch):
    monkeypatch.setattr(tuning, "_RUNS", {"early": tuning._RUNS["early"]})
    runs = {"pti": projections._RUNS["pti"]}
    monkeypatch.setattr(projections, "_RUNS", runs)
    rows = list(parity.run(PEERS, [(name, 0)]))
    assert rows and all(row.passed for row in rows), rows
