"""No command writes into a folder in which another process is at work."""

import numpy as np
import pytest
from command import error_of, save_model
from threads import in_another_thread

import convert_weights
from hyperstyle_jax import images
from hyperstyle_jax.cli.main import main
from hyperstyle_jax.system import folder_lock

pytestmark = pytest.mark.usefixtures("no_cache")


def held(folder, beside):
    """Another thread, which counts like another process, holds the folder."""
    return in_another_thread(folder_lock.hold(folder, beside=beside))


INSIDE = {
    "invert": ["PHOTOS", "--model", "MODEL", "--out", "OUT"],
    "generate": ["--seeds", "0", "--model", "MODEL", "--out", "OUT"],
    "faces": ["--seeds", "0", "--out", "OUT"],
    "edit": ["OUT/a.npz", "--edit", "smile=1", "--model", "MODEL"],
    "evaluate": ["MODEL", "--out", "OUT"],
    "prepare": ["folder", "--source", "PHOTOS", "--size", "16", "--out", "OUT"],
}
BESIDE = {
    "export": ["RUN", "--out", "OUT"],
    "directions": ["OUT", "--names", "smile"],
    "calibrate": ["OUT"],
    "fit-direction": ["smile", "OUT", "--labels", "FILE"],
    "convert_weights.py": ["FILE", "--out", "OUT"],
}


@pytest.mark.parametrize("command", [*INSIDE, *BESIDE])
def test_a_folder_in_use_is_refused_and_left_as_it_is(command, model, tmp_path, capsys):
    out, photos = tmp_path / "out", tmp_path / "photos"
    if command in ("directions", "calibrate", "fit-direction"):
        save_model(out)
    else:
        out.mkdir()
    (out / "a.npz").touch()
    images.save_png(photos / "1.png", np.zeros((24, 24, 3), np.uint8))
    places = {"PHOTOS": photos, "MODEL": model, "RUN": tmp_path, "FILE": tmp_path}
    places |= {"OUT": out, "OUT/a.npz": out / "a.npz"}
    argv = [str(places.get(a, a)) for a in (INSIDE | BESIDE)[command]]
    with held(out, command in BESIDE):
        before = sorted(tmp_path.rglob("*"))
        if command == "convert_weights.py":
            assert convert_weights.main(argv) == 1
        else:
            assert main([command, *argv]) == 1
        assert f"{out} is in use by process" in error_of(capsys)
        assert sorted(tmp_path.rglob("*")) == before
