"""Charts are written as images of a sensible size, whatever the numbers."""

import math

import pytest

from hyperstyle_jax import images, plots


@pytest.fixture
def file(tmp_path):
    return tmp_path / "chart.png"


def shape(file):
    return images.read(file).shape


def test_curves_of_a_run(file):
    rows = [{"step": s, "l2": 1 / s, "id": 0.5 - 1 / s} for s in range(1, 50)]
    rows += [{"step": 50, "eval/l2": 0.02}]
    plots.curves(rows, file)
    height, width, _ = shape(file)
    assert width > height > 200


def test_a_run_without_rows_has_no_curves(file):
    plots.curves([], file)
    assert not file.exists()


def test_iterations(file):
    plots.iterations({"T = 5": [0.1, 0.06, 0.05, 0.04], "one": [0.1, 0.07]}, file)
    assert min(shape(file)[:2]) > 300
    plots.iterations({"T = 0": [0.1]}, file, title="identity")


def test_bars_with_missing_values(file):
    table = {"L2": {"W": 0.1, "ours": 0.04, "W+": 0.05}, "id": {"W": 0.5, "ours": 0.9}}
    plots.bars(table, file)
    height, width, _ = shape(file)
    assert width > height > 100
    plots.bars({"L2": {"only": math.pi}}, file)


def test_a_point_for_each_of_many_methods(file):
    many = {f"method {i}": (10.0 ** (i - 6), 0.1 * i) for i in range(13)}
    plots.points(
        {"LPIPS": many, "identity": {"method 3": (1.0, 0.5)}}, file, x="s", log=True
    )
    height, width, _ = shape(file)
    assert width > 2 * height > 600
    curves = {label: ([0, 1], [y, 0]) for label, (_, y) in many.items()}
    plots.against({"smile": curves}, file, x="change", y="identity")
    assert min(shape(file)[:2]) > 200
