"""The right side of the first tab: sliders, style, pasting back, files."""

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from hyperstyle_jax.app import sliders
from hyperstyle_jax.app.engine import Engine, Iteration
from hyperstyle_jax.app.pictures import for_screen, strip
from hyperstyle_jax.app.session import Session
from hyperstyle_jax.app.wiring import (
    PICTURE,
    QUICK,
    SLOW,
    STEPS,
    new_folder,
    on_screen,
    told,
)
from hyperstyle_jax.editing import looks, recipes
from hyperstyle_jax.editing.looks import Mix

_OFF = "off"


class EditPanel:
    """Components and what they do.

    Args:
        engine: of the model.
        state: the session's `gradio.State`.
    """

    def __init__(self, engine: Engine, state: Any):
        self._engine, self._state = engine, state
        self._sliders = sliders.of_bundle(engine.model)
        self.pair = gr.ImageSlider(
            label="Before | after",
            interactive=False,
            buttons=["fullscreen"],
            format="png",
            height=400,
            max_height=400,
            elem_id="pair",
        )
        self.status = gr.Markdown("", elem_id="status")
        with gr.Row(elem_id="sliders"):
            self.values = [self._slider(s) for s in self._sliders]
        with gr.Row():
            self.keep = gr.Checkbox(
                False, label="keep the others", elem_id="keep", min_width=120
            )
            self.reset = gr.Button("Reset sliders", size="sm", elem_id="reset")
        with gr.Accordion("Style of another face", open=False, elem_id="style"):
            self._style()
        with gr.Row():
            self.paste = gr.Button("Paste back into the photo", elem_id="paste")
            self.save = gr.Button("Save", elem_id="save")
        self.photo = gr.Image(
            label="Photo with the edited face",
            height=300,
            elem_id="photo",
            **PICTURE,
        )
        self.files = gr.Files(label="Saved", interactive=False, elem_id="files")

    @property
    def shows(self) -> list[Any]:
        """What changes here with another inversion."""
        return [
            *(self.pair, self.status, *self.values, self.keep),
            *(self.seed, self.above, self.photo, self.files),
        ]

    def listen(self, invert: Any, steps: Any) -> None:
        """Wires the panel.

        Args:
            invert: the button that inverts.
            steps: the gallery of iterations.
        """
        inverting = invert.click(
            told(self._invert), [self._state], [self._state, steps], **STEPS
        )
        self.show_after(inverting)
        made = [self._state, self.pair, self.status]
        asked = [self._state, self.keep, *self.values]
        for value in (*self.values, self.keep):
            value.input(
                told(self._edit), asked, made, trigger_mode="always_last", **QUICK
            )
        self.reset.click(
            told(self._reset), [self._state], [*made, *self.values], **QUICK
        )
        mixed = [self._state, self.seed, self.above]
        for component in (self.seed, self.above):
            component.input(
                told(self._mix), mixed, made, trigger_mode="always_last", **QUICK
            )
        self.paste.click(told(self._paste), [self._state], [self.photo], **SLOW)
        self.save.click(told(self._save), [self._state], [self.files], **SLOW)

    def show_after(self, event: Any) -> None:
        """Shows the session anew after an event, if that went well."""
        event.success(told(self._all), [self._state], self.shows, **QUICK)

    def _slider(self, slider: sliders.Slider):
        return gr.Slider(
            slider.low,
            slider.high,
            0,
            step=slider.step,
            label=slider.label,
            min_width=200,
            elem_id=f"slider-{slider.name}",
        )

    def _style(self) -> None:
        (generator,) = self._engine.model.require("generator")
        known = sorted({layer.resolution for layer in generator.module.layers()})
        choices = [(_OFF, 0)] + [(f"layers above {r}×{r}", r) for r in known[:-1]]
        with gr.Row():
            self.above = gr.Dropdown(choices, value=0, label="Take", elem_id="above")
            self.seed = gr.Number(
                0, label="of the face with seed", precision=0, elem_id="seed"
            )

    def _invert(self, session: Session):
        taken: list[Iteration] = []
        for step in self._engine.invert(session):
            taken.append(step)
            yield step.session, strip(taken, self._engine.num_iters + 1)

    def _all(self, session: Session):
        """Everything of this panel, for `shows`."""
        look, mix = session.look, session.look.mix
        values = sliders.to_values(self._sliders, look.edits)
        _, pair, status = self._made(session)
        return [
            *(pair, status, *values, bool(look.keep)),
            *(mix.seed if mix else 0, mix.above if mix else 0, None, None),
        ]

    def _edit(self, session: Session, keep: bool, *values: float):
        edits = sliders.to_edits(self._sliders, values)
        kept = tuple(self._engine.model.calibrations) if keep else ()
        look = session.look._replace(edits=edits, keep=kept)
        return self._made(session._replace(look=look))

    def _reset(self, session: Session):
        look = session.look._replace(edits=(), moved=None)
        zeros = [0] * len(self._sliders)
        return [*self._made(session._replace(look=look)), *zeros]

    def _mix(self, session: Session, seed: float | None, above: int):
        mix = Mix(int(seed or 0), int(above)) if above else None
        return self._made(session._replace(look=session.look._replace(mix=mix)))

    def _paste(self, session: Session) -> np.ndarray:
        return for_screen(self._engine.paste(session).image)[0]

    def _save(self, session: Session) -> list[str]:
        engine, folder = self._engine, new_folder()
        recipe, picture = engine.recipe(session), engine.draw(session)
        contents = {
            "picture.png": recipes.encode_png(recipe, picture),
            "picture.npz": engine.npz(session),
            "recipe.json": recipes.to_json(recipe).encode(),
        }
        if session.photo is not None:
            ending, photo = engine.photo_file(session)
            contents[f"photo{ending}"] = photo
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        return [str(Path(folder) / name) for name in contents]

    def _made(self, session: Session) -> list[Any]:
        """Session, pair of pictures, and a line of what is done."""
        if session.inverted is None:
            return [session, None, ""]
        picture = self._engine.draw(session)
        target = session.inverted.target
        before = session.inverted.before if target is None else target
        text = ", ".join(looks.titles(session.look)) or "no edits"
        return [session, (on_screen(before), on_screen(picture)), text]
