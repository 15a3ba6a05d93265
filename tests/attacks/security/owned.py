"""Installations that belong to a service's user, on which root runs commands."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.support.installations.commands import run_command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.installations import Installation
    from tests.support.installations.commands import Outcome

UID: Final = 54321
GID: Final = 65432
PRECIOUS: Final = "for root's eyes alone"


def give_away(folder: Path) -> None:
    """Let the service's user own a folder with all in it."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, UID, GID, follow_symlinks=False)


@contextmanager
def reachable_folder() -> Iterator[Path]:
    """Give a folder that every user can enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="owned-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def owned_copy(found: Installation) -> Iterator[Installation]:
    """Give a copy of an installation that belongs to the service's user."""
    with reachable_folder() as folder:
        copy = found.copy_to(folder / "data_dir")
        give_away(copy.data_dir)
        yield copy


class RootsFile:
    """A file of root's in a folder of root's; any change to it is found."""

    def __init__(self, folder: Path, content: bytes = PRECIOUS.encode()) -> None:
        folder.mkdir(exist_ok=True)
        self.path = folder / "precious"
        self.path.write_bytes(content)
        self.path.chmod(0o600)
        self.before = self.state()

    def state(self) -> tuple[object, ...]:
        found = self.path.lstat()
        names = sorted(os.listdir(self.path.parent))  # noqa: PTH208 - names
        return self.path.read_bytes(), found.st_mode, found.st_uid, found.st_gid, names

    def assert_untouched(self) -> None:
        assert self.state() == self.before


def by_root(found: Installation, *words: str, **environment: str) -> Outcome:
    """Run a command as root, in a process of its own."""
    return run_command("--data-dir", found.data_dir, "--json", *words, environment=environment)


def foreigners(folder: Path) -> list[str]:
    """Name what does not belong to the service's user."""
    return [
        str(path)
        for path in (folder, *folder.rglob("*"))
        if (path.lstat().st_uid, path.lstat().st_gid) != (UID, GID)
    ]


def replace_by(path: Path, kind: str, target: Path) -> None:
    """Put a link, a FIFO, a socket or a device in the place of a file or folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "link":
        path.symlink_to(target)
    elif kind == "link to nothing":
        path.symlink_to(target.with_name("nothing"))
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "socket":
        os.mknod(path, stat.S_IFSOCK | 0o600)
    else:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero: it never ends
