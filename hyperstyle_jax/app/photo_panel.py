"""The left side of the page: a photo, its faces, the inversion."""

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from hyperstyle_jax import faces as drawn_faces
from hyperstyle_jax import images
from hyperstyle_jax.app import cutting
from hyperstyle_jax.app.engine import Engine
from hyperstyle_jax.app.pictures import for_screen, read_upload
from hyperstyle_jax.app.session import Session
from hyperstyle_jax.app.wiring import PICTURE, STEPS, told
from hyperstyle_jax.editing import recipes
from hyperstyle_jax.images import png_chunks

_EXAMPLES = 4


class PhotoPanel:
    """Components and what they do; `components` are those that other parts listen to.

    Args:
        engine: of the model.
        state: the session's `gradio.State`.
    """

    def __init__(self, engine: Engine, state: Any):
        self._engine, self._state = engine, state
        self.examples = example_faces(engine)
        self.file = gr.File(
            label="A photo, or a picture or recipe saved here",
            type="filepath",
            height=150,
            elem_id="photo-file",
        )
        self.gallery = gr.Gallery(
            list(self.examples),
            label="Examples",
            columns=_EXAMPLES,
            height=110,
            allow_preview=False,
            buttons=[],
            format="png",
            elem_id="examples",
        )
        self.whole = gr.Checkbox(
            engine.find is None,
            label="no face search: take the middle of the picture",
            interactive=engine.find is not None,
            elem_id="whole",
        )
        self.remark = gr.Markdown(_no_finder(engine), elem_id="remark")
        self.found = gr.Image(
            label="Click a face to choose it",
            height=300,
            **PICTURE,
            elem_id="faces",
        )
        self.which = gr.Radio([], label="Face", visible=False, elem_id="which")
        self.invert = gr.Button("Invert", variant="primary", elem_id="invert")
        self.steps = gr.Image(
            label="Iterations", height=170, elem_id="iterations", **PICTURE
        )

    @property
    def shows(self) -> list[Any]:
        """What a new photo changes here."""
        return [self._state, self.found, self.which, self.remark, self.steps]

    def listen(self, restored: Any) -> None:
        """Wires the panel.

        Args:
            restored: called as `restored(event)` after a file was read, to show what a
                recipe brought.
        """
        upload = self.file.upload(
            told(self._read),
            [self._state, self.file, self.whole],
            self.shows,
            **STEPS,
        )
        restored(upload)
        example = self.gallery.select(
            told(self._example), [self._state], self.shows, **STEPS
        )
        restored(example)
        numbered = self.which.input(
            told(self._number), [self._state, self.which], self.shows, **STEPS
        )
        restored(numbered)
        clicked = self.found.select(
            told(self._click), [self._state], self.shows, **STEPS
        )
        restored(clicked)

    def _read(self, session: Session, path: str | None, whole: bool):
        if path is None:
            return self._shown(session)
        data, name = read_upload(path), Path(path).name
        recipe = None
        if data.startswith(png_chunks.SIGNATURE) or data.lstrip()[:1] == b"{":
            recipe = recipes.read(data, name)
        if recipe is not None:
            return self._shown(self._engine.restore(recipe, session))
        return self._shown(self._engine.open(data, name, whole))

    def _example(self, session: Session, event: gr.SelectData):
        image = self.examples[event.index]
        name = f"example {event.index + 1}"
        data = images.encode_png(image)
        return self._shown(self._engine.open(data, name, whole=True))

    def _number(self, session: Session, which: str | None):
        number = int(which.split()[-1]) - 1 if which else session.chosen
        return self._shown(self._engine.choose(session, number))

    def _click(self, session: Session, event: gr.SelectData):
        _, factor = for_screen(session.need_photo().image)
        x, y = (place / factor for place in event.index)
        number = cutting.at(session.faces, x, y)
        if number is None or number == session.chosen:
            return self._shown(session)
        return self._shown(self._engine.choose(session, number))

    def _shown(self, session: Session) -> list[Any]:
        count = len(session.faces)
        names = [f"Face {i + 1}" for i in range(count)]
        value = names[session.chosen] if names else None
        which = gr.Radio(choices=names, value=value, visible=count > 1)
        steps = None if session.inverted is None else gr.skip()
        return [session, _outlined(session), which, _remark(session), steps]


def _outlined(session: Session) -> np.ndarray | None:
    if session.photo is None:
        return None
    photo, factor = for_screen(session.photo.image)
    quads = [quad * factor for quad in cutting.boxes(session.faces)]
    return images.outlines(photo, quads, session.chosen)


def _remark(session: Session) -> str:
    if session.photo is None:
        return "Restored. To paste it back, give its photo first, then this file."
    if session.notes.get("face") != "found":
        return (
            "The middle of the picture is taken as the face, as if it were aligned "
            "already."
        )
    count = len(session.faces)
    return f"{count} faces, the largest first." if count > 1 else "One face found."


def _no_finder(engine: Engine) -> str:
    if engine.find is not None:
        return ""
    return (
        "Faces are not looked for: the middle of the picture is taken as an aligned "
        "face. `pip install 'hyperstyle_jax[align]'` finds them."
    )


def example_faces(engine: Engine) -> list[np.ndarray]:
    """Procedural faces that no network has seen, [64, 64, 3] uint8 or larger."""
    start = drawn_faces.TRAINING_INDICES
    indices = [start + i for i in range(_EXAMPLES)]
    return [*drawn_faces.draw(indices, size=max(64, min(engine.side, 256)))["image"]]
