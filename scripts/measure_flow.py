"""Measures edits by a flow on inversions of faces that no network was trained on.

    python scripts/measure_flow.py --count 32

Each attribute is changed by some standard deviations; the feature extractor reads what
its change was, and the changes of all others. Prints a table, and with --strips FILE
draws three faces with five edits.
"""

import argparse
import itertools

import jax
import jax.numpy as jnp
import numpy as np

import hyperstyle_jax as hs
from hyperstyle_jax import faces, images
from hyperstyle_jax.editing import flow_edits, styleflow
from hyperstyle_jax.offsets import synthesize

AMOUNTS = (-1.0, -0.5, 0.5, 1.0)  # standard deviations
SHOWN = (1_000_001, 1_000_005, 1_000_008)
EDITS = {"age": 1.5, "yaw": -1.5, "beard": 1.5, "hair_lightness": 1.5}
EDITS |= {"hair_length": 1.5, "skin_tone": 1.5}


def main():
    """Inverts, edits, measures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="demo")
    parser.add_argument("--flow", help="bundle (default: the shipped one)")
    parser.add_argument("--count", type=int, default=32, help="held-out faces")
    parser.add_argument("--names", nargs="+", help="attributes (default: all)")
    parser.add_argument("--strips", metavar="FILE.png")
    args = parser.parse_args()
    model = flow_edits.with_flow(hs.load(args.model), args.flow)
    flow, generator, features = model.require("flow", "generator", "feature_extractor")
    first = faces.TRAINING_INDICES
    inversion = invert(model, range(first, first + args.count))
    names = args.names or list(flow.module.attributes)
    before = styleflow.measure(generator, features, inversion)
    print(f"back and forth: {back(flow, inversion, before):.1e} of w (relative L2)")
    read = jax.jit(lambda inv: features(jnp.clip(synthesize(generator, inv), -1, 1)))
    identity, start = read(inversion)
    std = np.asarray(flow.module.stds)
    print(f"{'attribute':22}{'gain':>6}{'corr.':>7}{'others':>8}{'identity':>10}")
    for name in names:
        k, rows = styleflow.index(flow, name), []
        for amount in AMOUNTS:
            after = before.at[:, k].add(amount * std[k])
            edited = styleflow.edit(flow, inversion, before, after)
            other_identity, value = read(edited)
            change = np.asarray(value - start) / std
            similarity = np.asarray((identity * other_identity).sum(-1))
            rows += [(amount, c, s) for c, s in zip(change, similarity, strict=True)]
        print(row(name, k, rows), flush=True)
    if args.strips:
        images.save_png(args.strips, strips(model))


def invert(model, indices):
    """The inversions of drawn faces."""
    drawn = faces.draw(list(indices), model.image_size[0])["image"]
    return hs.invert(model, list(drawn))


def row(name: str, k: int, rows) -> str:
    """Measured for requested change, their correlation, side effects, identity."""
    amounts = np.array([r[0] for r in rows])
    changes = np.stack([r[1] for r in rows])
    own, others = changes[:, k], np.delete(changes, k, axis=1)
    gain = (own * amounts).sum() / np.square(amounts).sum()
    correlation = np.corrcoef(own, amounts)[0, 1]
    side = np.sqrt(np.square(others[np.abs(amounts) == 1]).mean())
    identity = np.mean([r[2] for r in rows if abs(r[0]) == 1])
    return f"{name:22}{gain:6.2f}{correlation:7.3f}{side:8.2f}{identity:10.2f}"


def back(flow, inversion, before) -> float:
    """The relative distance from w after five edits in a row and back."""
    std, states, start = np.asarray(flow.module.stds), [before], inversion.w_plus
    for k in range(5):
        states.append(states[-1].at[:, k].add((1 - 2 * (k % 2)) * std[k]))
    way = [*states, *states[-2::-1]]
    for a, b in itertools.pairwise(way):
        inversion = styleflow.edit(flow, inversion, a, b)
    return float(jnp.linalg.norm(inversion.w_plus - start) / jnp.linalg.norm(start))


def strips(model) -> np.ndarray:
    """Three held-out faces: as inverted, then edited in one attribute each."""
    flow, generator, features = model.require("flow", "generator", "feature_extractor")
    inversion = invert(model, SHOWN)
    before = styleflow.measure(generator, features, inversion)
    columns = [inversion]
    for name, amount in EDITS.items():
        k = styleflow.index(flow, name)
        after = before.at[:, k].add(amount * flow.module.stds[k])
        columns.append(styleflow.edit(flow, inversion, before, after))
    shown = [images.to_uint8(np.asarray(synthesize(generator, c))) for c in columns]
    rows = [[column[i] for column in shown] for i in range(len(SHOWN))]
    labels = ["inversion", *(k.replace("_", " ") for k in EDITS)]
    return images.grid(rows, labels, [""] * len(SHOWN), 2)


if __name__ == "__main__":
    main()
