"""Fixtures of pSp, e4e and ReStyle; most are slow tests.

The others, and the second seed, are for `hyperstyle parity ../shared/goldens_peers`.
"""

import pytest
from paths import SHARED

from hyperstyle_jax import parity
from hyperstyle_jax.parity import case

PEERS = SHARED / "goldens_peers"
QUICK = ("e4e_latent_discriminator",)
SLOW = (
    "psp_wplus_encoder_1024",
    "e4e_encoder_512_cars",
    "restyle_inversion_256_psp",
)


@pytest.mark.skipif(not PEERS.is_dir(), reason=f"no {PEERS}")
@pytest.mark.parametrize(
    "name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
)
def test_fixture(name):
    try:
        rows = list(parity.run(PEERS, [(name, 0)]))
    finally:
        parity.forget()
    assert rows and all(row.outputs for row in rows)
    assert not [row for row in rows if not row.passed]


def test_folders_beside_each_other_share_their_specs(tmp_path):
    for name in ("mine", "other"):
        (tmp_path / name / "specs").mkdir(parents=True)
    (tmp_path / "other/specs/a.json").write_text("[1]")
    assert case.load_spec(tmp_path / "mine", "a.json") == [1]
    (tmp_path / "mine/specs/a.json").write_text("[2]")
    assert case.load_spec(tmp_path / "mine", "a.json") == [2]
    with pytest.raises(FileNotFoundError):
        case.load_spec(tmp_path / "mine", "b.json")
