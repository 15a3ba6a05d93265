"""The user who works in an installation: root becomes its owner first.

An installation's owner may put a link or a FIFO under any name at any time, and SQLite opens files
by name. No check before an open can hold against him, but he is led no further by his own links
than he may go himself. So root works as that user, and not as root. See ADR 14.
"""

from __future__ import annotations

import fcntl
import importlib
import os
import pkgutil
import pwd
import shlex
import shutil
import stat
import sys
import time
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from grp import getgrgid
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, Self

from streamhub_orm.errors import ForeignOwnerError, OutOfReachError, ScratchFolderError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT: Final = 0
_LATE: Final = (
    *("_strptime", "encodings.ascii", "encodings.idna", "encodings.unicode_escape"),
    "encodings.utf_8_sig",
    *("rich.console", "rich.progress", "rich.table"),
    *("ruamel.yaml", "ruamel.yaml.mergevalue", "pyrage"),
    *("uvicorn.lifespan.on", "uvicorn.loops.auto", "uvicorn.loops.asyncio"),
    *("uvicorn.protocols.http.auto", "uvicorn.protocols.websockets.auto"),
)
_HOLDER: Final = ".held"
_MADE_SECONDS: Final = 60
"""Seconds within which the maker of the file surely holds it."""
_GLOBAL_DATABASES: Final = ("data/streamhub.db", "streamhub.db")


@dataclass(frozen=True)
class User:
    """A user and the group that his new files get, by number."""

    uid: int
    gid: int

    @classmethod
    def present(cls) -> Self:
        """Return the user that this process works as."""
        return cls(os.geteuid(), os.getegid())

    @property
    def groups(self) -> list[int]:
        """All groups of the user; of a number without a name, the one group that is known."""
        try:
            return os.getgrouplist(pwd.getpwuid(self.uid).pw_name, self.gid)
        except KeyError:
            return [self.gid]

    def __str__(self) -> str:
        """Return `USER:GROUP` as chown takes it, by name where there is one."""
        user, group = str(self.uid), str(self.gid)
        with suppress(KeyError):
            user = pwd.getpwuid(self.uid).pw_name
        with suppress(KeyError):
            group = getgrgid(self.gid).gr_name
        return f"{user}:{group}"


def find_owner(data_dir: Path) -> User | None:
    """Return whose installation it is, where this process is root's and the installation is not.

    It is the owner of the global database; of the folder around where that is root's (an earlier
    sudo may have left it) or is not there yet. No link is followed.
    """
    if os.geteuid() != _ROOT:
        return None
    root = data_dir.absolute()
    databases = [root / each for each in _GLOBAL_DATABASES if os.path.lexists(root / each)]
    files = [each for database in databases for each in (database, database.parent)]
    folders = (each for each in (root / "data", root, *root.parents) if os.path.lexists(each))
    for path in files or [next(folders)]:
        found = path.lstat()
        if found.st_uid != _ROOT:
            return User(found.st_uid, found.st_gid)
    return None


def require_owner(data_dir: Path) -> None:
    """Raise `ForeignOwnerError` where root is about to work on somebody else's installation."""
    owner = find_owner(data_dir)
    if owner is not None:
        raise ForeignOwnerError(data_dir, str(owner))


def become_owner(data_dir: Path, *, for_good: bool = True) -> None:
    """Make this process, if it is root's, one of the installation's owner: user, group, groups.

    All its threads change, and processes that are forked later inherit it. Unless it is
    `for_good`, `as_operator` leads back for a moment. Raises `OutOfReachError` where the owner
    cannot enter the installation.
    """
    owner = find_owner(data_dir)
    if owner is None:
        return
    program = [folder for folder in sys.path if Path(folder).is_dir()]
    uid, gid = owner.uid, owner.gid
    os.setgroups(owner.groups)
    os.setresgid(gid, _ROOT, _ROOT)
    os.setresuid(uid, _ROOT, _ROOT)
    # access() asks for the real user, here and in what is imported.
    can_read_program = all(os.access(folder, os.R_OK | os.X_OK) for folder in program)
    os.setresuid(_ROOT, _ROOT, _ROOT)
    if not can_read_program:
        _import_everything()
    way_back = (gid, uid) if for_good else (_ROOT, _ROOT)
    os.setresgid(gid, gid, way_back[0])
    os.setresuid(uid, uid, way_back[1])
    root = data_dir.absolute()
    for folder in (*reversed(root.parents), root):
        if not os.access(folder, os.X_OK) and os.path.lexists(folder):
            raise OutOfReachError(folder, str(owner))


