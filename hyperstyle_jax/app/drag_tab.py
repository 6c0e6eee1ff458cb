"""The tab where points of the picture are dragged."""

from typing import Any

import gradio as gr

from hyperstyle_jax.app import dragging
from hyperstyle_jax.app.dragging import Points
from hyperstyle_jax.app.engine import Engine
from hyperstyle_jax.app.session import Session
from hyperstyle_jax.app.wiring import PICTURE, QUICK, STEPS, told

_HELP = (
    "Click a point of the picture, then where it shall go; several pairs are fine. "
    "Stop keeps the best step so far. The first drag compiles for some seconds."
)


class DragTab:
    """Components and what they do.

    Args:
        engine: of the model.
        state: the session's `gradio.State`.
    """

    def __init__(self, engine: Engine, state: Any):
        self._engine, self._state = engine, state
        self._points = gr.State(Points())
        gr.Markdown(_HELP)
        with gr.Row():
            with gr.Column(scale=3):
                self.picture = gr.Image(
                    label="Picture", height=460, elem_id="drag-picture", **PICTURE
                )
            with gr.Column(scale=1):
                self.within = gr.Checkbox(
                    False,
                    label="only within the painted mask",
                    elem_id="drag-within",
                )
                self.go = gr.Button("Drag", variant="primary", elem_id="drag")
                self.stop = gr.Button("Stop", elem_id="stop")
                self.clear = gr.Button("Clear points", size="sm", elem_id="clear")
                self.undo = gr.Button("Undo all drags", size="sm", elem_id="undo")
                self.status = gr.Markdown("", elem_id="drag-status")

    def listen(self, tab: Any, panel: Any) -> None:
        """Wires the tab.

        Args:
            tab: which shows the session's picture when it is opened.
            panel: `EditPanel`, which shows the result too.
        """
        shown = [self.picture, self.status]
        both = [self._state, self._points]
        tab.select(told(self._show), both, shown, **QUICK)
        self.picture.select(told(self._click), both, [self._points, *shown], **QUICK)
        self.clear.click(
            told(self._clear), [self._state], [self._points, *shown], **QUICK
        )
        running = self.go.click(
            told(self._drag), [*both, self.within], [self._state, *shown], **STEPS
        )
        panel.show_after(running)
        stopped = self.stop.click(
            None, None, None, cancels=[running], api_visibility="private"
        )
        panel.show_after(stopped)
        undone = self.undo.click(
            told(self._undo), [self._state], [self._state, self._points, *shown],
            **QUICK,
        )  # fmt: skip
        panel.show_after(undone)

    def _scale(self) -> int:
        (generator,) = self._engine.model.require("generator")
        return dragging.scale_of(generator.module.resolution)

    def _show(self, session: Session, points: Points) -> list[Any]:
        if session.inverted is None:
            return [None, "Nothing to drag yet: invert a photo in Edit first."]
        picture = self._engine.draw(session)
        odd = len(points.clicks) % 2
        count = len(points.pairs[0])
        pairs = "1 pair" if count == 1 else f"{count} pairs"
        text = "now click where it shall go" if odd else pairs
        return [points.drawn(picture, self._scale()), text]

    def _click(self, session: Session, points: Points, event: gr.SelectData):
        side, (x, y) = len(session.need_inverted().before), event.index
        points = points.clicked(x, y, self._scale(), side)
        return [points, *self._show(session, points)]

    def _clear(self, session: Session) -> list[Any]:
        return [Points(), *self._show(session, Points())]

    def _drag(self, session: Session, points: Points, within: bool):
        for step in dragging.run(self._engine, session, points, within):
            yield step.session, step.picture, step.text

    def _undo(self, session: Session) -> list[Any]:
        look = session.look._replace(moved=None)
        notes = {k: v for k, v in session.notes.items() if k != "drag"}
        session = session._replace(look=look, notes=notes)
        return [session, Points(), *self._show(session, Points())]
