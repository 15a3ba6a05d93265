"""Every error this package raises on purpose: one tree, data as attributes.

A message names the file, says what was found and what was expected, and ends with what to do.
`exit_code` is the exit status that a command ends with when the error stops it as a whole:
3 means that nothing was touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class StreamHubError(Exception):
    """Base of all errors of this package; `str()` of it is fit for an operator's eyes."""

    exit_code: ClassVar[int] = 3


class StoredValueError(StreamHubError, ValueError):
    """A stored or bound value does not have the form that its column holds."""

    def __init__(self, kind: str, value: object) -> None:
        """Keep the `kind` of value that was expected and the `value` that was found."""
        super().__init__(f"expected {kind}, found {value!r}")
        self.kind = kind
        self.value = value


# --- where the installation lies ------------------------------------------------------------


class DataDirError(StreamHubError):
    """The folder given as DATA_DIR is not one usable StreamHub installation."""

    def __init__(self, path: Path, found: str, expected: str, todo: str) -> None:
        """Keep the folder, what was `found` there, what was `expected` and what `todo`."""
        super().__init__(f"{path}: found {found}; expected {expected}. {todo}")
        self.path = path
        self.found = found
        self.expected = expected
        self.todo = todo


class DemoTargetError(StreamHubError):
    """The demo installation is asked for in a folder that already holds something."""

    def __init__(self, path: Path) -> None:
        """Keep the folder."""
        super().__init__(
            f"{path}: found a folder that is not empty; expected a new or empty one for the demo "
            "installation. Name another folder.",
        )
        self.path = path


class AppNameError(StreamHubError):
    """A name that no app can have; names are an allow-list, so nothing else reaches a path."""

    def __init__(self, name: object, where: str) -> None:
        """Keep the name and `where` it was read."""
        super().__init__(
            f"{where}: found the app name {name!r}; expected 3 to 32 characters a-z, 0-9 and -, "
            "beginning and ending with a letter or digit. Rename the app or correct the name.",
        )
        self.name = name


class UnknownAppError(StreamHubError):
    """The app is not in the registry, the global table `apps`."""

    def __init__(self, name: str, registry: Path, known: Sequence[str]) -> None:
        """Keep the name, the global database and the names that are registered there."""
        shown = _first(known, ", ", 20)
        super().__init__(
            f"{registry}: no app {name!r} in its table apps, found {shown or 'no apps at all'}. "
            "Name a registered app, or create it first.",
        )
        self.name = name
        self.registry = registry
        self.known = tuple(known)


class UnknownRevisionError(StreamHubError):
    """The revision is in neither history, or not on the way that was asked for."""

    def __init__(self, revision: str, world: str, reason: str) -> None:
        """Keep the revision, the history's name and Alembic's own words."""
        super().__init__(
            f"{revision!r} is no revision of the {world} history that can be reached: {reason}. "
            "`streamhub-db history` lists them.",
        )
        self.revision = revision
        self.world = world


# --- one database file ----------------------------------------------------------------------


class DatabaseFileError(StreamHubError):
    """Something is wrong with one database file; it was left as it was found."""

    def __init__(self, path: Path, found: str, expected: str, todo: str) -> None:
        """Keep the file, what was `found`, what was `expected` and what `todo`."""
        super().__init__(path, found, expected, todo)
        self.path = path
        self.found = found
        self.expected = expected
        self.todo = todo

    def __str__(self) -> str:
        """Name the file, what was found, what was expected and what to do."""
        return f"{self.path}: found {self.found}; expected {self.expected}. {self.todo}"


class MissingDatabaseError(DatabaseFileError):
    """There is no file at the path."""


class NotADatabaseError(DatabaseFileError):
    """The path holds something else than a SQLite database in a regular file."""


class CorruptDatabaseError(DatabaseFileError):
    """SQLite finds the file damaged, or an integrity check does."""


class LockedDatabaseError(DatabaseFileError):
    """Another process held the file's write lock for longer than the busy timeout."""


class ReadOnlyDatabaseError(DatabaseFileError):
    """The file or its folder cannot be written by this user."""


class SpaceError(DatabaseFileError):
    """The file system has not enough room for the backup or for the new database."""


class NewerDatabaseError(DatabaseFileError):
    """The file was written by a later release than this one."""


