"""Files that appear whole or not at all: held temporary names, fsync, publication."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import stat
from contextlib import contextmanager, suppress
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from streamhub_orm.errors import IrregularFileError
from streamhub_orm.owner import as_operator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SUFFIX: Final = ".streamhub-tmp"
_LABEL: Final = "user.streamhub."
_HAS_LABELS: Final = hasattr(os, "setxattr")
"""Linux has extended attributes."""
_COMPANIONS: Final = ("", "-journal", "-wal", "-shm")
_KINDS: Final = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """Create an empty file (mode 0600) in the folder of `path`; remove it at the end.

    A second file beside it is held by flock, which dies with its process: that is how
    `remove_leftovers` tells the file of a dead run from one that is being written. It is not the
    temporary file itself, since closing a descriptor of that would drop the POSIX locks of whoever
    in this process has opened the published database by then.
    """
    temporary, descriptor = _create_held(path)
    try:
        yield temporary
    finally:
        try:
            remove_database(temporary)
            _holder_of(temporary).unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def _create_held(path: Path) -> tuple[Path, int]:
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_SUFFIX}")
        holder = _holder_of(temporary)
        descriptor = os.open(holder, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            holder.unlink()
            os.close(descriptor)
            raise
        # Between open and flock a clean-up may have taken the file for a dead run's.
        if holder.exists():
            try:
                os.close(os.open(temporary, flags, 0o600))
            except OSError:
                holder.unlink()
                os.close(descriptor)
                raise
            return temporary, descriptor
        os.close(descriptor)


def _holder_of(temporary: Path) -> Path:
    return temporary.with_name(temporary.name + "-held")


def remove_leftovers(folder: Path) -> None:
    """Remove what killed runs left in `folder`: temporary databases and their journals."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if _SUFFIX in entry.name]
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        _remove_if_dead(folder / name)


def _remove_if_dead(path: Path) -> None:
    temporary = path.with_name(path.name.partition(_SUFFIX)[0] + _SUFFIX)
    holder = _holder_of(temporary)
    try:
        descriptor = os.open(holder, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        # The holder is made first and removed last: without it nobody is at work.
        remove_database(temporary)
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove_database(temporary)
        holder.unlink(missing_ok=True)
    except BlockingIOError:
        pass
    finally:
        os.close(descriptor)


def remove_database(path: Path) -> None:
    """Remove a database file together with its -journal, -wal and -shm."""
    for suffix in _COMPANIONS:
        with suppress(FileNotFoundError):
            os.unlink(f"{path}{suffix}")  # noqa: PTH108 - four paths per new app.db would cost more


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk.

    Never call it for a database that this process has open: closing the descriptor would drop
    the POSIX locks that SQLite holds on the file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def finish(path: Path, mode: int) -> None:
    """Set the permission bits of a file, not of what a link leads to, and flush it to the disk."""
    descriptor = open_regular(path)
    try:
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a regular file at once, whatever lies there; raises `IrregularFileError`.

    A link is not followed, and neither a FIFO nor a device is waited for. The caller closes the
    descriptor. Never for a database that this process has open: see `sync`.
    """
    safe = flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        descriptor = os.open(path, safe)
    except OSError as error:
        if error.errno not in {errno.ELOOP, errno.ENXIO, errno.EISDIR}:
            raise
        kind = irregularity(path) or "a link in the way"
        raise IrregularFileError(path, kind) from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise IrregularFileError(path, kind_of(mode))
    return descriptor


def read_regular(path: Path, most_bytes: int = -1) -> bytes:
    """Read a regular file, or its first bytes; raises as `open_regular` does."""
    with open(open_regular(path), "rb") as file:
        return file.read(most_bytes)


def irregularity(path: Path | str) -> str | None:
    """Return what lies at a path where it is no regular file; None for one, and for nothing."""
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    return None if stat.S_ISREG(mode) else kind_of(mode)


def kind_of(mode: int) -> str:
    """Name what a mode stands for where that is no regular file."""
    return _KINDS.get(stat.S_IFMT(mode), "a special file")


def publish(temporary: Path, target: Path, *, mode: int) -> None:
    """Make a finished temporary file appear as `target`, durably and never over another file.

    Raises `FileExistsError` where `target` exists: a hard link, unlike a rename, cannot replace
    a database that another process created meanwhile.
    """
    finish(temporary, mode)
    os.link(temporary, target)
    sync(target.parent)


def replace(temporary: Path, target: Path, *, mode: int) -> None:
    """Make a finished temporary file appear as `target`, durably and in the place of what is there.

    For files that are not databases: replacing one would leave its -wal to the new file.
    """
    finish(temporary, mode)
    temporary.replace(target)
    sync(target.parent)


def write_whole(path: Path, content: bytes, *, mode: int) -> None:
    """Write a small file in one step: whoever reads it, even after a kill, sees the old or the new.

    It takes the given `mode`; its folder must be there.
    """
    with temporary_beside(path) as temporary:
        temporary.write_bytes(content)
        replace(temporary, path, mode=mode)


def make_folder(path: Path) -> None:
    """Make `path` with its parents, each with the mode of the one it lies in."""
    for folder in reversed(_missing(path)):
        make_subfolder(folder)
        sync(folder.parent)


def make_subfolder(folder: Path) -> None:
    """Make one folder with the mode of the one it lies in, whose entries somebody else flushes.

    Where anything lies there, do nothing.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        inherited = folder.stat().st_mode & stat.S_ISGID  # of a folder that a group shares
        folder.chmod(file_mode(folder.parent) | inherited)


def remove_folder(folder: Path) -> None:
    """Remove a folder with all in it, as far as it can be; leave anything else that lies there.

    rmtree opens what it is given before it looks, and would wait at a FIFO.
    """
    if irregularity(folder) == "a folder":
        shutil.rmtree(folder, ignore_errors=True)


def make_scratch(folder: Path) -> None:
    """Make an empty private folder of a fixed name; a dead run's goes with all that is in it.

    Raises `IrregularFileError` where something else lies there.
    """
    remove_folder(folder)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError as error:
        kind = irregularity(folder) or "a file"
        raise IrregularFileError(folder, kind, "a folder of our own, or nothing") from error


@contextmanager
def no_empty_folder_left(path: Path) -> Iterator[None]:
    """Remove at the end what was made meanwhile of `path` and its parents, and is empty.

    So a run that is refused leaves nothing in a place where nothing was.
    """
    missing = _missing(path)
    try:
        yield
    finally:
        for folder in missing:
            with suppress(OSError), as_operator(folder):
                folder.rmdir()


def _missing(path: Path) -> list[Path]:
    """Return `path` and its parents as far as they are not there, the deepest first."""
    return list(takewhile(lambda folder: not folder.exists(), (path, *path.parents)))


def set_label(path: Path, name: str, text: str | None) -> None:
    """Attach a text to a regular file, or take it off; nothing where the file system has no such.

    It goes where the file goes, and not with a copy.
    """
    if _HAS_LABELS:
        with suppress(OSError):
            if text is None:
                os.removexattr(path, _LABEL + name, follow_symlinks=False)
            else:
                os.setxattr(path, _LABEL + name, text.encode(), follow_symlinks=False)


def label_of(path: Path, name: str) -> str | None:
    """Return the text that `set_label` has attached; None where there is none."""
    if _HAS_LABELS:
        with suppress(OSError, UnicodeDecodeError):
            return os.getxattr(path, _LABEL + name, follow_symlinks=False).decode()
    return None


def file_mode(path: Path) -> int:
    """Return the permission bits of a file."""
    return path.stat().st_mode & 0o777
