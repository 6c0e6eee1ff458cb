"""What a file holds is recognized by its content, or it is refused."""

import numpy as np
import pytest
from official_files import VALUES, encoder_file, generator, mangle, pyramid
from paths import ROOT

from hyperstyle_jax.convert import conversion, kinds, official
from hyperstyle_jax.torch_format import files as torch_files


def test_the_documents_name_every_kind():
    table = (ROOT / "docs" / "weights.md").read_text()
    assert set(kinds.KINDS) >= {kind for kind, _ in VALUES.values()}
    assert not [kind for kind in kinds.KINDS if f"`{kind}`" not in table]


@pytest.mark.parametrize(
    "value, reason",
    [
        ({"weights": np.zeros(3, np.float32)}, "no known kind of weights: a dict of 1"),
        ([1, 2], "no known kind of weights: a list"),
        ({"g_ema": {"style.1.weight": np.zeros((4, 4), "f4")}}, "conv1.conv"),
        ({"G_ema": {"mapping.embed.weight": np.zeros((4, 4), "f4")}}, "class labels"),
    ],
)
def test_unknown_content_is_described(tmp_path, value, reason):
    torch_files.write(tmp_path / "x.pt", value)
    with pytest.raises(ValueError, match="x.pt") as error:
        conversion.read(tmp_path / "x.pt")
    assert reason in str(error.value)


def test_the_kind_can_be_given_and_is_checked(tmp_path):
    value = encoder_file(pyramid())
    del value["opts"]
    torch_files.write(tmp_path / "x.pt", value)
    with pytest.raises(ValueError, match="--kind psp or e4e"):
        conversion.read(tmp_path / "x.pt")
    assert conversion.read(tmp_path / "x.pt", "e4e").source.kind == "e4e"
    with pytest.raises(ValueError, match="it is stylegan2, not moco"):
        torch_files.write(tmp_path / "y.pt", official.generator_contents(generator()))
        conversion.read(tmp_path / "y.pt", "moco")


@pytest.mark.parametrize("kind", ["moco", "w-encoder"])
def test_an_encoder_is_of_no_other_kind(kind):
    with pytest.raises(ValueError, match=f"it is e4e, not {kind}"):
        kinds.recognize(encoder_file(pyramid(progressive=True)), kind)


@pytest.mark.parametrize("name", ["hyperstyle", "e4e", "stylegan2", "arcface", "lpips"])
def test_mangled_files_are_recognized_or_refused(name):
    rng, original = np.random.default_rng(0), VALUES[name][1]()
    refused = 0
    for _ in range(200):
        value = {k: dict(v) if isinstance(v, dict) else v for k, v in original.items()}
        for _ in range(rng.integers(1, 4)):
            mangle(value, rng)
        try:
            kinds.recognize(value)
        except ValueError:
            refused += 1
    assert 0 < refused < 200