class UnknownStructureError(DatabaseFileError):
    """The tables fit no state that StreamHub databases are known in; `differences` lists why."""

    def __init__(self, path: Path, differences: Sequence[str]) -> None:
        """Keep the file and the differences, one line each."""
        shown = _first(differences, "; ", 12)
        super().__init__(
            path,
            f"a structure of no known StreamHub release ({shown})",
            "the tables of schema steps 0 to 8 and their later additions",
            "Undo the change to its tables or restore a backup, then run again.",
        )
        self.differences = tuple(differences)


class UnadoptedDatabaseError(DatabaseFileError):
    """The file has no alembic_version yet, and only an upgrade adopts a file."""


class DiskError(DatabaseFileError):
    """The operating system reported a fault while the file was read or written."""


class InterruptedWriteError(DatabaseFileError):
    """A killed writer left a journal; SQLite must roll it back before the file can be read."""


class SchemaOutdatedError(DatabaseFileError):
    """The file is behind this release and the caller asked not to upgrade it."""


class BackupError(DatabaseFileError):
    """No verified backup could be made, so the work did not begin."""


class DataLossError(DatabaseFileError):
    """A downgrade would drop rows or values; `losses` lists them."""

    def __init__(self, path: Path, losses: Sequence[str]) -> None:
        """Keep the file and the losses, one line each."""
        super().__init__(
            path,
            "data that the downgrade would drop: " + "; ".join(losses),
            "nothing in the tables, columns and values that the older schema lacks",
            "Stay at this revision, or pass -x drop-rows=yes (alembic) or --drop-rows "
            "(streamhub-db) to give these rows up; the backup keeps them.",
        )
        self.losses = tuple(losses)


class MigrationFailedError(DatabaseFileError):
    """SQLite refused a statement of the migration or import; all of it was rolled back."""


# --- a whole run ----------------------------------------------------------------------------


class UpgradeRunningError(StreamHubError):
    """Another upgrade holds the installation's lock."""

    def __init__(self, lock_path: Path, holder: str) -> None:
        """Keep the lock's path and what the holder wrote into it."""
        super().__init__(
            f"{lock_path}: held by {holder}; expected no other upgrade of this installation. "
            "Wait until it ends, or pass --lock-timeout SECONDS to wait for it.",
        )
        self.lock_path = lock_path
        self.holder = holder


class RollbackError(DatabaseFileError):
    """The recorded pre-split backup cannot be put back."""


class AppsInUseError(StreamHubError):
    """Every app that may be open at once is in use, and none was given back in time."""

    def __init__(self, name: str, limit: int, seconds: float) -> None:
        """Keep the app that was asked for, the limit, and how long was waited."""
        super().__init__(
            f"app {name!r} cannot be opened: all of the {limit} apps that may be open at once have "
            f"been in use for {seconds:g} s. End sessions sooner, or raise max_open_apps.",
        )
        self.name = name
        self.limit = limit


class ForkedInSessionError(StreamHubError):
    """The process was forked while its parent was inside a session on the same database."""

    def __init__(self, name: str) -> None:
        """Keep the app's name; empty for the global database."""
        super().__init__(
            f"{f'app {name!r}' if name else 'the global database'} cannot be used in this process: "
            "found a session under way in the parent when it forked; expected none, since SQLite "
            "would lose what this process writes. Fork outside of sessions, or start a new process."
        )
        self.name = name


class UnforeseenError(StreamHubError):
    """Something that no part of this package foresaw: its message is all that an operator sees."""

    exit_code: ClassVar[int] = 1

    def __init__(self, error: Exception) -> None:
        """Keep the error."""
        super().__init__(
            f"found {type(error).__name__}: {error}; expected no such fault. What was done is "
            "whole; run the same command again, and report it with what -vv shows."
        )
        self.error = error


class DatabasesClosedError(StreamHubError):
    """A `Databases` was used after `close()`."""

    def __init__(self) -> None:
        """Take no data: there is nothing to tell but the order of calls."""
        super().__init__("this Databases is closed; open a new one")


def _first(items: Sequence[str], separator: str, limit: int) -> str:
    """Join the first items and say how many more there are."""
    more = [f"and {len(items) - limit} more"] if len(items) > limit else []
    return separator.join([*items[:limit], *more])
