"""The page: its tabs, and which part of it listens to which.

What happens is in the modules beside this one; gradio shows it.
"""

import gradio as gr

from hyperstyle_jax.app.batch_tab import BatchTab
from hyperstyle_jax.app.compare_tab import CompareTab
from hyperstyle_jax.app.drag_tab import DragTab
from hyperstyle_jax.app.edit_panel import EditPanel
from hyperstyle_jax.app.engine import Engine
from hyperstyle_jax.app.mask_tab import MaskTab
from hyperstyle_jax.app.photo_panel import PhotoPanel
from hyperstyle_jax.app.session import Session

_SECONDS_KEPT = 3600  # of files and of a session that nobody looks at
_SYSTEM = ["system-ui", "sans-serif"]
THEME = gr.themes.Default(
    font=_SYSTEM, font_mono=["ui-monospace", "monospace"], text_size="sm"
)
CSS = """
#pair img, #faces img, #drag-picture img { image-rendering: auto; }
#sliders { gap: 4px 16px; }
"""


def build(engine: Engine, name: str) -> gr.Blocks:
    """Builds the page.

    Args:
        engine: of the model.
        name: of the model, for people.
    """
    with gr.Blocks(
        title="hyperstyle",
        analytics_enabled=False,
        delete_cache=(600, _SECONDS_KEPT),
    ) as page:
        state = gr.State(Session(), time_to_live=_SECONDS_KEPT)
        gr.Markdown(f"## hyperstyle · {name}")
        with gr.Tabs():
            with gr.Tab("Edit", elem_id="tab-edit"), gr.Row():
                with gr.Column(scale=2, min_width=340):
                    photo = PhotoPanel(engine, state)
                with gr.Column(scale=3, min_width=420):
                    panel = EditPanel(engine, state)
            with gr.Tab("Mask", elem_id="tab-mask") as mask_tab:
                mask = MaskTab(engine, state)
            with gr.Tab("Drag", elem_id="tab-drag") as drag_tab:
                drag = DragTab(engine, state)
            with gr.Tab("Batch", elem_id="tab-batch"):
                batch = BatchTab(engine, state)
            with gr.Tab("Compare", elem_id="tab-compare"):
                compare = CompareTab(engine, state)
        photo.listen(panel.show_after)
        panel.listen(photo.invert, photo.steps)
        mask.listen(mask_tab, panel)
        drag.listen(drag_tab, panel)
        batch.listen()
        compare.listen(panel)
    return page
