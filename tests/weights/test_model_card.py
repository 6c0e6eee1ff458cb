"""A bundle's README.md in the form that model hubs read, and its provenance."""

import numpy as np
import pytest
import yaml
from networks import tiny_generator

from hyperstyle_jax.weights import bundle, manifests, model_card, provenance


@pytest.fixture
def make(tmp_path):
    def card(**info):
        bundle.save(tmp_path / "mine", {"generator": tiny_generator()}, info=info)
        return (tmp_path / "mine" / "README.md").read_text(encoding="utf-8")

    return card


def head(card):
    _, front, _ = card.split("---\n", 2)
    return yaml.safe_load(front)


def test_the_head_is_yaml_that_hubs_read(make):
    card = make(licence="MIT", metrics={"lpips": 0.13, "l2": 0.0059})
    front = head(card)
    assert front["license"] == "mit" and front["library_name"] == "hyperstyle_jax"
    assert "gan-inversion" in front["tags"]
    (model,) = front["model-index"]
    (result,) = model["results"]
    assert result["task"] == {"type": "image-to-image"}
    assert result["metrics"] == [
        {"type": "lpips", "value": 0.13},
        {"type": "l2", "value": 0.0059},
    ]
    assert "| lpips | 0.13 |" in card


@pytest.mark.parametrize(
    "licence", ["My own: see\n---\nfile", 'quote"s', "unspecified", "ünï", "mit: # x"]
)
def test_any_licence_leaves_the_head_whole(make, licence):
    card = make(licence=licence)
    assert head(card)["license"] == "other"
    assert head(card)["license_name"] == licence


def test_texts_and_sections(make):
    card = make(summary="Cats.", limits="Not dogs.", licence="MIT")
    assert "\nCats.\n" in card and "## Limits\n\nNot dogs." in card
    assert "## Metrics\n\nNone were recorded." in card
    assert "| generator | Generator |" in card
    assert "model-index" not in head(card)


def test_odd_metrics_are_left_out(make):
    odd = {"a": "text", "b": None, "c": 1, "d": [1]}
    assert head(make(metrics=odd))["model-index"][0]["results"][0]["metrics"] == [
        {"type": "c", "value": 1}
    ]


def test_new_directions_get_into_the_card(make, tmp_path):
    make()
    bundle.set_directions(tmp_path / "mine", {"smile": np.ones(6)})
    card = (tmp_path / "mine" / "README.md").read_text()
    assert "Edit directions: smile." in card


def test_provenance_names_versions_and_sources(tmp_path):
    (tmp_path / "x.pt").write_bytes(b"abc")
    sources = provenance.of_files([(tmp_path / "x.pt", "stylegan2")])
    made_of = provenance.record("a test", sources)
    bundle.save(tmp_path / "b", {"generator": tiny_generator()}, made_of=made_of)
    recorded = manifests.read(tmp_path / "b")["provenance"]
    assert recorded["made_by"] == "a test"
    assert {"python", "jax", "flax", "numpy"} <= recorded["versions"].keys()
    (source,) = recorded["sources"]
    assert source["name"] == "x.pt" and source["bytes"] == 3
    assert source["sha256"].startswith("ba7816bf8f01cfea")  # FIPS 180's example "abc"
    card = (tmp_path / "b" / model_card.CARD).read_text()
    assert f"| x.pt | stylegan2 | `{source['sha256']}` |" in card


def test_the_same_networks_make_the_same_bundle_byte_for_byte(tmp_path):
    for name in "ab":
        bundle.save(tmp_path / name / "x", {"generator": tiny_generator()})
    for file in (tmp_path / "a" / "x").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / "x" / file.name).read_bytes()


def test_the_shipped_bundle_has_a_card_and_a_provenance():
    folder = bundle.find("demo")
    card = (folder / "README.md").read_text(encoding="utf-8")
    front = head(card)
    assert front["license"] == "mit"
    metrics = front["model-index"][0]["results"][0]["metrics"]
    assert {"lpips_form", "l2", "identity"} <= {m["type"] for m in metrics}
    assert "## Limits" in card
    assert manifests.read(folder)["provenance"]["sources"]
