"""What all tabs of the page share: lanes of work, messages of errors, files."""

import functools
import html
import inspect
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio import utils

from hyperstyle_jax import images
from hyperstyle_jax.app.pictures import enlarged
from hyperstyle_jax.system import errors

# Short work waits for nobody's long work; each of both is done one after the other.
_SHORT = {"concurrency_id": "short", "concurrency_limit": 1}
_LONG = {"concurrency_id": "long", "concurrency_limit": 1}
# Nothing here is an interface for programs.
_PRIVATE: dict[str, Any] = {"api_visibility": "private"}
QUICK: dict[str, Any] = {**_SHORT, **_PRIVATE, "show_progress": "hidden"}
SLOW: dict[str, Any] = {**_LONG, **_PRIVATE, "show_progress": "minimal"}
STEPS: dict[str, Any] = {**_LONG, **_PRIVATE, "show_progress": "hidden"}
PICTURE: dict[str, Any] = {"interactive": False, "buttons": [], "format": "png"}


def told(work: Callable) -> Callable:
    """Shows a person the errors of input as a line, and lives on."""

    def raised(error: Exception):
        if not errors.is_expected(error):
            raise error
        text = html.escape(errors.one_line(error))
        raise gr.Error(text, duration=20, print_exception=False) from error

    if inspect.isgeneratorfunction(work):

        @functools.wraps(work)
        def steps(*args):
            try:
                yield from work(*args)
            except Exception as error:
                raised(error)

        return steps

    @functools.wraps(work)
    def once(*args):
        try:
            return work(*args)
        except Exception as error:
            raised(error)

    return once


def new_folder() -> Path:
    """A folder for one person's files, in the page's own, which goes with it."""
    folder = Path(utils.get_upload_folder()) / f"made_{secrets.token_urlsafe(24)}"
    folder.mkdir(parents=True)
    return folder


def on_screen(picture: np.ndarray) -> str:
    """A file of a picture to look at: small ones are enlarged, for speed as JPEG."""
    folder = Path(utils.get_upload_folder()) / "shown"
    folder.mkdir(exist_ok=True)
    path = folder / f"{secrets.token_urlsafe(24)}.jpg"
    path.write_bytes(images.encode_jpeg(enlarged(picture)))
    return str(path)
