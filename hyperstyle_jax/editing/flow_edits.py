"""Edits by a bundle's flow as people ask for them: flow:smile=+1sd."""

from typing import NamedTuple

import jax.numpy as jnp

from hyperstyle_jax.editing import styleflow
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion
from hyperstyle_jax.weights import bundle
from hyperstyle_jax.weights.bundle import Bundle

PREFIX = "flow:"
_SHIPPED = "demo_flow"


class FlowEdit(NamedTuple):
    """What a flow shall change.

    Attributes:
        flow: Net of a StyleFlow.
        feature_extractor: reads the attributes that an image has.
        changes: of attributes by name, in their own units.
    """

    flow: Net
    feature_extractor: Net
    changes: dict[str, float]


def with_flow(model: Bundle, source: str | None) -> Bundle:
    """A bundle with the flow of another one among its networks.

    Args:
        model: the bundle.
        source: of a bundle with a flow; None for the one that is shipped, if it is of
            this bundle.

    Raises:
        ValueError: the source has no flow.
    """
    if source is not None:
        (flow,) = bundle.load(source).require("flow")
    elif "flow" in model.nets or not (bundle.SHIPPED / _SHIPPED).is_dir():
        return model
    else:
        shipped = bundle.load(_SHIPPED)
        if model.id not in str(shipped.info.get("made_for", "")):
            return model
        flow = shipped.nets["flow"]
    return model._replace(nets={**model.nets, "flow": flow})


def resolve(model: Bundle, name: str, amount: float, unit: str) -> FlowEdit:
    """An attribute's change.

    Args:
        model: with a flow and a feature extractor.
        name: of the attribute.
        amount: to add.
        unit: "sd" for standard deviations, else the attribute's own.

    Raises:
        ValueError: no flow, no such attribute, or its deviation is not known.
    """
    if "flow" not in model.nets:
        raise ValueError(
            f"{PREFIX}{name}: bundle {model.id} has no flow: name one with --flow, or "
            "train it (configs/demo_flow.py)"
        )
    flow, features = model.require("flow", "feature_extractor")
    position, known = styleflow.index(flow, name), len(flow.module.attributes)
    if features.module.num_attributes != known:
        raise ValueError(
            f"{PREFIX}{name}: the flow is given {known} attributes, but the bundle's "
            f"feature extractor reads {features.module.num_attributes}: measure them "
            "elsewhere, and edit with hyperstyle_jax.editing.styleflow.edit"
        )
    if unit == "sd":
        if not flow.module.stds:
            raise ValueError(
                f"{PREFIX}{name} in sd: the flow does not say the deviations of its "
                "attributes; give a number in the attribute's own unit"
            )
        amount *= flow.module.stds[position]
    return FlowEdit(flow, features, {name: amount})


def total(first: FlowEdit | None, second: FlowEdit | None) -> FlowEdit | None:
    """Both changes at once."""
    if first is None or second is None:
        return first or second
    changes = dict(first.changes)
    for name, amount in second.changes.items():
        changes[name] = changes.get(name, 0.0) + amount
    return first._replace(changes=changes)


def apply(generator: Net, inversion: Inversion, edit: FlowEdit) -> Inversion:
    """Moves the latents of an inversion; its weights stay.

    Args:
        generator: Net of the Generator that the flow was trained for.
        inversion: of B images.
        edit: of `resolve` or `total`.
    """
    before = styleflow.measure(generator, edit.feature_extractor, inversion)
    after = jnp.asarray(before)
    for name, amount in edit.changes.items():
        value = before[:, styleflow.index(edit.flow, name)] + amount
        after = styleflow.set_attribute(edit.flow, after, name, value)
    return styleflow.edit(edit.flow, inversion, before, after)
