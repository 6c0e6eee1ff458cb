"""A client of the page without a browser: events as its scripts send them."""

import json
import secrets

import httpx


class PageClient:
    """One visitor.

    Args:
        url: of the page.
        headers: sent with every request.
    """

    def __init__(self, url: str, **headers: str):
        self.http = httpx.Client(base_url=url, headers=headers, timeout=120)
        self.session = secrets.token_hex(8)
        self._config = None

    @property
    def config(self) -> dict:
        if self._config is None:
            self._config = self.http.get("/config").json()
        return self._config

    def upload(self, name: str, data: bytes) -> httpx.Response:
        return self.http.post("/gradio_api/upload", files={"files": (name, data)})

    def fire(self, elem_id: str, event: str, *data, **more) -> dict:
        """The last message after an event of a component; None stands for states."""
        request = {"data": data, "fn_index": self.number(elem_id, event)}
        request |= {"session_hash": self.session, "event_data": None, **more}
        joined = self.http.post("/gradio_api/queue/join", json=request)
        if joined.status_code != 200:
            return {"success": False, "status": joined.status_code}
        query = {"session_hash": request["session_hash"]}
        with self.http.stream("GET", "/gradio_api/queue/data", params=query) as lines:
            for line in lines.iter_lines():
                message = json.loads(line.removeprefix("data:") or "{}")
                if message.get("msg") == "process_completed":
                    return message
        return {"success": False}

    def number(self, elem_id: str, event: str) -> int:
        """Of the function that listens to an event."""
        ids = {
            part["props"].get("elem_id"): part["id"]
            for part in self.config["components"]
        }
        return next(
            function["id"]
            for function in self.config["dependencies"]
            if [ids[elem_id], event] in [list(t) for t in function["targets"]]
        )


def file_data(path: str) -> dict:
    """What the page sends for a file."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}}
