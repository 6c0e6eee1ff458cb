"""`hyperstyle text-direction` with a small procedural CLIP."""

import io

import numpy as np
import procedural_clip
import pytest
from networks import tiny_generator

from hyperstyle_jax.cli.main import main
from hyperstyle_jax.editing import amounts, effect_files, steps, style_effects
from hyperstyle_jax.torch_format import files as torch_files
from hyperstyle_jax.weights import bundle


@pytest.fixture(scope="module")
def generator():
    return tiny_generator(8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, generator):
    """Bundles of a generator and a CLIP, and a vocabulary."""
    folder = tmp_path_factory.mktemp("text")
    bundle.save(folder / "model", {"generator": generator}, info={"image_size": 8})
    bundle.save(folder / "clip", {"clip": procedural_clip.net()})
    procedural_clip.vocabulary_file(folder)
    return folder


def command(folder, *more):
    texts = ["--neutral", "a face", "--target", "a smiling face"]
    options = ["--clip", folder / "clip", "--effects", folder / "effects"]
    options += ["--vocabulary", folder / "vocabulary.txt.gz"]
    words = ["text-direction", folder / "model", *options, *texts, *more]
    return main([str(word) for word in words])


def released_files(folder, generator):
    """StyleCLIP's files, as another program would have written them."""
    rng = np.random.default_rng(0)
    layers = generator.module.layers()
    std = [rng.uniform(0.5, 2, v.in_channels).astype("f4") for v in layers]
    count = sum(v.in_channels for v in style_effects.convolutions(generator))
    effects = rng.normal(size=(count, procedural_clip.ORACLE["sizes"]["embed"]))
    folder.mkdir(exist_ok=True)
    torch_files.write(folder / "S_mean_std", [std, std])
    np.save(folder / "fs3.npy", effects.astype("f4"))


def test_styleclips_own_files_make_an_edit(folder, generator, capsys):
    released_files(folder / "effects", generator)
    out = folder / "smiling.npz"
    assert command(folder, "--out", out) == 0
    assert "style channels move" in capsys.readouterr().out
    model = bundle.load(folder / "model")
    step, zero = steps.resolve(model, amounts.parse(f"{out}=2:0:2"))
    shifts = effect_files.load_shifts(out)
    assert shifts and step.styles.keys() == shifts.keys()
    for path, shift in shifts.items():
        np.testing.assert_allclose(step.styles[path], 2 * shift)
        assert not zero.styles[path].any()


def test_effects_of_another_generator_are_refused(folder, generator, capsys):
    released_files(folder / "effects", generator)
    np.save(folder / "effects" / "fs3.npy", np.ones((7, 24), "f4"))
    assert command(folder, "--out", folder / "x.npz") == 1
    assert "of another generator or of another CLIP" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more, says",
    [
        (["--out", "x.txt"], "ends in .npz"),
        (["--out", "x.npz", "--images", "0"], "--images 0: expected 1"),
        (["--out", "x.npz", "--vocabulary", "none"], "cannot read the vocabulary"),
    ],
)
def test_wrong_options_are_one_line(folder, more, says, capsys):
    assert command(folder, *more) == 1
    assert says in capsys.readouterr().err


@pytest.mark.slow
def test_effects_are_measured_and_continued(folder, monkeypatch, capsys):
    measured, measure = [], style_effects.measure_layer

    def counting(generator, clip, layer, *args, **options):
        if len(measured) == 2:
            measured.append(None)
            raise KeyboardInterrupt
        measured.append(layer.path)
        return measure(generator, clip, layer, *args, **options)

    monkeypatch.setattr(style_effects, "measure_layer", counting)
    new = ["--effects", folder / "own", "--images", 2, "--batch-size", 2]
    out = ["--out", folder / "own.npz", "--beta", "0"]
    assert command(folder, *new, *out) == 130
    assert command(folder, *new, *out) == 0
    paths = [path for path in measured if path]
    assert len(paths) == len(set(paths)) == 3  # convolutions up to 8²
    effects = torch_files.read(folder / "own" / "fs3.npy")
    np.testing.assert_allclose(np.linalg.norm(effects, axis=1), 1, rtol=1e-4)
    assert not list((folder / "own").glob("layer*"))
    assert command(folder, *new, *out, "--images", 3) == 0  # they are there


def test_shifts_of_another_kind_are_refused(tmp_path):
    data = io.BytesIO()
    np.savez(data, a=np.ones((2, 2)))
    (tmp_path / "x.npz").write_bytes(data.getvalue())
    with pytest.raises(ValueError, match="no shifts of styles"):
        effect_files.load_shifts(tmp_path / "x.npz")
