"""Who may see the page, and which routes there are; without gradio."""

import argparse
import asyncio

import pytest

from hyperstyle_jax.app import serving
from hyperstyle_jax.cli import app


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/config",
        "/assets/index.js",
        "/gradio_api/queue/join",
        "/gradio_api/upload",
        "/gradio_api/file=/tmp/x.png",
        "/gradio_api/heartbeat/abc",
    ],
)
def test_what_the_page_needs_is_there(path):
    assert serving.is_route(path)


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=http://127.0.0.1:22/",
        "/gradio_api/file=HTTPS://example.org/",
        "/gradio_api/proxy=http://example.org/",
        "/gradio_api/file/etc/passwd",
        "/gradio_api/vibe-edit",
        "/gradio_api/dev/reload",
        "/gradio_api/info",
        "/gradio_api/call/predict",
        "/gradio_api/run/predict",
        "/monitoring",
        "/file=/etc/passwd",
        "/docs",
    ],
)
def test_other_routes_are_shut(path):
    assert not serving.is_route(path)


def ask(path, host, hosts=serving.LOOPBACK):
    """The status of an answer; 200 where the guard lets through."""
    sent = []

    async def inner(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": path, "headers": [(b"host", host.encode())]}
    asyncio.run(serving.Guard(inner, hosts)(scope, None, send))
    return sent[0]["status"]


def test_the_page_answers_to_its_own_name_alone():
    assert ask("/", "127.0.0.1:7860") == 200
    assert ask("/", "localhost") == 200
    assert ask("/", "[::1]:7860") == 200
    assert ask("/", "evil.example:7860") == 403
    assert ask("/", "127.0.0.1.evil.example") == 403
    assert ask("/", "evil.example", hosts=()) == 200
    assert ask("/monitoring", "127.0.0.1") == 404


def test_other_machines_need_a_password(monkeypatch):
    monkeypatch.setattr(serving.importlib.util, "find_spec", lambda _: object())
    serving.check("127.0.0.1", None)
    serving.check("0.0.0.0", "secret")
    with pytest.raises(ValueError, match="--password"):
        serving.check("0.0.0.0", None)


def test_without_gradio_there_is_one_line(monkeypatch):
    monkeypatch.setattr(serving.importlib.util, "find_spec", lambda _: None)
    args = argparse.Namespace(host="127.0.0.1", password=None)
    with pytest.raises(ValueError, match=r"hyperstyle_jax\[app\]"):
        app.run(args)
