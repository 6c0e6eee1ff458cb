"""Our networks against the official code's numbers; most fixtures are slow tests."""

import json
from pathlib import Path

import numpy as np
import pytest
from paths import GOLDENS

from hyperstyle_jax import parity
from hyperstyle_jax.cli.main import main
from hyperstyle_jax.parity import check, procedural
from hyperstyle_jax.parity.check import Output

QUICK = ("lpips_alex", "mtcnn", "tensor2im")
# Of one seed here; `hyperstyle parity` compares all.
LONG = (
    "domain_adaptation_256",
    "hypernet_1024",
    "hypernet_1024_torgb",
    "inversion_1024",
    "inversion_1024_resize",
    "train_step_256",
)


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("HYPERSTYLE_CACHE", "off")


def cases():
    if not GOLDENS.is_dir():
        reason = f"the official fixtures are not in {GOLDENS}"
        return [pytest.param("none", 0, marks=pytest.mark.skip(reason=reason))]
    return [
        pytest.param(name, seed, id=f"{name}_seed{seed}", marks=marks(name, seed))
        for name, seed in parity.find(GOLDENS)
        if name not in LONG or seed == 0
    ]


def marks(name, seed):
    return [] if name in QUICK and seed == 0 else [pytest.mark.slow]


@pytest.fixture(scope="module")
def groups():
    """The groups so far; programs and networks of the one before are freed."""
    yield (seen := [])
    parity.forget()
    seen.clear()


@pytest.mark.parametrize("name, seed", cases())
def test_fixture(name, seed, groups):
    group = parity.group(GOLDENS, name, seed)
    if groups[-1:] != [group]:
        parity.forget()
        groups.append(group)
    rows = list(parity.run(GOLDENS, [(name, seed)]))
    assert rows and all(row.outputs for row in rows)
    assert not [row for row in rows if not row.passed]


def test_procedural_numbers():
    u = procedural.unit(0, "input.z", (3,))
    expected = [2.1881096363067627, 0.06192314252257347, 1.800766110420227]
    assert u.dtype == np.float32 and u.tolist() == expected
    longer = procedural.unit(0, "input.z", (4, 700_000))
    np.testing.assert_array_equal(longer.ravel()[:3], u)
    assert abs(longer.mean()) < 0.01 and abs(longer.std() - 1) < 0.01


def test_aliases_are_one_tensor():
    how = [[2, 3], "float32", "normal", 0.0, 1.0]
    names = ["shared_weight_hypernet.w1", "refinement_blocks.4.hypernet.w1", "other"]
    spec = {"prefix": "h.", "rows": [[n, *how] for n in names]}
    tensors = procedural.state_dict(3, spec)
    assert tensors[names[0]] is tensors[names[1]]
    assert not np.array_equal(tensors["other"], tensors[names[0]])


def test_unknown_kinds_of_tensors_are_refused():
    spec = {"prefix": "", "rows": [["w", [1], "float32", "cauchy", 0, 1]]}
    with pytest.raises(ValueError, match="cauchy"):
        procedural.state_dict(0, spec)


def summary(value) -> dict[str, np.ndarray]:
    """What a fixture keeps of a large tensor."""
    flat = value.ravel()
    return {
        "k.shape": np.array(value.shape),
        "k.stride": np.array(3),
        "k.sample": flat[::3],
        "k.stats": check._statistics(flat),
    }


def test_equal_values_pass_whole_and_summarized():
    value = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    for arrays in ({"k": value}, summary(value)):
        (row,) = check.compare("f", arrays, [Output("k", value, "image")])
        assert row.passed and row.max_error == 0 and row.outputs == 1


def test_small_differences_fail_where_they_should():
    value = np.random.default_rng(0).normal(size=(40, 50)).astype(np.float32)
    for arrays in ({"k": value}, summary(value)):
        for scale, kind, passed in (
            (1e-6, "image", True),
            (1e-3, "image", False),
            (1e-4, "offset", False),
            (1e-3, "gradient", True),
            (np.nan, "image", False),
        ):
            changed = value + np.float32(scale) * np.sign(value)
            (row,) = check.compare("f", arrays, [Output("k", changed, kind)])
            assert row.passed is passed, (kind, scale)


def test_a_change_between_the_samples_is_seen():
    value = np.random.default_rng(0).normal(size=(40, 50)).astype(np.float32)
    changed = value.copy()
    changed.ravel()[1] += 10
    (row,) = check.compare("f", summary(value), [Output("k", changed, "offset")])
    assert not row.passed


def test_other_shapes_are_an_error():
    with pytest.raises(ValueError, match=r"k: shape \(3,\)"):
        check.compare("f", {"k": np.zeros(2)}, [Output("k", np.zeros(3), "loss")])


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with one fixture of a seed that nobody else has."""
    x = np.random.default_rng(0).uniform(-1.2, 1.2, (3, 2, 9)).astype(np.float32)
    levels = np.clip((x + 1) / 2, 0, 1) * np.float32(255)
    arrays = {"x": x, "out_u8": np.moveaxis(levels, 0, -1).astype(np.uint8)}
    np.savez(tmp_path / "tensor2im_seed7.npz", **arrays)
    (tmp_path / "tensor2im_seed7.json").write_text("{}")
    (tmp_path / "future_seed7.json").write_text("{}")
    return tmp_path


def test_any_seed_is_found(folder):
    assert parity.find(folder) == [("future", 7), ("tensor2im", 7)]
    assert parity.find(folder, ["tensor2im"]) == [("tensor2im", 7)]
    assert parity.find(folder, ["tensor2im_seed7"]) == [("tensor2im", 7)]


def test_command_prints_a_table(folder, capsys):
    assert main(["parity", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "max error" in lines[0] and len(lines) == 3
    assert lines[1].startswith("future_seed7") and lines[1].endswith("-")
    assert lines[2].startswith("tensor2im_seed7") and lines[2].endswith("yes")


def test_command_fails_with_a_fixture(folder, capsys):
    arrays = dict(np.load(folder / "tensor2im_seed7.npz"))
    arrays["out_u8"] = 255 - arrays["out_u8"]
    np.savez(folder / "tensor2im_seed7.npz", **arrays)
    assert main(["parity", str(folder), "--only", "tensor2im"]) == 1
    captured = capsys.readouterr()
    assert "NO (out_u8)" in captured.out and "tensor2im_seed7" in captured.err


@pytest.mark.parametrize(
    "argv, reason", [([], "no fixtures"), (["--only", "x"], "no fixture")]
)
def test_command_refuses_other_folders(tmp_path, capsys, argv, reason):
    if argv:
        (tmp_path / "y_seed0.json").write_text(json.dumps({}))
    assert main(["parity", str(tmp_path), *argv]) == 1
    assert reason in capsys.readouterr().err
