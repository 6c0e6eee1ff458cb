"""The page that a run leaves."""

import base64
import html.parser
import io

import numpy as np
import pytest
import toy_config
from PIL import Image

from hyperstyle_jax import images
from hyperstyle_jax.config import fields as cfg
from hyperstyle_jax.loop import checkpoint, logs
from hyperstyle_jax.training import report


class Reader(html.parser.HTMLParser):
    """Attributes that make a browser fetch something, and the text."""

    def __init__(self, page):
        super().__init__()
        self.sources, self.text, self.tags = [], "", set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.sources += [v for k, v in attrs if k in ("src", "href", "srcset", "data")]

    def handle_data(self, data):
        self.text += data + "\n"


@pytest.fixture
def workdir(tmp_path):
    with logs.Log(tmp_path, "run", 0, 12) as log:
        log.train(3, {"loss": 1.0})
        log.evaluation(3, {"l2": 0.25})
        log.train(6, {"loss": 0.5})
    for name in ("00000003", "00000006", "train_00000006"):
        image = np.full((8, 8, 3), len(name), np.uint8)
        images.save_png(tmp_path / "images" / f"{name}.png", image)
    best = {"metric": "eval/l2", "value": 0.25, "step": 3}
    with checkpoint.Saver(tmp_path, keep=2) as saver:
        saver.save(6, {"w": np.ones(2)}, {"best": best, "seconds": 3700.2})
    return tmp_path


def read(workdir, fields=None):
    progress = checkpoint.progress(workdir)
    path = report.write(
        workdir, fields or cfg.flatten(toy_config.get_config()), progress
    )
    return Reader(path.read_text(encoding="utf-8"))


def test_it_tells_steps_time_best_last_numbers_and_config(workdir):
    text = read(workdir).text
    for line in ("6 of 12", "1:01:40", "0.25 at step 3", "0.5", "0.25 (step 3)"):
        assert f"\n{line}\n" in text
    assert "optim.lr" in text and "num_steps" in text


def test_it_needs_no_other_file(workdir):
    page = read(workdir)
    assert not page.tags & {"script", "link", "iframe", "object"}
    assert len(page.sources) == 3  # curves, the newest images of both kinds
    for source in page.sources:
        head, _, data = source.partition(",")
        assert head == "data:image/png;base64"
        Image.open(io.BytesIO(base64.b64decode(data))).verify()
    assert "@import" not in page.text and "url(" not in page.text


def test_names_are_text_and_not_markup(workdir):
    config = toy_config.get_config()
    config.data.path = "<script>alert(1)</script>"
    page = read(workdir, cfg.flatten(config))
    assert "script" not in page.tags and "<script>alert(1)</script>" in page.text


def test_a_run_that_has_done_nothing_has_a_page_too(tmp_path):
    page = read(tmp_path)
    assert "0 of 12" in page.text and not page.sources
