"""Paths of an installation, and the names that an app may have.

Two layouts are in use: `DATA_DIR/data/streamhub.db`, the only one that the Node core reads, and
`DATA_DIR/streamhub.db`, which restored archives produce. Everything else is the same in both.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streamhub_orm.durable_files import irregularity, kind_of
from streamhub_orm.errors import (
    AppNameError,
    DataDirError,
    IrregularFileError,
    NotADatabaseError,
    ReadOnlyDatabaseError,
)
from streamhub_orm.owner import give_back, require_owner
from streamhub_orm.server_url import ServerUrl

if TYPE_CHECKING:
    from collections.abc import Iterator

APP_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,30}[a-z0-9]")
GLOBAL_DB_NAME: Final = "streamhub.db"
_KEEP_ONE: Final = (
    f"The server reads data/{GLOBAL_DB_NAME} alone, and makes an empty one beside a restored "
    f"{GLOBAL_DB_NAME}: keep the one that holds the rows, as data/{GLOBAL_DB_NAME}, and move the "
    "other one out of this folder."
)
ASIDE: Final = "pre-restore-"
"""Begin of the name of a folder that holds what a restore has replaced."""
_AS_OWNER: Final = "Run as the owner of the installation (or with sudo), then run again."


def require_app_name(name: object, where: str = "the name given") -> None:
    """Raise `AppNameError` unless `name` is of the form `^[a-z0-9][a-z0-9-]{1,30}[a-z0-9]$`."""
    if not isinstance(name, str) or APP_NAME.fullmatch(name) is None:
        raise AppNameError(name, where)


@dataclass(frozen=True)
class DataDir:
    """The paths of one installation. `find()` looks at the disk; the rest only computes paths."""

    root: Path
    """Absolute path of DATA_DIR."""
    global_db: Path
    """Absolute path of the global database, whether it exists or not."""
    global_url: ServerUrl | None = None
    """Server that holds the global database instead: the control plane of all nodes."""

    @classmethod
    def find(cls, root: Path | DataDir, global_url: ServerUrl | None = None) -> DataDir:
        """Find the installation in `root`, in either layout; one that was found stays as it is.

        Without `global_url`, STREAMHUB_GLOBAL_URL says whether its global database is on a server;
        then none has to be here.

        Raises `DataDirError` where there is none, where there are two, and where `root` is the
        inner folder of the nested layout. Raises `ForeignOwnerError` where root works in somebody
        else's, `IrregularFileError` for a link or no regular file where one belongs, and
        `GlobalUrlError`.
        """
        if isinstance(root, DataDir):
            return root
        url = global_url or ServerUrl.load()
        root = _absolute(root)
        require_owner(root)
        for each in (root / "data", root / "apps"):
            kind = irregularity(each)
            if kind not in {None, "a folder"}:
                raise IrregularFileError(each, str(kind), "a folder")
        nested, flat = root / "data" / GLOBAL_DB_NAME, root / GLOBAL_DB_NAME
        try:
            fault = _fault(root, nested, flat) if url is None else _fault_of_node(root)
        except PermissionError as error:
            found = f"a folder that this user may not enter ({nested.parent} or {root})"
            todo = "Run as the owner of the installation, or with sudo."
            raise DataDirError(root, found, "one that this user can look into", todo) from error
        if fault is not None:
            raise DataDirError(root, *fault)
        global_db = nested if os.path.lexists(nested) else flat
        kind = irregularity(global_db)
        if kind is not None:
            raise IrregularFileError(global_db, kind)
        if url is not None and not _is_there(global_db):
            global_db = nested
        return cls(root, global_db, url)

    @classmethod
    def fresh(cls, root: Path, global_url: ServerUrl | None = None) -> DataDir:
        """Return the nested layout in `root`, for an installation that is yet to be made."""
        root = _absolute(root)
        require_owner(root)
        return cls(root, root / "data" / GLOBAL_DB_NAME, global_url or ServerUrl.load())

    @cached_property
    def apps(self) -> Path:
        """The folder that holds one folder per app."""
        return self.root / "apps"

    @property
    def global_name(self) -> str:
        """The global database in words: the path of its file, or its server without a password."""
        return str(self.global_url or self.global_db)

    @property
    def lock_path(self) -> Path:
        """The file whose flock admits one upgrade at a time; it is never removed."""
        return self.global_db.with_name(self.global_db.name + ".lock")

    @property
    def secrets(self) -> Path:
        """The file that holds the keys of the object stores (0600), beside the global database."""
        return self.global_db.with_name("secrets.json")

    def app_folder(self, name: str) -> Path:
        """Return the app's folder; raise `AppNameError` for a name outside the allow-list."""
        require_app_name(name)
        return self.apps / name

    def app_db(self, name: str) -> Path:
        """Return the path of the app's database, existing or not.

        Raises `AppNameError`; `NotADatabaseError` for a folder, a link or a special file.
        """
        path = self.app_folder(name) / "app.db"
        self._check_contained(path)
        return path

    def legacy_db(self, name: str) -> Path:
        """Return the path of the app's legacy vods.db, existing or not."""
        path = self.app_folder(name) / "vods.db"
        self._check_contained(path)
        return path

    def app_config(self, name: str) -> Path:
        """Return the path of the app's config.yaml, existing or not.

        Raises `AppNameError`; `IrregularFileError` for a link and for what is no regular file.
        """
        path = self.app_folder(name) / "config.yaml"
        self.require_regular(path)
        return path

    def require_no_link(self, path: Path) -> None:
        """Raise `IrregularFileError` for a link on the way from `root` to `path`, if it is inside.

        A path outside of the installation is the operator's own, and he may use links.
        """
        inside = [each for each in (path, *path.parents) if self.root in each.parents]
        for each in reversed(inside):
            if each.is_symlink():
                raise IrregularFileError(each, f"a link to {each.readlink()}", "no link")
            if each != path and not each.is_dir() and each.exists():
                raise IrregularFileError(each, irregularity(each) or "a file", "a folder")

    def require_regular(self, path: Path) -> None:
        """Raise `IrregularFileError` for a link on the way, and for what is no regular file."""
        self.require_no_link(path)
        kind = irregularity(path)
        if kind is not None:
            raise IrregularFileError(path, kind)

    def unregistered(self, registered: set[str]) -> Iterator[str]:
        """Yield, sorted, the folders under apps/ that have an app.db but no registry row.

        Hidden ones are on their way out: what a killed deletion left.
        """
        if not self.apps.is_dir():
            return
        with os.scandir(self.apps) as entries:
            names = sorted(entry.name for entry in entries if entry.name not in registered)
        for name in names:
            # Not Path.is_file(), which raises for a folder that this user may not enter.
            if not name.startswith(".") and os.path.isfile(self.apps / name / "app.db"):  # noqa: PTH113
                yield name

    def _check_contained(self, path: Path) -> None:
        """Refuse a link in the place of the app's folder or file, and all but a regular file."""
        for entry in (path.parent, path):
            try:
                mode = os.lstat(entry).st_mode
            except (FileNotFoundError, NotADirectoryError):
                return
            except PermissionError as error:
                raise ReadOnlyDatabaseError(
                    path,
                    f"a folder that this user may not enter ({path.parent})",
                    "a file and folder that this user can read and write",
                    give_back(path) or _AS_OWNER,
                ) from error
            if entry != path and not stat.S_ISDIR(mode) and not stat.S_ISLNK(mode):
                found, todo = f"{entry}, which is no folder", "Move it away, then run again."
                raise NotADatabaseError(path, found, "the app's own folder", todo)
            if stat.S_ISLNK(mode):
                raise NotADatabaseError(
                    path,
                    f"a link: {entry} -> {entry.readlink()}",
                    "the app's own folder and file, as no link is followed",
                    "Move the real one here, then run again.",
                )
        if not stat.S_ISREG(mode):
            todo = "Move it away, then run again."
            raise NotADatabaseError(path, kind_of(mode), "a SQLite database file", todo)


