"""Measures alignment and pasting back on photographs; the figures of docs/photos.md.

python scripts/photos_report.py PORTRAITS --landmarks dlib
python scripts/photos_report.py PORTRAITS --landmarks mtcnn --landmark-model WEIGHTS

PORTRAITS is a folder with p*.jpg (one face each), g*.jpg (several) and
groups_landmarks.json with the 68 true points of each of those. Prints tables; the exit
code is 1 if an odd photo ended the program with anything but one line.
"""

import argparse
import contextlib
import io
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from odd_photos import odd_photos
from PIL import Image

from hyperstyle_jax.cli.main import main as hyperstyle
from hyperstyle_jax.photos import landmarks
from hyperstyle_jax.photos.align import face_quad, side
from hyperstyle_jax.photos.face import Face
from hyperstyle_jax.photos.photo import Photo

_STORED = ("FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE",
           "ROTATE_90", "TRANSVERSE", "ROTATE_270")  # fmt: skip
_SAME = 0.15  # two faces are one if their points lie closer, in sides of the square


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("portraits", type=Path)
    parser.add_argument("--landmarks", default="dlib")
    parser.add_argument("--landmark-model")
    parser.add_argument("--odd", type=int, default=200, help="number of odd photos")
    parts = ("singles", "groups", "orientations", "pasting", "odd")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    args = parser.parse_args()
    find = landmarks.load(args.landmarks, args.landmark_model)
    singles = sorted(args.portraits.glob("p*.jpg"))
    print(f"| {args.landmarks} | |\n|---|---|")
    if "singles" in args.parts:
        _report_singles(singles, find)
    if "groups" in args.parts:
        _report_groups(args.portraits, find)
    if "orientations" in args.parts:
        _report_orientations(singles[0], find)
    if "pasting" in args.parts:
        _report_pasting(singles, find)
    return _report_odd(singles, args) if "odd" in args.parts else 0


def _row(what: str, figure: str) -> None:
    print(f"| {what} | {figure} |", flush=True)


def _report_singles(files, find) -> None:
    upright = {file: Photo.open(file).faces(find) for file in files}
    found = sum(len(faces) == 1 for faces in upright.values())
    _row("portraits with exactly one face found", f"{found} of {len(files)}")
    for turns in (1, 2, 3):
        found, moved = 0, []
        for file, faces in upright.items():
            turned = np.rot90(np.asarray(Image.open(file).convert("RGB")), -turns)
            again = find(np.ascontiguousarray(turned), file.name)
            if faces and again:
                expected = _turned(np.stack(faces[0].anchors), turns, turned.shape)
                moved.append(_distance(again[0], expected, faces[0]))
                found += max(moved[-1]) < _SAME
        _row(
            f"… turned by {90 * turns}°",
            f"{found} of {len(files)}; eyes and mouth move by a median of "
            f"{100 * np.median(moved):.2f} % of the square",
        )


def _turned(points, turns, shape) -> np.ndarray:
    """Points of a photo in the photo turned clockwise by quarters."""
    x, y = points.T
    height, width = shape[:2]
    corners = {
        1: (width - 1 - y, x),
        2: (width - 1 - x, height - 1 - y),
        3: (y, height - 1 - x),
    }
    return np.stack(corners[turns], axis=1)


def _distance(face: Face, anchors, scale: Face) -> np.ndarray:
    """Of the two eyes and the corners of the mouth, in sides of the square."""
    apart = np.stack(face.anchors) - anchors
    return np.hypot(*apart.T) / side(face_quad(scale.anchors))


