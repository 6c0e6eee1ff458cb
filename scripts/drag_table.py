"""Measures dragging on inverted photos that no network has seen.

    python scripts/drag_table.py --count 100 --out drags

Each photo is a drawn face, so the place of its eyes, mouth, nose, chin and cheeks is
known. One of these points is dragged to where it would be if one attribute of the face
were another (2 to 8 pixels away): the nose to where a turned head has it, a corner of
the mouth to where a smile has it. The mask is the mouth, the brows or the whole head.

Where the point ends is measured twice: by the drag's own tracking of features, and by
the place in the final image whose pixels are most like those around the point before.
Writes drags.jsonl and the images of each drag; the same command goes on with the rest.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from hyperstyle_jax import faces, images
from hyperstyle_jax.editing import drag
from hyperstyle_jax.faces import eyes, parts
from hyperstyle_jax.faces.canvas import Canvas
from hyperstyle_jax.faces.head import Face
from hyperstyle_jax.faces.parameters import LATENT_NAMES, to_parameters
from hyperstyle_jax.inversion import pipeline
from hyperstyle_jax.system import compilation_cache
from hyperstyle_jax.weights import bundle

SIZE, FINE = 64, 256  # pixels of the photos, and of the maps that points are found on
SHORTEST, LONGEST = 2.0, 8.0  # pixels of a drag
KINDS = (
    ("left mouth corner", "smile"), ("right mouth corner", "smile"),
    ("lower lip", "mouth_open"), ("left brow", "brow_raise"),
    ("right brow", "brow_raise"), ("nose tip", "yaw"), ("nose tip", "pitch"),
    ("left eye", "yaw"), ("right eye", "pitch"), ("chin", "face_height"),
    ("left cheek", "face_width"), ("right cheek", "face_width"),
)  # fmt: skip
Drawn = tuple[dict[str, np.ndarray | None], np.ndarray]


def locate(latent: np.ndarray) -> Drawn:
    """Where the points of a drawn face are, x and y in pixels, and its head's mask."""
    p = {k: v[:, None, None] for k, v in to_parameters(latent[None]).items()}
    face = Face.of(p, Canvas(1, FINE))
    eye_u, eye_v = eyes.eye_place(p)
    mouth = parts._mouth_shape(p)
    brow_v = eye_v - 0.25 - 0.025 * p["brow_height"] - 0.045 * p["brow_raise"]
    brow_v = brow_v - 0.03 * p["brow_arch"]
    corner = mouth["v"] - 0.95 * mouth["curve"]
    lip = mouth["v"] + 0.55 * mouth["curve"] + mouth["open"] + mouth["lower"]
    points = {"lower lip": _at(face, 0.0, lip)}
    for side, name in ((-1, "left"), (1, "right")):
        points[f"{name} eye"] = _at(face, side * eye_u, eye_v)
        points[f"{name} brow"] = _at(face, side * eye_u, brow_v)
        points[f"{name} mouth corner"] = _at(face, side * mouth["half"], corner)
    tip = face.project(np.float32(0), 0.235 + 0.05 * p["nose_length"], 1.13)
    tip = [float(np.squeeze(v)) / float(face.canvas.px) for v in face.place(*tip)]
    points["nose tip"] = nose = np.array(tip) + FINE / 2 - 0.5
    head = face.mask[0] > 0.5
    bottom = np.nonzero(head.any(1))[0][-1]
    points["chin"] = np.array([np.nonzero(head[bottom - 1])[0].mean(), bottom])
    row = int(np.clip(nose[1], 0, FINE - 1))
    sides = np.nonzero(head[row])[0]
    points["left cheek"], points["right cheek"] = (
        np.array([x, row]) for x in (sides[0], sides[-1])
    )
    scale = SIZE / FINE
    small = {k: v if v is None else (v + 0.5) * scale - 0.5 for k, v in points.items()}
    blocks = head.reshape(SIZE, FINE // SIZE, SIZE, FINE // SIZE)
    return small, blocks.any((1, 3))


def _at(face: Face, u, v) -> np.ndarray | None:
    """The pixel of a place on the head's surface; None on its other side."""
    away = (face.u - u) ** 2 + (face.v - v) ** 2
    away = away + 10.0 * ((face.depth <= 0) | (face.mask < 0.5))
    y, x = np.unravel_index(away[0].argmin(), away[0].shape)
    return np.array([x, y]) if away[0, y, x] < 0.002 else None


def choose(index: int, rng: np.random.Generator) -> dict[str, Any]:
    """A drag of one face, of a random kind."""
    latent = faces.latents([index])[0]
    before, head = locate(latent)
    while True:
        name, attribute = KINDS[rng.integers(len(KINDS))]
        changed = latent.copy()
        changed[LATENT_NAMES.index(attribute)] = np.clip(1.5 * rng.normal(), -2.2, 2.2)
        after, turned = locate(changed)
        point, target = before[name], after[name]
        if point is None or target is None:
            continue
        if SHORTEST <= np.hypot(*(target - point)) <= LONGEST:
            mask = _mask(attribute, before, head | turned)
            kind = {"index": index, "point": name, "attribute": attribute}
            return kind | {"latent": latent, "from": point, "to": target, "mask": mask}


def _mask(attribute: str, points, head) -> np.ndarray:
    """Where the image may change: around mouth or brows, or the head and its hair."""
    y, x = np.mgrid[:SIZE, :SIZE]
    if attribute in ("smile", "mouth_open"):
        cx, cy = points["lower lip"]
        return np.hypot((x - cx) / 1.2, y - cy) < 14
    if attribute == "brow_raise":
        brows = [points[f"{side} brow"] for side in ("left", "right")]
        cx, cy = np.mean([brow for brow in brows if brow is not None], axis=0)
        return np.hypot((x - cx) / 1.6, y - cy) < 11
    return ndimage.binary_dilation(head, iterations=9)


def find_again(before, after, point, target, radius=4, zoom=2) -> np.ndarray:
    """The place in `after` that looks most like that around `point` in `before`.

    By normalized cross-correlation of the surrounding pixels, in quarters of a pixel,
    looked for as far from the target as the point was, and three pixels further.
    """
    grids = [np.arange(-radius, radius + 1 / zoom, 1 / zoom)] * 2
    offsets = np.stack(np.meshgrid(*grids), -1).reshape(-1, 2)

    def patch(image, place):
        x, y = (place + offsets).T
        values = [ndimage.map_coordinates(c, [y, x], order=1, mode="nearest")
                  for c in np.moveaxis(image, -1, 0)]  # fmt: skip
        values = np.stack(values) - np.mean(values, axis=1, keepdims=True)
        return values / (np.linalg.norm(values) + 1e-6)

    template, best = patch(before, point), target
    # First every pixel, then every quarter around the best one.
    for reach, step in ((np.hypot(*(target - point)) + 3, 1.0), (1.0, 0.25)):
        steps = np.arange(-reach, reach + step, step)
        places = best + np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
        alike = [float((patch(after, place) * template).sum()) for place in places]
        best = places[int(np.argmax(alike))]
    return best


def measure(model: bundle.Bundle, chosen: dict[str, Any]) -> dict[str, Any]:
    """Drags, and measures where the point is."""
    (generator,) = model.require("generator")
    photo = faces.render(chosen["latent"][None])
    inversion = pipeline.invert(model, photo)
    start = time.perf_counter()
    point, target = chosen["from"], chosen["to"]
    taken = list(drag.steps(generator, inversion, [point], [target], chosen["mask"]))
    seconds = time.perf_counter() - start
    best = drag.best(taken)
    before, after = (np.asarray(s.image) for s in (taken[0], best))
    again = find_again(before, after, point, target)
    return {
        "asked": float(np.hypot(*(target - point))),
        "tracked": float(best.distances[0]),
        "looked": float(np.hypot(*(again - target))),
        "outside": best.outside,
        "steps": len(taken) - 1,
        "seconds": seconds,
        "images": (before, after),
    }


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Lines of markdown: for each kind of drag, and for all."""
    yield ("| point, to where another … has it | drags | asked | tracked within 1 | "
           "looks alike within 1 | L2 outside | at most 1e-3 | steps |")  # fmt: skip
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    kinds = sorted({f"{r['point']}, {r['attribute']}" for r in rows})
    for kind in [*kinds, "all"]:
        of = [r for r in rows if kind in ("all", f"{r['point']}, {r['attribute']}")]
        column = {k: np.array([r[k] for r in of]) for k in of[0] if k in _MEASURES}
        quiet = (column["outside"] <= 1e-3).mean()
        yield (
            f"| {kind} | {len(of)} | {column['asked'].mean():.1f} | "
            f"{(column['tracked'] <= 1).mean():.0%} | "
            f"{(column['looked'] <= 1).mean():.0%} | {column['outside'].mean():.1e} | "
            f"{quiet:.0%} | {np.median(column['steps']):.0f} |"
        )


def save_picture(path: Path, before, after, chosen: dict[str, Any]) -> None:
    """Before with an arrow, after, and where they differ."""
    marked = images.arrows(before, [chosen["from"]], [chosen["to"]], 2)
    others = [after, images.error_map(before, after)]
    big = [images.to_uint8(x).repeat(2, 0).repeat(2, 1) for x in others]
    images.save_png(path, images.grid([[marked, *big]]))


_MEASURES = ("asked", "tracked", "looked", "outside", "steps", "seconds")


def main() -> None:
    """Reads the command line, drags, writes the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--first", type=int, default=3_000_000, help="index of a face")
    parser.add_argument("--model", default="demo")
    parser.add_argument("--out", type=Path, default=Path("drags"))
    args = parser.parse_args()
    compilation_cache.enable()
    args.out.mkdir(parents=True, exist_ok=True)
    log = args.out / "drags.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    rows = [json.loads(line) for line in lines]
    model, done = bundle.load(args.model), {row["index"] for row in rows}
    for index in range(args.first, args.first + args.count):
        if index in done:
            continue
        chosen = choose(index, np.random.default_rng(index))
        row = measure(model, chosen)
        before, after = row.pop("images")
        ends = {k: chosen[k] for k in ("from", "to", "mask")}
        np.savez(args.out / f"{index}.npz", before=before, after=after, **ends)
        save_picture(args.out / f"{index}.png", before, after, chosen)
        rows.append({k: chosen[k] for k in ("index", "point", "attribute")} | row)
        with log.open("a") as file:
            file.write(json.dumps(rows[-1]) + "\n")
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
