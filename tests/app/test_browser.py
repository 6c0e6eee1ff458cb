"""The page in a real browser, from a photo of two faces to its saved recipe.

With HYPERSTYLE_PAGE_PICTURES=FOLDER it leaves the pictures of docs/app.md there.
"""

import io
import os
import shutil
import statistics
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="the extra `app` is not installed")
sync_api = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed"
)

from hyperstyle_jax import images  # noqa: E402
from hyperstyle_jax.app import serving  # noqa: E402
from hyperstyle_jax.editing import recipes  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]
PATIENCE = 240_000  # milliseconds; other work may run beside
# Sets a slider and waits until both pictures are others and whole; milliseconds.
MOVE = """([name, value]) => new Promise(done => {
  const slider = document.querySelector(`#slider-${name} input[type=range]`);
  const pictures = () => [...document.querySelectorAll('#pair img')];
  const names = () => pictures().map(picture => picture.src).join();
  const before = names(), start = performance.now();
  slider.value = value;
  slider.dispatchEvent(new Event('input', {bubbles: true}));
  const look = () => {
    const whole = pictures().every(picture => picture.complete);
    if (names() != before && whole) done(performance.now() - start);
    else requestAnimationFrame(look);
  };
  look();
})"""


class Visit:
    """One browser's way through the page, with a picture of each station."""

    def __init__(self, page, url: str):
        self.page, self.url, self.frames = page, url, []
        self.requests: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: self.requests.append(request.url))
        self.folder = os.environ.get("HYPERSTYLE_PAGE_PICTURES")

    def open(self):
        self.page.goto(self.url)
        self.page.wait_for_selector("#invert")

    def tab(self, name: str):
        self.page.click(f"button[role=tab]:has-text('{name}')")

    def drop(self, where: str, path: Path):
        self.page.set_input_files(f"#{where} input[type=file]", str(path))

    def text(self, where: str, part: str):
        self.page.wait_for_function(
            "([id, part]) => document.getElementById(id)?.innerText.includes(part)",
            arg=[where, part],
        )

    def picture(self, where: str):
        self.page.wait_for_selector(f"#{where} img")

    def changed(self, where: str, before: str):
        """Waits for another picture."""
        self.page.wait_for_function(
            "([id, src]) => ![null, undefined, src].includes("
            "document.querySelector(`#${id} img`)?.src)",
            arg=[where, before],
        )

    def keep(self, name: str = ""):
        """A frame of the recording, or with a name a picture for the documentation."""
        if self.folder:
            self.page.wait_for_timeout(500)
            path = Path(self.folder) / f"{name or 'frame'}.png"
            self.page.screenshot(path=path)
            self.frames.append(images.read(path))
            path.unlink()
            if name:
                drawn = np.flatnonzero((self.frames[-1] != 255).any((1, 2)))
                part = self.frames[-1][: drawn[-1] + 20]
                small = Image.open(io.BytesIO(images.encode_png(part)))
                dithered = small.quantize(palette=small.quantize(256))
                dithered.save(path, optimize=True)

    def save_recording(self):
        if self.folder:
            shown = [f for frame in self.frames for f in [frame] * 4]
            small = [images.resize(f, len(f) // 2, f.shape[1] // 2) for f in shown]
            path = Path(self.folder) / "recording.webp"
            images.save_animation(path, small, fps=4, to_and_fro=False)


@pytest.fixture
def visit(demo_engine):
    [*demo_engine.compile()]
    served = serving.serve(demo_engine, "demo")
    with sync_api.sync_playwright() as playwright:
        options = ["--no-sandbox"]  # tests may run as root
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        page = browser.new_page(viewport={"width": 1200, "height": 1180})
        yield Visit(page, served.url)
        browser.close()
    served.close()


def test_a_visit(visit, two_faces, demo_engine, tmp_path, capsys):
    visit.open()
    corrupt_upload(visit, tmp_path)
    choose_and_invert(visit, two_faces, tmp_path)
    move_sliders(visit, capsys)
    paint_a_mask(visit)
    drag(visit)
    saved = paste_and_save(visit, demo_engine, tmp_path)
    compare(visit)
    batch(visit, two_faces, tmp_path)
    visit.save_recording()
    reload_and_restore(visit, saved)
    outside = [u for u in visit.requests if not u.startswith((visit.url, "data:"))]
    assert not [u for u in outside if not u.startswith("blob:")]


def corrupt_upload(visit, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    visit.drop("photo-file", bad)
    visit.page.wait_for_selector("text=not an image that can be read")
    visit.page.click(".toast-close")
    visit.page.click("[aria-label='Remove this file'], [aria-label=Clear]")


def choose_and_invert(visit, two_faces, tmp_path):
    path = tmp_path / "two.png"
    path.write_bytes(two_faces.data)
    visit.drop("photo-file", path)
    visit.picture("faces")
    visit.text("remark", "2 faces")
    visit.keep()
    before = visit.page.get_attribute("#faces img", "src")
    visit.page.click("#which label:has-text('Face 2')")
    visit.changed("faces", before)
    visit.keep()
    visit.page.click("#invert")
    visit.picture("pair")
    visit.text("status", "no edits")
    visit.keep()


def move_sliders(visit, capsys):
    visit.page.evaluate(MOVE, ["yaw", 5])
    start = time.process_time()
    times = [visit.page.evaluate(MOVE, ["yaw", value]) for value in range(6, 18)]
    server = (time.process_time() - start) / len(times)
    visit.keep()
    visit.page.evaluate(MOVE, ["smile", 2.5])
    visit.text("status", "yaw=+17deg, smile=+2.5sd")
    visit.keep("edit")
    with capsys.disabled():
        print(
            f"\nslider to picture: median {statistics.median(times):.0f} ms, least "
            f"{min(times):.0f} ms; {1000 * server:.0f} ms of processor time of the "
            "page's program for each"
        )
    assert statistics.median(times) < 5000


def paint_a_mask(visit):
    page = visit.page
    visit.tab("Mask")
    visit.picture("mask-picture")
    page.wait_for_selector("#editor canvas")
    page.wait_for_timeout(1500)
    box = page.locator("#editor canvas").first.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    before = page.get_attribute("#mask-picture img", "src")
    for row in (60, 100):
        page.mouse.move(middle[0] - 60, middle[1] + row)
        page.mouse.down()
        page.mouse.move(middle[0] + 60, middle[1] + row, steps=3)
        page.mouse.up()
    page.wait_for_timeout(500)
    page.click("#use-mask")
    visit.changed("mask-picture", before)
    visit.keep("mask")
    page.click("#no-mask")
    visit.tab("Edit")
    page.wait_for_function(
        "!document.getElementById('status').innerText.includes('within')"
    )


def drag(visit):
    visit.tab("Drag")
    visit.picture("drag-picture")
    visit.page.wait_for_timeout(500)
    box = visit.page.locator("#drag-picture img").bounding_box()
    side = min(box["width"], box["height"])
    left = box["x"] + (box["width"] - side) / 2
    top = box["y"] + (box["height"] - side) / 2
    for u, v, said in ((0.5, 0.58, "now click"), (0.42, 0.58, "1 pairs")):
        visit.page.mouse.click(left + u * side, top + v * side)
        visit.text("drag-status", said)
    visit.keep()
    visit.page.click("#drag")
    visit.text("drag-status", "step 3:")
    visit.keep()
    visit.page.click("#stop")
    visit.page.wait_for_timeout(1000)
    visit.keep("drag")
    visit.tab("Edit")
    visit.text("status", "dragged")


def paste_and_save(visit, engine, tmp_path) -> Path:
    visit.page.click("#paste")
    visit.picture("photo")
    visit.page.click("#save")
    visit.page.wait_for_selector("#files a")
    visit.page.locator("#files").scroll_into_view_if_needed()
    visit.keep("saved")
    visit.page.locator("#pair").scroll_into_view_if_needed()
    with visit.page.expect_download() as download:
        visit.page.click("#files a >> nth=0")
    path = tmp_path / "picture.png"
    download.value.save_as(path)
    recipe = recipes.read(path)
    assert recipe.look.edits == ("yaw=+17deg", "smile=+2.5sd")
    assert recipe.look.moved is not None and recipe.notes["number"] == 1
    again = np.int16(recipes.draw(engine.model, recipe))
    assert np.abs(again - images.read(path)).max() <= 1
    return path


def compare(visit):
    visit.tab("Compare")
    # A search takes half a minute to compile: two methods are enough here.
    visit.page.click("#methods label:has-text('W+ optimization')")
    visit.page.click("#compare")
    visit.text("compare-table", "W encoder")
    visit.picture("compare-picture")
    visit.page.wait_for_timeout(500)
    visit.keep("compare")


def batch(visit, two_faces, tmp_path):
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("two.png", two_faces.data)
        archive.writestr("torn.jpg", b"\xff\xd8\xff torn")
    visit.tab("Batch")
    visit.drop("batch-file", path)
    visit.page.wait_for_selector("#batch-file >> text=photos")
    visit.page.wait_for_timeout(500)
    visit.page.click("#batch-go")
    visit.text("batch-status", "2 of 2 photos, 1 failed")
    visit.page.wait_for_selector("#batch-result a")
    visit.keep("batch")


def reload_and_restore(visit, saved: Path):
    visit.open()
    assert visit.page.input_value("#slider-yaw input[type=number]") == "0"
    visit.drop("photo-file", saved)
    visit.picture("pair")
    visit.text("status", "yaw=+17deg, smile=+2.5sd, dragged")
    visit.page.wait_for_timeout(500)
    assert visit.page.input_value("#slider-yaw input[type=number]") == "17"
