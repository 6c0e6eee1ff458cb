"""`hyperstyle report` puts the results in a folder on one page, to look at and send."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hyperstyle_jax.system import atomic_files, folder_lock, web_page

_MOST_BYTES = 200_000  # a larger picture is scaled down
_MOST_WIDTH = 1200


def add_commands(commands):
    """Adds `hyperstyle report`."""
    parser = commands.add_parser(
        "report",
        help="one page of a folder of results",
        description="Writes report.html into a folder of `invert`, `edit` or `drag`: "
        "measures, and every photo's pictures. The page is one file, with the images "
        "inside; it asks nothing of the network.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument(
        "--most", type=int, default=200, help="photos on the page (default 200)"
    )
    parser.set_defaults(run=run)


def run(args):
    """Writes the page; the folder is held meanwhile."""
    with folder_lock.hold(args.folder):
        groups = pictures(args.folder)
        if not groups:
            raise ValueError(
                f"{args.folder}: no pictures; expected a folder that `invert` "
                "or `edit` wrote"
            )
        page = write_page(args.folder, groups, args.most)
        path = atomic_files.write_whole(args.folder / "report.html", page)
    print(f"{len(groups)} photos on {path}")


def pictures(folder: Path) -> dict[str, list[Path]]:
    """The pictures of a folder by what they show.

    Returns:
        {stem of the .npz file: its pictures, and those whose names go on after it}; ""
        for the others, as overviews.
    """
    stems = sorted((p.stem for p in folder.glob("*.npz")), key=len, reverse=True)
    groups: dict[str, list[Path]] = {"": [], **{stem: [] for stem in sorted(stems)}}
    for path in sorted([*folder.glob("*.png"), *folder.glob("*.gif")]):
        own = (s for s in stems if path.stem == s or path.stem.startswith(f"{s}_"))
        groups[next(own, "")].append(path)
    return {name: paths for name, paths in groups.items() if paths}


def write_page(folder: Path, groups: dict[str, list[Path]], most: int) -> bytes:
    """The page of a folder's pictures and measures.

    Args:
        folder: with `metrics.jsonl` and `summary.json`, if it is of `invert`.
        groups: of `pictures`.
        most: the most photos.
    """
    name = folder.absolute().name
    photos = [key for key in groups if key]
    parts = [f"<h1>{web_page.text(name)}</h1>"]
    parts += web_page.section("Summary", web_page.table(_flat(_json(folder))))
    parts += web_page.section("Overview", _images(groups.get("", [])))
    parts += web_page.section("Measures", _measures(folder / "metrics.jsonl"))
    for photo in photos[:most]:
        parts += web_page.section(photo, _images(groups[photo]))
    if len(photos) > most:
        parts.append(f"<p>{len(photos) - most} more photos are in the folder.</p>")
    return web_page.page(name, parts)


def _images(paths: Iterable[Path]) -> str:
    return "".join(web_page.image(*_shown(path)) for path in paths)


def _shown(path: Path) -> tuple[bytes, str, str]:
    """Bytes, caption and kind of a picture; large ones are scaled down."""
    data, caption = path.read_bytes(), path.stem.replace("_", " ")
    if len(data) <= _MOST_BYTES or path.suffix == ".gif":
        return data, caption, path.suffix[1:]
    from hyperstyle_jax import images

    image = images.read(data, str(path))
    height, width = image.shape[:2]
    if width > _MOST_WIDTH:
        image = images.resize(image, round(height * _MOST_WIDTH / width), _MOST_WIDTH)
    return images.encode_webp(image), caption, "webp"


def _json(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / "summary.json").read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested numbers and texts under joined names; lists are left as they are."""
    flat = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key} ")
        else:
            flat[prefix + str(key)] = _short(value)
    return flat


def _measures(path: Path) -> str:
    """The last number of each measure, a row for each photo."""
    try:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    except (OSError, ValueError):
        return ""
    names = [k for k in (rows[0] if rows else {}) if k not in ("name", "key", "file")]
    return (
        web_page.wide_table(
            ["photo", *names],
            [[row.get("name"), *(_last(row.get(k)) for k in names)] for row in rows],
        )
        if names
        else ""
    )


def _last(value: Any) -> Any:
    return _short(value[-1] if isinstance(value, list) and value else value)


def _short(value: Any) -> Any:
    if isinstance(value, list):
        return ", ".join(str(_short(v)) for v in value)
    return f"{value:.4g}" if isinstance(value, float) else value
