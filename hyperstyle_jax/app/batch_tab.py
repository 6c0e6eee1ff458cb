"""The tab where a zip file of photos is edited as the sliders stand."""

import html
from pathlib import Path
from typing import Any

import gradio as gr

from hyperstyle_jax.app import batch
from hyperstyle_jax.app.engine import Engine
from hyperstyle_jax.app.session import Session
from hyperstyle_jax.app.wiring import STEPS, new_folder, told
from hyperstyle_jax.editing import looks

_HELP = (
    "A zip file of photos in, a zip file out: of each photo its largest face, the "
    "edit, the inversion and the whole photo. What is done are the edits and the style "
    "that stand in Edit; drags and masks are of one picture and stay there."
)


class BatchTab:
    """Components and what they do.

    Args:
        engine: of the model.
        state: the session's `gradio.State`.
    """

    def __init__(self, engine: Engine, state: Any):
        self._engine, self._state = engine, state
        gr.Markdown(_HELP)
        with gr.Row():
            with gr.Column():
                self.file = gr.File(
                    label="Zip file of photos", type="filepath", elem_id="batch-file"
                )
                self.whole = gr.Checkbox(
                    engine.find is None,
                    label="no face search: take the middle of each picture",
                    interactive=engine.find is not None,
                    elem_id="batch-whole",
                )
                self.go = gr.Button("Edit all", variant="primary", elem_id="batch-go")
                self.stop = gr.Button("Stop", elem_id="batch-stop")
            with gr.Column():
                self.status = gr.Markdown("", elem_id="batch-status")
                self.result = gr.File(
                    label="Results", interactive=False, elem_id="batch-result"
                )

    def listen(self) -> None:
        """Wires the tab."""
        running = self.go.click(
            told(self._run),
            [self._state, self.file, self.whole],
            [self.status, self.result],
            **STEPS,
        )
        self.stop.click(None, None, None, cancels=[running], api_visibility="private")

    def _run(self, session: Session, path: str | None, whole: bool):
        if path is None:
            raise ValueError("no zip file yet: drop one")
        look = session.look._replace(moved=None, mask=None)
        out = new_folder() / "results.zip"
        title = ", ".join(looks.titles(look)) or "no edits"
        for progress in batch.run(self._engine, Path(path), look, out, whole):
            yield _text(progress, title), None
        yield _text(progress, title), str(out)


def _text(progress: batch.Progress, title: str) -> str:
    lines = [f"**{progress}** ({title})", ""]
    for name, why in list(progress.failed.items())[:100]:
        lines.append(f"- failed: {html.escape(f'{name}: {why}')}")
    return "\n".join(lines)
