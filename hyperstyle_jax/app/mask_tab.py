"""The tab where one paints which part of the picture may change."""

from typing import Any

import gradio as gr

from hyperstyle_jax.app.engine import Engine
from hyperstyle_jax.app.pictures import enlarged, painted
from hyperstyle_jax.app.session import Session
from hyperstyle_jax.app.wiring import PICTURE, QUICK, on_screen, told

_HELP = (
    "Paint where the picture may change: outside of it, edits, styles and drags leave "
    "every pixel of the reconstruction as it was."
)


class MaskTab:
    """Components and what they do; a tab of its own, as painting is slow in browsers.

    Args:
        engine: of the model.
        state: the session's `gradio.State`.
    """

    def __init__(self, engine: Engine, state: Any):
        self._engine, self._state = engine, state
        gr.Markdown(_HELP)
        with gr.Row():
            self.editor = gr.ImageEditor(
                type="numpy",
                image_mode="RGBA",
                format="png",
                sources=(),
                transforms=(),
                buttons=[],
                brush=gr.Brush(colors=["#ffc800"], color_mode="fixed", default_size=48),
                layers=gr.LayerOptions(allow_additional_layers=False),
                label="Mask",
                canvas_size=(384, 384),
                height=460,
                elem_id="editor",
            )
            self.picture = gr.Image(
                label="Picture", height=460, elem_id="mask-picture", **PICTURE
            )
        with gr.Row():
            self.use = gr.Button("Use this mask", variant="primary", elem_id="use-mask")
            self.none = gr.Button("Whole picture", elem_id="no-mask")

    def listen(self, tab: Any, panel: Any) -> None:
        """Wires the tab.

        Args:
            tab: which shows the session's picture when it is opened.
            panel: `EditPanel`, which shows the result too.
        """
        shown = [self.editor, self.picture]
        tab.select(told(self._show), [self._state], shown, **QUICK)
        used = self.use.click(
            told(self._paint), [self._state, self.editor], [self._state, self.picture],
            **QUICK,
        )  # fmt: skip
        panel.show_after(used)
        dropped = self.none.click(
            told(self._unpaint), [self._state], [self._state, *shown], **QUICK
        )
        panel.show_after(dropped)

    def _show(self, session: Session) -> list[Any]:
        """The reconstruction to paint on, unless a mask stands there already."""
        if session.inverted is None:
            return [None, None]
        background = enlarged(session.inverted.before)
        empty = {"background": background, "layers": [], "composite": None}
        editor = empty if session.look.mask is None else gr.skip()
        return [editor, on_screen(self._engine.draw(session))]

    def _paint(self, session: Session, value: Any) -> list[Any]:
        mask = painted(value, len(session.need_inverted().before))
        if mask is None or not mask.any():
            raise ValueError("nothing is painted: paint where the picture may change")
        session = session._replace(look=session.look._replace(mask=mask))
        return [session, on_screen(self._engine.draw(session))]

    def _unpaint(self, session: Session) -> list[Any]:
        session.need_inverted()
        session = session._replace(look=session.look._replace(mask=None))
        return [session, *self._show(session)]
