"""Serves the page to this machine alone, or with a password to others.

gradio brings routes that this page does not need, among them some that fetch addresses
or run programs. A guard in front of it lets through what is listed here.
"""

import hmac
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_MOST_UPLOAD = "1gb"  # of a zip file; photos are checked when they are read
_SESSIONS = 16  # in memory, each with a generator of its own
_PAGE = ("/", "/config", "/theme.css", "/login", "/logout", "/favicon.ico")
_FOLDERS = ("/assets/", "/static/", "/svelte/")
_API = "/gradio_api/"
_API_PAGES = (
    "queue/join", "queue/data", "upload", "upload_progress", "cancel", "reset",
    "startup-events", "login_check", "theme.css", "app_id", "user", "component_server",
)  # fmt: skip
_API_FOLDERS = ("heartbeat/", "file=")


class Guard:
    """An ASGI application in front of another: refuses other hosts and other routes.

    A name that leads to this machine is not enough: pages of strangers would reach it
    by a name of their own.

    Args:
        app: the application.
        hosts: names by which the page may be asked for; empty allows all.
    """

    def __init__(self, app: Callable, hosts: tuple[str, ...] = ()):
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        """Answers, or lets the application answer."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        if not self._is_host(scope):
            await _refuse(send, 403, b"this page has another address")
        elif not is_route(scope["path"]):
            await _refuse(send, 404, b"no such page")
        else:
            await self._app(scope, receive, send)

    def _is_host(self, scope) -> bool:
        given = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        name = given.rsplit(":", 1)[0].strip("[]") if given else ""
        return not self._hosts or name in self._hosts


def is_route(path: str) -> bool:
    """Whether the page needs a path."""
    path = path.rstrip("/") or "/"
    if path in _PAGE or path.startswith(_FOLDERS):
        return True
    if not path.startswith(_API):
        return False
    rest = path.removeprefix(_API)
    if rest.startswith("file="):
        return not rest.lower().startswith(("file=http:", "file=https:"))
    return rest in _API_PAGES or rest.startswith(_API_FOLDERS)


async def _refuse(send, status, text) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(text))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})


class Served(NamedTuple):
    """A page that is being served.

    Attributes:
        url: its address.
        page: gradio's Blocks.
        folder: of uploads and results, which `close` removes.
    """

    url: str
    page: Any
    folder: Path

    def wait(self) -> None:
        """Until the program is told to stop."""
        self.page.block_thread()

    def close(self) -> None:
        """Stops serving and removes all files."""
        self.page.close(verbose=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def check(host: str, password: str | None) -> None:
    """Refuses to serve to other machines without a password, or without gradio.

    Raises:
        ValueError: says what to do.
    """
    if importlib.util.find_spec("gradio") is None:
        raise ValueError(
            "the page needs gradio: pip install 'hyperstyle_jax[app]', or in a clone "
            "pip install '.[app]'"
        )
    if host not in LOOPBACK and not password:
        raise ValueError(
            f"--host {host} lets other machines in: give a --password too, or set "
            "HYPERSTYLE_PASSWORD"
        )


def serve(
    engine: Any,
    name: str,
    *,
    host: str = LOOPBACK[0],
    port: int | None = None,
    password: str | None = None,
    open_browser: bool = False,
) -> Served:
    """Serves the page from another thread.

    Args:
        engine: `Engine`.
        name: of the model, for people.
        host: address that is listened on.
        port: the first free one from 7860 by default.
        password: that people give, with any name.
        open_browser: shows the page at once.

    Raises:
        ValueError: as of `check`. OSError: the port is taken.
    """
    check(host, password)
    folder = _prepare()
    from starlette.middleware import Middleware

    from hyperstyle_jax.app import page

    hosts = LOOPBACK if host in LOOPBACK else ()
    blocks = page.build(engine, name)
    blocks.queue(max_size=64)
    _, url, _ = blocks.launch(
        server_name=host,
        server_port=port,
        auth=_auth(password),
        inbrowser=open_browser,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        show_error=False,
        footer_links=[],
        theme=page.THEME,
        css=page.CSS,
        max_file_size=_MOST_UPLOAD,
        allowed_paths=[],
        state_session_capacity=_SESSIONS,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        enable_monitoring=False,
        app_kwargs={"middleware": [Middleware(Guard, hosts=hosts)]},
    )
    return Served(url, blocks, folder)


def _auth(password: str | None) -> Callable[[str, str], bool] | None:
    if not password:
        return None
    wanted = password.encode()
    return lambda _, given: hmac.compare_digest(given.encode(), wanted)


def _prepare() -> Path:
    """gradio's settings that it reads when it is imported; the folder of its files."""
    folder = Path(tempfile.mkdtemp(prefix="hyperstyle_app_"))
    os.environ.update(
        GRADIO_ANALYTICS_ENABLED="False",
        GRADIO_TEMP_DIR=str(folder),
        GRADIO_EXAMPLES_CACHE=str(folder / "examples"),
        HF_HUB_OFFLINE="1",
        # It would count all events anew after each of them.
        GRADIO_ANALYTICS_CACHE_FREQUENCY="1000000",
        GRADIO_ANALYTICS_MAX_EVENTS="100",
    )
    return folder
