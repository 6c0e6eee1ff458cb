"""Writes a bundle's README.md: what the bundle is, its metrics, licence and limits.

The head is YAML between two lines `---`, which model hubs read:
https://huggingface.co/docs/hub/model-cards.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hyperstyle_jax.weights import calibrations, manifests

CARD = "README.md"
_LIBRARY = "hyperstyle_jax"
_TAGS = ("gan-inversion", "stylegan2", "hyperstyle", "jax", "flax")
# Names of licences as hubs write them; any other is "other" with its name beside it.
_LICENCES = (
    "mit", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0",
    "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "gpl-3.0", "lgpl-3.0",
    "openrail", "unlicense",
)  # fmt: skip
_LIMITS = (
    "No limits were stated by whoever made this bundle. In general: an inversion is as "
    "good as generator and training data allow, and poses, accessories and people that "
    "the data lack come out worse. Edits change more than they name. Do not use it to "
    "identify people or to pass off edited images as real ones."
)


def write(name: str, manifest: Mapping[str, Any], bundle_id: str) -> str:
    """The card's text.

    Args:
        name: of the bundle, a headline.
        manifest: the content of bundle.json. Of `info`, the card shows `licence`,
            `summary`, `limits` (texts) and `metrics`: {name: number}, or
            {"dataset": text, "values": {name: number}}.
        bundle_id: names the weights.
    """
    info = manifest["info"]
    parts = [
        _head(name, info),
        f"# {name}\n\n{info.get('summary') or _summary(manifest)}",
        _use(name, manifest, bundle_id),
        _table("Networks", ("role", "class", "parameters"), _networks(manifest)),
        _edits_section(manifest),
        _metrics_section(info),
        f"## Licence\n\n{info.get('licence', 'unspecified')}",
        f"## Limits\n\n{info.get('limits') or _LIMITS}",
        _made_from(manifest),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def write_file(folder: Path, name: str, manifest: Mapping[str, Any]) -> None:
    """Writes the card of a bundle `name` into its folder."""
    text = write(name, manifest, manifests.identity(manifest))
    (folder / CARD).write_text(text, encoding="utf-8")


def is_edited(folder: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether the card in a bundle's folder is missing, or another than we wrote."""
    file = folder / CARD
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    return text != write(folder.name, manifest, manifests.identity(manifest))


def _head(name, info) -> str:
    """YAML; texts are quoted as JSON, which is YAML too."""
    licence = str(info.get("licence", "unspecified"))
    known = licence.lower() in _LICENCES
    lines = [f"license: {licence.lower() if known else 'other'}"]
    if not known:
        lines += [f"license_name: {json.dumps(licence)}"]
    lines += [f"library_name: {_LIBRARY}", "pipeline_tag: image-to-image", "tags:"]
    lines += [f"- {tag}" for tag in _TAGS]
    dataset, values = _metrics(info)
    if values:
        lines += _model_index(name, dataset, values)
    return "\n".join(["---", *lines, "---"])


def _model_index(name, dataset, values) -> list[str]:
    """The form in which hubs read results."""
    lines = [
        "model-index:",
        f"- name: {json.dumps(name)}",
        "  results:",
        "  - task:",
        "      type: image-to-image",
        "    dataset:",
        f"      name: {json.dumps(dataset)}",
        f"      type: {json.dumps(dataset)}",
        "    metrics:",
    ]
    for metric, value in values.items():
        lines += [f"    - type: {json.dumps(metric)}", f"      value: {value:g}"]
    return lines


def _metrics(info) -> tuple[str, dict[str, float]]:
    """The data set's name and {metric: number}."""
    metrics = info.get("metrics")
    metrics = metrics if isinstance(metrics, dict) else {}
    dataset = "held-out images"
    if isinstance(metrics.get("values"), dict):
        dataset, metrics = metrics.get("dataset", dataset), metrics["values"]
    return str(dataset), {str(k): v for k, v in metrics.items() if _is_number(v)}


def _is_number(value) -> bool:
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    return numeric and math.isfinite(value)


def _summary(manifest) -> str:
    roles = ", ".join(manifest["networks"])
    return f"Networks of hyperstyle_jax for images and their edits: {roles}."


def _use(name, manifest, bundle_id) -> str:
    lines = [
        "## Use",
        "",
        "```python",
        "import hyperstyle_jax as hs",
        "",
        f'bundle = hs.load("{name}")  # the folder with this file',
        "```",
        "",
        f"The bundle's id is `{bundle_id}`; `hyperstyle verify` checks its files.",
    ]
    if manifest["directions"]:
        names = ", ".join(manifest["directions"]["names"])
        lines += ["", f"Edit directions: {names}."]
    return "\n".join(lines)


def _networks(manifest) -> list[tuple[str, ...]]:
    return [
        (role, entry["module"]["class"], f"{entry['parameters']:,}")
        for role, entry in manifest["networks"].items()
    ]


def _edits_section(manifest) -> str:
    """A table of calibrated directions, as far as they are."""
    measured = (manifest["directions"] or {}).get("calibrations", {})
    if not measured:
        return ""
    rows = []
    for name, value in measured.items():
        effect = calibrations.from_json(value)
        low, high = effect.safe_changes()
        own = ""
        if effect.unit:
            ends = (effect.change(strength) for strength in effect.safe)
            own = " to ".join(f"{end:+.0f}" for end in ends) + f" {effect.unit}"
        side = ", ".join(f"{k} {v:+.2f}" for k, v in effect.largest_side_effects())
        safe = f"{low:+.1f} to {high:+.1f} sd"
        rows.append((name, safe, own, side))
    head = ("direction", "safe range", "in its unit", "+1 sd also moves (in sd)")
    return _table("Edits", head, rows)


def _metrics_section(info) -> str:
    dataset, values = _metrics(info)
    if not values:
        return "## Metrics\n\nNone were recorded."
    rows = [(k, f"{v:.4g}") for k, v in values.items()]
    return _table(f"Metrics on {dataset}", ("metric", "value"), rows)


def _made_from(manifest) -> str:
    """The files or networks that this bundle came from."""
    provenance = manifest.get("provenance") or {}
    rows = [
        (str(s.get("name", "")), str(s.get("kind", "")), f"`{s.get('sha256', '')}`")
        for s in provenance.get("sources", [])
    ]
    versions = provenance.get("versions") or {}
    made = ", ".join(f"{k} {v}" for k, v in versions.items())
    text = f"Made with {made}." if made else "Its making was not recorded."
    table = _table("", ("source", "kind", "sha256"), rows).strip() if rows else ""
    return "\n\n".join(filter(None, ["## Provenance", text, table]))


def _table(title, head, rows) -> str:
    lines = [f"## {title}\n"] if title else []
    lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
