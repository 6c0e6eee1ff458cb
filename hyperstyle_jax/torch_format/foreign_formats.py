"""Names files that hold no weights, or weights in a format that is not read here.

The first and the last bytes decide, never the file's name: a page that refuses a
download is often saved as `weights.pt`.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

HEAD, TAIL = 512, 8  # bytes at the beginning and at the end that are looked at


class _Format(NamedTuple):
    """What the beginning of a file matches, and what to say then."""

    pattern: bytes
    message: str


_UNPACK = "unpack it and give the file inside"
_EXPORT = "save the network's state dict with PyTorch and give that file"
_BEGINNINGS = tuple(
    _Format(*row)
    for row in (
        (
            rb"(\xef\xbb\xbf)?\s*<[!?a-z]",
            "an HTML page or XML (of a refused download?), not weights: "
            "download the file itself",
        ),
        (
            rb"version https://git-lfs",
            "a git-lfs pointer, not weights: fetch the file itself (git lfs pull)",
        ),
        (rb"\x1f[\x8b\x9d]|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|\x04\x22\x4d\x18",
         f"a packed file: {_UNPACK}"),
        (rb"7z\xbc\xaf\x27\x1c", f"a packed file (7z archive): {_UNPACK}"),
        (rb"Rar!\x1a\x07", f"a packed file (RAR archive): {_UNPACK}"),
        (rb"(?s).{257}ustar", f"a tar archive: {_UNPACK}"),
        (
            rb"\x89HDF\r\n\x1a\n",
            f"an HDF5 file (Keras .h5), which is not read here: {_EXPORT}",
        ),
        (rb"GGUF", f"a GGUF file, which is not read here: {_EXPORT}"),
        (rb"(?s).{4}TFL3", f"a TensorFlow Lite file, which is not read: {_EXPORT}"),
        (
            rb"(?s)\x08\x01\x12.{1,3}[\x0a\x12\x1a]",
            f"a TensorFlow SavedModel, which is not read here: {_EXPORT}",
        ),
        (
            rb"(?s)\x08[\x02-\x0f][\x12\x1a\x22\x2a\x3a\x42]",
            f"an ONNX file, which is not read here: {_EXPORT}",
        ),
        (
            rb"(?s)\x0a.{1,6}\x0a.{1,80}?\x12.{1,3}(Const|Placeholder|VarHandleOp|"
            rb"VariableV?2?|NoOp|Add)",
            f"a TensorFlow graph, which is not read here: {_EXPORT}",
        ),
        (  # the list of operations at the beginning of a .meta file
            rb"(?s)\x0a.{2,20}?\x0a[\x02-\x20][A-Z][A-Za-z0-9]+\x12",
            f"a TensorFlow graph, which is not read here: {_EXPORT}",
        ),
        (rb"MATLAB ", f"a MATLAB file, which is not read here: {_EXPORT}"),
        (
            rb"model_checkpoint_path:",
            "the list of a TensorFlow checkpoint, whose weights lie in other files "
            f"and are not read here: {_EXPORT}",
        ),
        (rb"(\x89PNG|\xff\xd8\xff|GIF8|(?s:RIFF.{4}WEBP)|(?s:.{4}ftyp))",
         "an image or a film, not weights"),
        (rb"%PDF", "a PDF document, not weights"),
        (rb"(\x7fELF|MZ\x90|#!)", "a program, not weights"),
        (
            rb"\x00\x05\x16\x07",
            "a companion file of macOS (._NAME), not weights: give the file NAME",
        ),
        (rb"\x00{64}", "only zero bytes (of an unfinished download?): get it again"),
        (
            rb"[\x81-\x8f\xde][\xa1-\xbf\xd9][\w.]",
            "a msgpack file (flax.serialization), which is not read here: save the "
            "parameters as safetensors under the official names",
        ),
    )
)  # fmt: skip
_TENSORFLOW_INDEX = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"  # the last bytes of an SSTable
_TEXT = re.compile(rb"[\t\r\n\x20-\x7e\x80-\xff]*")


def describe(head: bytes, tail: bytes = b"") -> str | None:
    """What the file is, and what to do; None if its bytes are of no known format.

    Args:
        head: the first `HEAD` bytes.
        tail: the last `TAIL` bytes.
    """
    for pattern, message in _BEGINNINGS:
        if re.match(pattern, head, re.IGNORECASE):
            return message
    if tail == _TENSORFLOW_INDEX:
        return f"the index of a TensorFlow checkpoint, which is not read: {_EXPORT}"
    if _TEXT.fullmatch(head) and re.match(rb"\s*[\[{\"#/\w]", head):
        start = head.decode("latin1").split("\n")[0].strip()
        return f"a text file, not weights: it begins with {start!r:.60}"
    return None


def describe_zip(names: Iterable[str]) -> str:
    """What a zip archive without PyTorch's data.pkl is, by the names of its entries."""
    names = list(names)
    for matches, message in _ARCHIVES:
        if any(re.fullmatch(matches, name) for name in names):
            return message
    weights = [n for n in names if re.search(r"\.(pt|pth|pkl|ckpt|safetensors)$", n)]
    if weights:
        return f"a packed file with {weights[0]!r:.60} inside: {_UNPACK}"
    first = f" (its first entry is {names[0]!r:.60})" if names else ""
    return f"a zip file without data.pkl, so not written by PyTorch{first}"


def describe_folder(names: Iterable[str]) -> str:
    """What a folder given in place of a file is, by the names of its files."""
    names = set(names)
    if "bundle.json" in names:
        return "a bundle, which needs no conversion"
    if {"config.json", "checkpoints"} <= names:
        return "a run of train.py: `hyperstyle export` makes a bundle of it"
    if names & {"_CHECKPOINT_METADATA", "_METADATA", "manifest.ocdbt"}:
        return (
            "a checkpoint of orbax: where it is one of a run of train.py, give the "
            "run's folder to `hyperstyle export`"
        )
    if "data.pkl" in names:
        return (
            "an unpacked file of PyTorch: pack it again without compression "
            "(zip -0 -r weights.pt FOLDER) and give that file"
        )
    if any(name.endswith((".index", ".pb")) for name in names):
        return f"a TensorFlow checkpoint, which is not read here: {_EXPORT}"
    if any(name.endswith(".distcp") for name in names):
        return (
            "a distributed checkpoint of PyTorch: make one file of it with "
            "torch.distributed.checkpoint.format_utils.dcp_to_torch_save"
        )
    return "a folder: give a file in it"


TENSORFLOW_DATA = f"a part of a TensorFlow checkpoint, which is not read: {_EXPORT}"
TORCHSCRIPT = (
    "a TorchScript archive, a program with weights: save its weights with "
    'torch.save(torch.jit.load("FILE").state_dict(), "weights.pt") and give that file'
)
_ARCHIVES = (
    (
        r"(.*/)?bundle\.json",
        "a packed bundle: unpack it and give the folder; it needs no conversion",
    ),
    (
        r"\.data/.*|.*/\.data/(extern_modules|version)",
        f"an archive of torch.package: {_EXPORT}",
    ),
    (r"(.*/)?archive_format", f"an archive of torch.export: {_EXPORT}"),
    (r".*model\.weights\.h5", f"a Keras file, which is not read here: {_EXPORT}"),
    (r"(.*/)?constants\.pkl|[^/]+/code/.*", TORCHSCRIPT),
)


def is_torchscript(names: Iterable[str]) -> bool:
    """Whether an archive with a data.pkl is a program of TorchScript."""
    return any(re.fullmatch(r"[^/]*/?(constants\.pkl|code/.*)", n) for n in names)
