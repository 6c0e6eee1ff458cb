"""Bundles of tiny networks for the tests of the evaluation."""

import numpy as np
import pytest
from evaluated_bundles import save
from networks import tiny_nets

from hyperstyle_jax.evaluation import edits
from hyperstyle_jax.weights import bundle


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("HYPERSTYLE_CACHE", "off")


@pytest.fixture(scope="package")
def folder(tmp_path_factory):
    rows = np.eye(6, dtype=np.float32)
    path = tmp_path_factory.mktemp("model") / "tiny"
    return save(path, tiny_nets(), smile=rows[0], yaw=rows[1])


@pytest.fixture(scope="package")
def model(folder):
    return bundle.load(folder)


@pytest.fixture(scope="package")
def stranger(tmp_path_factory):
    """Another feature extractor (and the generator whose size it has)."""
    nets = {
        k: v
        for k, v in tiny_nets(seed=7).items()
        if k in ("feature_extractor", "generator")
    }
    return save(tmp_path_factory.mktemp("stranger") / "eval_network", nets)


@pytest.fixture
def short_search(monkeypatch):
    def match(search, target):
        return 2, search(2)

    monkeypatch.setattr(edits, "match", match)
