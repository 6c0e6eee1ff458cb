"""Lets only one process at a time write into a folder that a command fills.

The commands that hold a folder while they run, from before their first look into it:

- `train.py`: its workdir (of several processes of one job the one that writes);
- `domain`: its work folder, and within it what its runs hold;
- `prepare`, `pre-extract`: the data set; `invert`, `evaluate`, `benchmark`, `demo`,
  `generate`, `faces`, `edit`, `align`, `paste-back` and `edit-photo`: the folder of
  results (`edit` without --out: those of its .npz); `invert --shard` one part of it;
  `text-direction`: the folder of effects;
- `export`, `directions` and `convert_weights.py`: the bundle or file that they replace
  as a whole, by a lock beside it;
- a run that prepares images for itself (`config.data.kind` folder or faces): the
  prepared data set; here a second run waits, and then finds it finished.

`info` and `parity` write nothing; `speed` writes single files, each whole.

The system keeps the lock and forgets it when its process ends, however it ends. The
lock's file says who holds it, for people, and for the cases in which the system cannot
know: a file system without locks, or one that is shared with another machine.
"""

import contextlib
import json
import os
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from hyperstyle_jax.system import atomic_files, processes

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

NAME = ".lock"
_SECONDS = 0.5  # between two attempts to take a lock
_ADMISSION = 5.0  # seconds to wait until another part has come or gone
_FAR = 1 << 30  # the byte to lock; on Windows others cannot read locked bytes
_held: set[tuple[Path, int]] = set()  # (file of the lock, thread)


@contextlib.contextmanager
def hold(
    folder: str | os.PathLike, *, beside: bool = False, wait: bool = False
) -> Iterator[None]:
    """Keeps other processes from writing into a folder; makes it where it is missing.

    What killed processes have left half-written in it is removed. A thread that holds a
    folder may hold it again. A folder that was made here is removed if it stays empty.

    Args:
        folder: the folder to hold.
        beside: whether `folder` is a folder or file that is replaced as a whole; the
            lock is then a file beside it.
        wait: whether to wait until another process leaves the folder; otherwise that
            is an error.

    Raises:
        ValueError: another process holds the folder.
        OSError: the folder cannot be written.
    """
    folder = Path(os.path.realpath(folder))
    path = beside_file(folder) if beside else folder / NAME
    key = path, threading.get_ident()
    if key in _held:
        yield
        return
    with _made(path.parent):
        file = _take(path, folder, wait)
        _held.add(key)
        try:
            if not beside:
                _refuse_parts(folder)
                atomic_files.sweep(folder)
            yield
        finally:
            _held.discard(key)
            _release(path, file)


@contextlib.contextmanager
def share(
    folder: str | os.PathLike,
    part: int,
    parts: int,
    admitted: Callable[[bool], None] = lambda alone: None,
) -> Iterator[None]:
    """Holds one part of a folder that several processes fill together.

    Each part has one process. While a part is held, `hold` refuses the folder.

    Args:
        folder: it is made where it is missing.
        part: the number of the part, from 1.
        parts: how many there are.
        admitted: called while no other process can come or go, with whether no other
            part is held; it may refuse by a ValueError.

    Raises:
        ValueError: another process holds this part, the whole folder, or a part of
            another number of parts.
        OSError: the folder cannot be written.
    """
    folder = Path(os.path.realpath(folder))
    path = folder / f".{part}-of-{parts}{NAME}"
    title = f"part {part} of {parts} of {folder}"
    with _made(folder):
        with _whole(folder):
            file = _take(path, title, wait=False)
            try:
                others = _held_parts(folder, path)
                if foreign := [p for p in others if not p.name.endswith(_of(parts))]:
                    raise ValueError(
                        f"{folder} is being filled in other parts ({foreign[0].name}); "
                        "wait until they end, or choose another folder"
                    )
                admitted(not others)
                if not others:
                    atomic_files.sweep(folder)
            except BaseException:
                _release(path, file)
                raise
        try:
            yield
        finally:
            _release(path, file)


@contextlib.contextmanager
def alone(folder: str | os.PathLike) -> Iterator[None]:
    """Keeps the parts of a shared folder from coming and going for a moment.

    For a process that holds a part, as `share`; `hold` refuses a folder with parts.
    """
    with _whole(Path(os.path.realpath(folder))):
        yield


def _of(parts: int) -> str:
    return f"-of-{parts}{NAME}"


