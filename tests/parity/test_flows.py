"""StyleFlow against its golden results in double precision."""

import pytest
from paths import SHARED

from hyperstyle_jax import parity

PEERS = SHARED / "goldens_peers"


@pytest.mark.slow
@pytest.mark.skipif(not PEERS.is_dir(), reason="the official fixtures are not here")
@pytest.mark.parametrize("seed", [0, 1])
def test_flows_and_edits_are_the_releases(seed):
    rows = list(parity.run(PEERS, [("styleflow", seed)]))
    assert {row.kind: row.outputs for row in rows} == {"flow": 21, "density": 2}
    for row in rows:
        assert row.passed, row
