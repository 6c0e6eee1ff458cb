"""Files of inversions with tuned weights."""

import jax.numpy as jnp
import numpy as np
import pytest
from linear_nets import DIM, PATH, ROWS, linear_bundle

from hyperstyle_jax.convert import merging
from hyperstyle_jax.inversion import storage
from hyperstyle_jax.offsets import Inversion

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def bundle():
    return linear_bundle()


@pytest.fixture
def tuned(bundle):
    own = bundle.nets["generator"].params["synthesis"]["b4"]["conv1"]["weight"]
    change = RNG.normal(size=(2, *own.shape)) * 1e-2
    w_plus = jnp.asarray(RNG.normal(size=(2, ROWS, DIM)), jnp.float32)
    return Inversion(w_plus, replaced={PATH: own + jnp.asarray(change, jnp.float32)})


def test_differences_are_float16(bundle, tuned, tmp_path):
    path = storage.save(tmp_path / "a.npz", tuned, 1, bundle)
    with np.load(path) as content:
        difference = content[f"replaced/{PATH}"]
    assert (
        difference.dtype == np.float16
        and difference.shape == tuned.replaced[PATH][1].shape
    )
    restored = storage.restore(bundle, [storage.load(path)])
    np.testing.assert_array_equal(restored.w_plus[0], tuned.w_plus[1])
    error = np.abs(restored.replaced[PATH][0] - tuned.replaced[PATH][1])
    assert error.max() < 4e-5  # 2⁻¹¹ of the largest change


def test_weights_of_another_generator_are_refused(bundle, tuned, tmp_path):
    for replaced, message in [
        ({"synthesis/b8": jnp.ones((2, 3))}, "no weight of the generator"),
        ({PATH: jnp.ones((2, 3))}, "no weight of the generator"),
        ({PATH: tuned.replaced[PATH] + 1e6}, "too far from the generator's own"),
    ]:
        with pytest.raises(ValueError, match=message):
            storage.save(
                tmp_path / "a.npz", tuned.replace(replaced=replaced), 0, bundle
            )


def test_damaged_differences_are_refused(bundle, tuned, tmp_path):
    path = storage.save(tmp_path / "a.npz", tuned, 0, bundle)
    content, key = dict(np.load(path)), f"replaced/{PATH}"
    np.savez(path, **content | {key: content[key] * np.float16(np.nan)})
    with pytest.raises(ValueError, match="not finite"):
        storage.load(path)
    np.savez(path, **content | {key: content[key][:2]})
    with pytest.raises(ValueError, match=f"{key} has shape"):
        storage.restore(bundle, [storage.load(path)])
    np.savez(path, **content | {"replaced/other": content[key]})
    with pytest.raises(ValueError, match="replaced/other has shape"):
        storage.restore(bundle, [storage.load(path)])


def test_different_kinds_share_no_batch(bundle, tuned, tmp_path):
    plain = Inversion(tuned.w_plus)
    stored = [
        storage.load(storage.save(tmp_path / f"{i}.npz", one, 0, bundle))
        for i, one in enumerate((tuned, plain))
    ]
    with pytest.raises(ValueError, match="different kinds"):
        storage.restore(bundle, stored)


def test_merging_works_tuned_weights_in(tuned, bundle, tmp_path, monkeypatch):
    path, seen = storage.save(tmp_path / "a.npz", tuned, 0, bundle), []
    monkeypatch.setattr(merging.bundle, "load", lambda _: bundle)
    monkeypatch.setattr(merging.torch_files, "write", lambda out, value: None)

    def contents(net, layout):
        seen.append(net)
        return {}

    monkeypatch.setattr(merging.official, "generator_contents", contents)
    merging.merge("any", path, tmp_path / "a.pt")
    weight = seen[0].params["synthesis"]["b4"]["conv1"]["weight"]
    np.testing.assert_allclose(weight, tuned.replaced[PATH][0], atol=4e-5)