@contextlib.contextmanager
def _whole(folder: Path) -> Iterator[None]:
    """Takes the folder's own lock; parts that have it keep it for a moment only."""
    path, last = folder / NAME, time.monotonic() + _ADMISSION
    while True:
        try:
            file = _take(path, folder, wait=False)
            break
        except ValueError:
            if time.monotonic() > last:
                raise
            time.sleep(_SECONDS / 10)
    try:
        yield
    finally:
        _release(path, file)


def _held_parts(folder: Path, own: Path | None = None) -> list[Path]:
    """The locks of parts that other processes hold; those of dead ones are removed."""
    held = []
    for path in folder.glob(f".*-of-*{NAME}"):
        if path == own:
            continue
        try:
            _release(path, _take(path, path, wait=False))
        except ValueError:
            held.append(path)
    return held


def _refuse_parts(folder: Path) -> None:
    if parts := _held_parts(folder):
        names = ", ".join(sorted(path.name for path in parts))
        raise ValueError(
            f"{folder} is being filled in parts by other processes ({names}); wait "
            "until they end, or choose another folder"
        )


def _release(path: Path, file: int) -> None:
    with contextlib.suppress(OSError):
        path.unlink()  # before the release, while no other process can hold it
    os.close(file)


@contextlib.contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Removes at the end the folders that were made inside and are empty."""
    missing = [p for p in (folder, *folder.parents) if not p.exists()]
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            for path in missing:
                path.rmdir()


def beside_file(folder: Path) -> Path:
    """The lock file of what is replaced as a whole; its name is short for any name."""
    return folder.with_name(f".{zlib.crc32(os.fsencode(folder.name)):08x}{NAME}")


def _take(path: Path, folder: Path | str, wait: bool) -> int:
    """Opens and locks the file, and writes into it who holds it."""
    told = False
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(folder)) from error
        locked, holder = _try_lock(file), _read(file)
        if locked and not _is_at(file, path):  # its holder has just removed it
            os.close(file)
            continue
        if locked is not False and not _still_holds(holder, bool(locked)):
            _write(file, path, folder)
            return file
        os.close(file)
        if not wait or locked is not False:
            raise ValueError(_refusal(folder, holder, locked, path))
        if not told:
            print(f"waiting: {_in_use(folder, holder)}", file=sys.stderr, flush=True)
            told = True
        time.sleep(_SECONDS)


def _try_lock(file: int) -> bool | None:
    """Tries to take the lock; None where the file system has no locks."""
    try:
        if fcntl is None:
            os.lseek(file, _FAR, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True


def _still_holds(holder: dict[str, str], locked: bool) -> bool:
    """Whether a holder may live although the system has not refused us the lock."""
    if not holder:
        return False
    if locked and holder["kernel"] and holder["kernel"] == processes.kernel():
        return False
    if holder["host"] == processes.host():
        return processes.is_running(int(holder["process"]), holder["start"])
    return True


def _refusal(folder: Path | str, holder: dict[str, str], locked, path: Path) -> str:
    text = f"{_in_use(folder, holder)}; wait until it ends, or choose another folder"
    if locked is not False:
        text += f"; if it has ended, delete {path}"
    return text


def _in_use(folder: Path | str, holder: dict[str, str]) -> str:
    if not holder:
        return f"{folder} is in use by another process"
    return (
        f"{folder} is in use by process {holder['process']} on {holder['host']} "
        f"({holder['command']}, since {holder['since']})"
    )


def _read(file: int) -> dict[str, str]:
    """What the holder, perhaps a dead one, has written; {} if that is incomplete."""
    try:
        holder = json.loads(_content(file))
        return holder if holder.keys() >= _description().keys() else {}
    except (ValueError, AttributeError, OSError):
        return {}


def _write(file: int, path: Path, folder: Path | str) -> None:
    data = json.dumps(_description()).encode()
    try:
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        os.write(file, data)
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(file)
        raise OSError(error.errno, error.strerror, str(folder)) from error


def _content(file: int) -> bytes:
    os.lseek(file, 0, os.SEEK_SET)
    return os.read(file, 4096)


def _description() -> dict[str, str]:
    name = Path(sys.argv[0]).name.replace("__main__.py", "hyperstyle")
    return {
        "process": str(os.getpid()),
        "start": processes.start(os.getpid()),
        "host": processes.host(),
        "kernel": processes.kernel(),
        "command": " ".join([name, *sys.argv[1:2]])[:100],
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except OSError:
        return False
