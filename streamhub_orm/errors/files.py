"""Errors about one database file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamhub_orm.errors.base import StreamHubError, first_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


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
        shown = first_of(differences, "; ", 12)
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