def _absolute(root: Path) -> Path:
    """Return the absolute path; SQLite and JSON take it as text, so it has to be UTF-8."""
    path = os.path.abspath(root)  # noqa: PTH100 - resolve() would follow links
    shown = os.fsencode(path).decode(errors="backslashreplace")
    if os.fsencode(shown) != os.fsencode(path):
        todo = "Rename the folder, or give it a link with another name."
        raise DataDirError(Path(shown), "a name that is no UTF-8", "a path in UTF-8", todo)
    return Path(path)


def _fault(root: Path, nested: Path, flat: Path) -> tuple[str, str, str] | None:
    """Return what was found, what was expected and what to do; None for one installation."""
    if not root.is_dir():
        found = "a file, not a folder" if root.exists() else "no such folder"
        return found, "the folder of an installation", "Pass --data-dir or set DATA_DIR."
    if _is_there(nested) and _is_there(flat):
        return (
            f"two global databases, {flat.name} and data/{nested.name}",
            "one of the two layouts",
            _KEEP_ONE,
        )
    if _is_there(flat) and not (root / "apps").exists() and (root.parent / "apps").is_dir():
        return (
            f"{flat.name} without apps/ beside it, while {root.parent} has apps/",
            "the folder that holds apps/, not the inner one",
            f"Pass {root.parent} instead.",
        )
    if not _is_there(nested) and not _is_there(flat):
        return (
            f"neither data/{GLOBAL_DB_NAME} nor {GLOBAL_DB_NAME}",
            "a StreamHub installation",
            "Check the path, or make a new installation with `streamhub-db init`.",
        )
    return None


def _fault_of_node(root: Path) -> tuple[str, str, str] | None:
    """Return what is wrong with a folder whose global database is on a server; None for nothing."""
    if (root / "apps").is_dir():
        return None
    todo = "Check the path, or make a node of the installation with `streamhub-db init`."
    return "no folder apps", "a StreamHub installation", todo


def _is_there(path: Path) -> bool:
    """Tell whether anything has this name; raise where this user may not see that."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