def _report_groups(folder: Path, find) -> None:
    truth = json.loads((folder / "groups_landmarks.json").read_text())
    distances, missed, extra = [], [], 0
    for name, entry in truth.items():
        faces = Photo.open(folder / name).faces(find)
        matched = set()
        for one in entry["faces"]:
            true = Face(np.array(one["landmarks"], np.float64))
            apart = [_distance(f, np.stack(true.anchors), true) for f in faces]
            best = min(range(len(faces)), key=lambda i: apart[i].max(), default=None)
            if best is None or apart[best].max() > _SAME:
                missed.append(f"{name} at {one['box'][:2]}")
                continue
            matched.add(best)
            distances.append(apart[best])
        extra += len(faces) - len(matched)
    distances = 100 * np.array(distances)
    count = len(distances) + len(missed)
    listed = f" (missed: {', '.join(missed)})" if missed else ""
    _row("faces of the group photos", f"{len(distances)} of {count}{listed}")
    _row("what is no face, but was taken for one", str(extra))
    _row(
        "eyes and mouth from the true points, % of the square",
        f"median {np.median(distances):.2f}, 95 % below "
        f"{np.quantile(distances, 0.95):.2f}, most {distances.max():.2f}",
    )
    _row(
        "points within 2 %; faces with all four",
        f"{100 * (distances <= 2).mean():.1f} %; "
        f"{(distances.max(axis=1) <= 2).sum()} of {len(distances)}",
    )


def _report_orientations(file: Path, find) -> None:
    """One portrait, stored in all eight ways that EXIF knows."""
    photo = Photo.open(file)
    crop = photo.align(photo.faces(find)[0], 256).image
    # Pillow's names of what turns an upright image into the stored one.
    stored = dict(zip(range(2, 9), _STORED, strict=True))
    same = 0
    for orientation in range(1, 9):
        image = Image.fromarray(photo.image)
        if orientation > 1:
            image = image.transpose(Image.Transpose[stored[orientation]])
        exif, out = Image.Exif(), io.BytesIO()
        exif[0x0112] = orientation
        image.save(out, format="PNG", exif=exif)
        again = Photo.open(out.getvalue())
        same += np.array_equal(again.align(again.faces(find)[0], 256).image, crop)
    _row("EXIF orientations that give the very same crop", f"{same} of 8")


def _report_pasting(files, find) -> None:
    outside, inside, seconds = [], [], []
    for file in files:
        photo = Photo.open(file)
        for size in (256, 1024):
            aligned = photo.align(photo.faces(find)[0], size)
            black = photo.paste(aligned, np.zeros_like(aligned.image))
            start = time.perf_counter()
            pasted = photo.paste(aligned, aligned.image)
            seconds.append(time.perf_counter() - start)
            mask = (black.image != photo.image).any(axis=-1)
            change = np.abs(pasted.image.astype(int) - photo.image)
            outside.append(change[~mask].max())
            inside.append(change[mask].mean())
    _row("an unedited crop changes outside of the mask at most", f"{max(outside)}/255")
    _row("… inside on average", f"{np.mean(inside):.3f}/255, most {max(inside):.3f}")
    _row("seconds to paste", f"{np.median(seconds):.2f}")


def _report_odd(files, args) -> int:
    """`hyperstyle align` on all odd photos at once, and what it says of each."""
    portraits = [Image.open(file).convert("RGB").resize((300, 300)) for file in files]
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "odd", Path(folder) / "out"
        source.mkdir()
        for name, data in odd_photos(portraits, args.odd, seed=0):
            (source / name).write_bytes(data)
        argv = ["align", str(source), "--out", str(out), "--size", "256"]
        argv += ["--face", "all", "--landmarks", args.landmarks]
        if args.landmark_model:
            argv += ["--landmark-model", args.landmark_model]
        said, told, start = io.StringIO(), io.StringIO(), time.perf_counter()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(told):
            code = hyperstyle(argv)
        seconds = time.perf_counter() - start
        lines = [s for s in said.getvalue().splitlines() if s.startswith("failed: ")]
        records = out.glob("*.align.json")
        aligned = {json.loads(p.read_text())["source"] for p in records}
    failed = {line.split(": ")[1] for line in lines}
    crashes = args.odd - len(aligned) - len(failed)
    _row(
        f"{args.odd} odd photos",
        f"{len(aligned)} aligned, {len(failed)} refused with one line, {crashes} "
        f"anything else; exit code {code}; {seconds:.0f} s",
    )
    no_face = sum("no face" in line for line in lines)
    _row("… of the refused, without a face", f"{no_face} of {len(failed)}")
    return 1 if crashes or code not in (0, 1) else 0


if __name__ == "__main__":
    sys.exit(main())
