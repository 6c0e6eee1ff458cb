"""Visitors who try to get at what is not theirs; needs gradio, no browser."""

import http.server
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gradio", reason="the extra `app` is not installed")
from page_client import PageClient, file_data  # noqa: E402
from paths import ROOT  # noqa: E402

from hyperstyle_jax import images  # noqa: E402
from hyperstyle_jax.app import serving  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(engine):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving, "_MOST_UPLOAD", "1mb")
        page = serving.serve(engine, "tiny", port=None)
        yield page
        page.close()


@pytest.fixture
def client(served):
    return PageClient(served.url)


def outcome(client, path):
    """Of the event that a dropped file fires."""
    return client.fire("photo-file", "upload", None, file_data(path), True)


def uploaded(client, data, name="a.png") -> str:
    (path,) = client.upload(name, data).json()
    return path


def picture(level: int) -> bytes:
    return images.encode_png(np.full((40, 40, 3), level, np.uint8))


@pytest.mark.parametrize(
    "route",
    [
        "gradio_api/file=/etc/passwd",
        "gradio_api/file=../../../../etc/passwd",
        "gradio_api/file=%2e%2e/%2e%2e/etc/passwd",
        "gradio_api/file=file:///etc/passwd",
        f"gradio_api/file={ROOT / 'setup.cfg'}",
        "gradio_api/file=setup.cfg",
        "gradio_api/file/etc/passwd",
        "file=/etc/passwd",
        "assets/../../../../../../etc/passwd",
        "static/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "gradio_api/custom_component/x/client/component/../../../etc/passwd",
        "gradio_api/file=http://127.0.0.1:22/",
        "gradio_api/proxy=http://127.0.0.1:22/",
        "gradio_api/info",
        "monitoring",
    ],
)
def test_no_file_of_the_machine_is_shown(client, route):
    answer = client.http.get(f"/{route}")
    assert answer.status_code in (403, 404), answer.text[:200]


def test_the_folder_of_uploads_is_not_listed(client, served):
    path = uploaded(client, picture(10))
    for folder in (served.folder, Path(path).parent):
        assert client.http.get(f"/gradio_api/file={folder}").status_code == 403
    assert client.http.get(f"/gradio_api/file={path}").status_code == 200


@pytest.mark.parametrize("path", ["/etc/passwd", "setup.cfg", "../setup.cfg"])
def test_no_file_of_the_machine_is_read(client, path):
    message = outcome(client, path)
    assert not message["success"]
    assert "root:" not in str(message) and "metadata" not in str(message)


def test_nothing_is_fetched_for_a_visitor(client):
    asked = []

    class Secret(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Secret)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/secret.png"
    assert not outcome(client, url)["success"]
    with_url = {**file_data(""), "url": url}
    client.fire("photo-file", "upload", None, with_url, True)
    server.shutdown()
    assert not asked


def test_names_of_uploads_lead_nowhere(client, served):
    for name in ("../../evil.png", "/etc/evil.png", "a/../../b.png", "..", "é\n.png"):
        answer = client.upload(name, picture(20))
        if answer.status_code == 200:  # else it is refused
            (path,) = answer.json()
            assert served.folder in Path(path).resolve().parents, name


def test_uploads_are_limited(client):
    answer = client.upload("large.png", bytes(2_000_000))
    assert answer.status_code == 413, answer.text[:200]


def test_a_corrupt_upload_is_said_and_the_page_lives_on(client):
    message = outcome(client, uploaded(client, b"no <b>image</b>", "bad<i>.png"))
    assert not message["success"]
    error = message["output"]["error"]
    assert "not an image" in error and "<i>" not in error
    assert outcome(client, uploaded(client, picture(30)))["success"]


def test_an_image_of_too_many_pixels_is_refused(client):
    data = bytearray(picture(0))
    data[16:24] = (60_000).to_bytes(4, "big") * 2  # the header's width and height
    message = outcome(client, uploaded(client, bytes(data)))
    assert not message["success"] and "a.png" in message["output"]["error"]


def test_sessions_are_apart(served):
    """What one visitor inverts is nothing to another, and both can do it at once."""
    first, second = PageClient(served.url), PageClient(served.url)
    assert outcome(first, uploaded(first, picture(200)))["success"]
    answers = {}

    def invert(client):
        answers[client.session] = client.fire("invert", "click", None)

    threads = [threading.Thread(target=invert, args=[c]) for c in (first, second)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert answers[first.session]["success"]
    assert not answers[second.session]["success"]
    assert "no photo" in answers[second.session]["output"]["error"]
    assert first.fire("save", "click", None)["success"]
    assert not second.fire("save", "click", None)["success"]


def test_strangers_pages_cannot_use_it(served):
    evil = PageClient(served.url, Host="evil.example")
    assert evil.http.get("/config").status_code == 403
    origin = PageClient(served.url, Origin="http://evil.example")
    answer = origin.http.get("/config")
    assert answer.headers.get("access-control-allow-origin") in (None, "")


def test_with_a_password_nothing_is_there_without_it(engine):
    page = serving.serve(engine, "tiny", host="0.0.0.0", password="sésame")
    try:
        port = page.page.server_port
        client = PageClient(f"http://127.0.0.1:{port}")
        for route in ("config", "gradio_api/queue/data?session_hash=a"):
            assert client.http.get(f"/{route}").status_code == 401
        assert client.upload("a.png", picture(1)).status_code == 401
        wrong = {"username": "me", "password": "guess"}
        assert client.http.post("/login", data=wrong).status_code == 400
        right = {"username": "me", "password": "sésame"}
        assert client.http.post("/login", data=right).status_code == 200
        assert client.http.get("/config").status_code == 200
    finally:
        page.close()
    assert not page.folder.exists()
