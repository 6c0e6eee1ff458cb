"""Compares our networks with what the official PyTorch code computed.

A folder of fixtures holds outputs of the official code for procedural weights. A check
converts the official state dict and runs our network, as a user does.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import jax

from hyperstyle_jax.parity import (
    ada_generators,
    alignment,
    directions,
    domains,
    edits,
    encoder_training,
    encoders,
    flows,
    generators,
    inversions,
    losses,
    projections,
    style_encoders,
    training,
    tuning,
)
from hyperstyle_jax.parity.case import Case, forget
from hyperstyle_jax.parity.check import Row, compare

FIXTURES = {
    r"stylegan2_generator_\d+": generators.generator,
    r"stylegan2_discriminator_\d+": generators.discriminator,
    r"stylegan2_ada_\d+": ada_generators.ada,
    r"w_encoder_.*": encoders.w_encoder,
    r"(psp|e4e|restyle_psp|restyle_e4e)_(resnet_)?(fpn_)?encoder_\d+(_cars)?": (
        style_encoders.style_encoder
    ),
    r"psp_w_encoder": style_encoders.w_encoder,
    r"psp_wplus_encoder_\d+": style_encoders.w_plus_encoder,
    r"psp_inversion_\d+": style_encoders.psp_inversion,
    r"restyle_inversion_\d+_(psp|e4e)": style_encoders.restyle_inversion,
    r"hypernet_.*": encoders.hypernet,
    r"shared_weights_hypernet": encoders.shared_head,
    r"inversion_.*": inversions.inversion,
    r"domain_adaptation_\d+": inversions.domain_adaptation,
    r"domain_mixing": domains.domain_mixing,
    r"lpips_.*": losses.lpips,
    r"id_loss": losses.id_loss,
    r"moco_loss": losses.moco_loss,
    r"curricularface": losses.curricularface,
    r"ms_ssim": losses.ms_ssim,
    r"mtcnn": losses.mtcnn,
    r"alignment": alignment.alignment,
    r"tensor2im": edits.tensor2im,
    r"edit_faces": edits.edit_faces,
    r"edit_cars": edits.edit_cars,
    r"styleclip_1024": edits.styleclip,
    r"styleflow": flows.flow,
    r"interfacegan_boundary": directions.interfacegan,
    r"sefa": directions.sefa_,
    r"ganspace": directions.ganspace_,
    r"ranger": training.ranger,
    r"train_step_\d+": training.train_step,
    r"projector_w_\d+": projections.projection,
    r"e4e_latent_discriminator": encoder_training.discriminator,
    r"e4e_train_losses_\d+": encoder_training.e4e_losses,
    r"e4e_train_step_\d+": encoder_training.e4e_step,
    r"psp_train_losses_\d+": encoder_training.psp_losses,
    r"pti_tuning_\d+": tuning.pivotal_tuning,
}


def find(folder: str | Path, only: Sequence[str] = ()) -> list[tuple[str, int]]:
    """(name, seed) of all fixtures, group by group.

    Args:
        folder: of the files NAME_seedS.json and .npz.
        only: names of the fixtures to keep, with or without _seedS; empty for all.

    Raises:
        ValueError: no fixtures, or a name that is not there.
    """
    folder = Path(folder)
    pattern = re.compile(r"(.+)_seed(\d+)")
    stems = (pattern.fullmatch(p.stem) for p in sorted(folder.glob("*_seed*.json")))
    fixtures = [(m[1], int(m[2])) for m in stems if m]
    if not fixtures:
        raise ValueError(
            f"no fixtures in {folder}: expected NAME_seedS.json and .npz files"
        )
    names = {n for n, _ in fixtures} | {f"{n}_seed{s}" for n, s in fixtures}
    if unknown := sorted(set(only) - names):
        raise ValueError(
            f"no fixture {unknown[0]!r} in {folder}; there are: "
            + ", ".join(sorted({n for n, _ in fixtures}))
        )
    if only:
        fixtures = [f for f in fixtures if {f[0], f"{f[0]}_seed{f[1]}"} & set(only)]
    return sorted(fixtures, key=lambda f: (group(folder, *f), f[1], f[0]))


def group(folder: str | Path, name: str, seed: int) -> str:
    """The group of a fixture, by the hypernetwork that it uses or by its own name.

    The fixtures of a group share compiled programs, and those of one seed the weights.
    """
    meta = json.loads((Path(folder) / f"{name}_seed{seed}.json").read_text())
    specs = meta.get("spec", [])
    specs = [specs] if isinstance(specs, str) else specs
    return next((s for s in specs if s.startswith("hypernet")), name)


def run(folder: str | Path, fixtures: Iterable[tuple[str, int]]) -> Iterator[Row]:
    """Runs fixtures one by one, with matrix products in full float32.

    Args:
        folder: of the fixtures.
        fixtures: (name, seed) of each, as `find` returns them.

    Yields:
        Rows of the comparison. A fixture that this program does not know gives a row
        without outputs.

    Raises:
        ValueError: a fixture that no output of ours is compared with.
    """
    last = None
    for name, seed in fixtures:
        title = f"{name}_seed{seed}"
        current = group(folder, name, seed)
        if last not in (None, current):
            forget()
        last = current
        check = next((f for k, f in FIXTURES.items() if re.fullmatch(k, name)), None)
        if check is None:
            yield Row(title, "no check here", 0, 0.0, 0.0, "", True, "")
            continue
        case = Case(Path(folder), name, seed)
        with jax.default_matmul_precision("highest"):
            rows = compare(title, case.arrays, check(case))
        if not rows:
            raise ValueError(
                f"{title}: none of its outputs was compared: its check must return "
                "outputs under the names of the fixture's arrays"
            )
        yield from rows


def table(rows: Iterable[Row]) -> Iterator[str]:
    """Yields the lines of a table, each as soon as its row is there."""
    layout = "{:34} {:14} {:>7} {:>10} {:>10}  {:18} {}"
    yield layout.format(
        "fixture", "kind", "outputs", "max error", "relative", "tolerance", "pass"
    )
    for row in rows:
        errors = f"{row.max_error:.1e}", f"{row.relative_error:.1e}"
        verdict = "yes" if row.passed else f"NO ({row.worst})"
        if not row.outputs:
            errors, verdict = ("", ""), "-"
        yield layout.format(
            row.fixture, row.kind, row.outputs or "", *errors, row.tolerance, verdict
        ).rstrip()
