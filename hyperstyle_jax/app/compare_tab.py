"""The tab that shows several inversion methods side by side."""

from typing import Any

import gradio as gr

from hyperstyle_jax.app import comparing
from hyperstyle_jax.app.comparing import Comparing, Result
from hyperstyle_jax.app.engine import Engine
from hyperstyle_jax.app.session import Session
from hyperstyle_jax.app.wiring import PICTURE, SLOW, STEPS, told

_HELP = (
    "The face that is chosen in Edit, inverted by each method. A method is compiled "
    "first, which its time does not count."
)


class CompareTab:
    """Components and what they do.

    Args:
        engine: of the model.
        state: the session's `gradio.State`.
    """

    def __init__(self, engine: Engine, state: Any):
        self._comparing, self._state = Comparing(engine), state
        self._results = gr.State(())
        names = self._comparing.names
        choices = [(comparing.title(name), name) for name in names]
        gr.Markdown(_HELP)
        with gr.Row():
            self.names = gr.CheckboxGroup(
                choices,
                value=[n for n in comparing.DEFAULT if n in names],
                label="Methods",
                elem_id="methods",
                scale=3,
            )
            self.steps = gr.Slider(
                10, 500, 100, step=10, label="steps of searches", elem_id="steps"
            )
        with gr.Row():
            self.go = gr.Button("Compare", variant="primary", elem_id="compare")
            self.stop = gr.Button("Stop", elem_id="compare-stop")
        self.picture = gr.Image(
            label="Results", height=300, elem_id="compare-picture", **PICTURE
        )
        self.table = gr.Markdown("", elem_id="compare-table")
        with gr.Row():
            self.which = gr.Dropdown(
                [], label="Edit the result of", elem_id="compare-which"
            )
            self.take = gr.Button("Take it into Edit", elem_id="take")

    def listen(self, panel: Any) -> None:
        """Wires the tab; `panel`, an `EditPanel`, shows what is taken."""
        running = self.go.click(
            told(self._run),
            [self._state, self.names, self.steps],
            [self._results, self.picture, self.table, self.which],
            **STEPS,
        )
        self.stop.click(None, None, None, cancels=[running], api_visibility="private")
        taken = self.take.click(
            told(self._take),
            [self._state, self._results, self.which],
            [self._state],
            **SLOW,
        )
        panel.show_after(taken)

    def _run(self, session: Session, names: list[str], steps: float):
        results: tuple[Result, ...] = ()
        for result in self._comparing.run(session, names, int(steps)):
            results = (*results, result)
            choices = [(comparing.title(r.name), r.name) for r in results]
            yield (
                results,
                comparing.table(session, results),
                comparing.markdown(results),
                gr.Dropdown(choices=choices, value=results[0].name),
            )

    def _take(self, session: Session, results: tuple[Result, ...], name: str | None):
        chosen = [result for result in results if result.name == name]
        if not chosen:
            raise ValueError("no result yet: press Compare first")
        return self._comparing.take(session, chosen[0])