def _import_everything() -> None:
    """Import what is imported late: Python itself may lie where only root can read it."""
    package = importlib.import_module("streamhub_orm")
    found = pkgutil.walk_packages(package.__path__, "streamhub_orm.", onerror=lambda _: None)
    for name in (*_LATE, *(it.name for it in found if not it.name.endswith("__main__"))):
        with suppress(ImportError):  # of an extra that is not installed
            importlib.import_module(name)
    references = importlib.import_module("streamhub_orm.migrations.references")
    worlds = importlib.import_module("streamhub_orm.migrations.worlds")
    for world in (worlds.APP, worlds.GLOBAL):
        references.template(world)  # reads the whole history
    importlib.import_module("streamhub_orm.storage.s3").preload()


@contextmanager
def as_operator(path: Path) -> Iterator[bool]:
    """Work on `path` as the operator within the block, where it is his; tell whether it is so.

    It is his where this process was root's and became an owner who can change no folder on the
    way to `path`: then nothing can have been put there by that owner. Everywhere else, and where
    root never was, the block runs as the present user. The whole process changes, so no other
    thread may work in the installation meanwhile.
    """
    uid = os.geteuid()
    if uid == _ROOT or os.getresuid()[2] != _ROOT:
        yield False
        return
    with _as_root():
        is_his = _is_out_of_hand(path, uid)
    with _as_root() if is_his else nullcontext():
        yield is_his


@contextmanager
def _as_root() -> Iterator[None]:
    uid, gid = os.geteuid(), os.getegid()
    os.seteuid(_ROOT)
    os.setegid(_ROOT)
    try:
        yield
    finally:
        os.setegid(gid)
        os.seteuid(uid)


def _is_out_of_hand(path: Path, uid: int) -> bool:
    """Tell whether the real user can neither change nor replace a folder from / to `path`."""
    ways = (path.absolute(), path.resolve())
    folders = {folder for way in ways for folder in (way, *way.parents) if not folder.is_file()}
    return not any(_is_in_hand(folder, uid, is_last=folder in ways) for folder in folders)


def _is_in_hand(folder: Path, uid: int, *, is_last: bool) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False  # not there yet: the folder that it will lie in decides
    is_sticky = bool(found.st_mode & stat.S_ISVTX) and not is_last
    # access() asks for the real user, who is the owner all the time.
    is_writable = not stat.S_ISLNK(found.st_mode) and os.access(folder, os.W_OK)
    return found.st_uid == uid or (is_writable and not is_sticky)


def give_back(path: Path) -> str | None:
    """Return what to do about files that an earlier sudo left to root; None where there are none.

    Looked at are `path`, its companions and the folder around, each where it lies in a folder
    that is this user's own and he can still not read and write it.
    """
    user = User.present()
    names = (path.name, f"{path.name}-wal", f"{path.name}-shm", f"{path.name}-journal")
    left = []
    for each in (*map(path.with_name, names), path.parent):
        with suppress(OSError):
            is_foreign = each.lstat().st_uid != user.uid == each.parent.lstat().st_uid
            if is_foreign and not os.access(each, os.R_OK | os.W_OK):
                left.append(shlex.quote(str(each)))
    if not left or user.uid == _ROOT:
        return None
    return f"Give it back to its owner: `sudo chown {user} {' '.join(left)}`, then run again."


@contextmanager
def scratch_folder(purpose: str, *, within: Path | None = None) -> Iterator[Path]:
    """Make a private folder in TMPDIR; raises `ScratchFolderError` where this user may not.

    tempfile would take another folder in silence, perhaps one without the room. Folders that killed
    runs left for the same purpose are removed: they hold copies of databases.
    """
    wanted = os.environ.get("TMPDIR")
    if within is None and wanted and _is_closed(wanted):
        raise ScratchFolderError(Path(wanted), str(User.present()))
    prefix = f"streamhub-{purpose}-"
    with TemporaryDirectory(prefix=prefix, dir=within) as name, _held(folder := Path(name)):
        for other in folder.parent.glob(f"{prefix}*"):
            _remove_if_dead(other)
        yield folder


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold a folder by flock on a file in it, which dies with its process.

    Not on the folder itself: whoever opens a database in it takes turns by that (ADR 9).
    """
    with ExitStack() as stack:
        with suppress(OSError):  # no room or no locks: the next run leaves it where it is
            flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC
            descriptor = os.open(folder / _HOLDER, flags, 0o600)
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def _remove_if_dead(folder: Path) -> None:
    """Remove a folder of this user's that nobody holds."""
    with suppress(OSError):
        descriptor = os.open(folder / _HOLDER, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor)
            if found.st_uid == os.geteuid() and found.st_mtime < time.time() - _MADE_SECONDS:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)


def _is_closed(folder: str) -> bool:
    try:
        os.stat(folder)  # noqa: PTH116 - as it stands in the environment
    except PermissionError:
        return True
    except OSError:
        return False  # not there: tempfile takes another
    return not os.access(folder, os.W_OK | os.X_OK)
