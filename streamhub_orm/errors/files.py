"""Errors about one database file or other file of an installation, and about its use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from streamhub_orm.errors.base import StreamHubError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class DatabaseFileError(StreamHubError):
    """Base of errors about one database file; it was left as it was found."""

    path: Path
    subject = "{path}"


class DatabaseFaultError(DatabaseFileError):
    """Base of errors about a database file whose texts come from where the fault was met."""

    found: str
    expected: str
    todo: str


class MissingDatabaseError(DatabaseFaultError):
    """Raised when there is no file at the path."""


class AppDatabaseLostError(DatabaseFileError):
    """Raised when an app had a database and has none now; no empty one is put in its place."""

    app: str
    backup: Path | None
    """The newest copy beside the place of the database; None where there is none."""
    found = "no rows, though app {app!r} had a database here"
    expected = "the database that it had"
    todo = (
        "Put it back from {copies} (`streamhub-db backup restore latest --app {app}`), or start "
        "the app anew without its rows (`streamhub-db upgrade --create-missing {app}`)."
    )
    public_message = "The app's database is not available."

    @property
    def copies(self) -> str:
        """Places where its rows may still be, in words."""
        return "an archive" if self.backup is None else f"{self.backup}, or from an archive"


class NotADatabaseError(DatabaseFaultError):
    """Raised when the path holds something else than a SQLite database in a regular file."""


class CorruptDatabaseError(DatabaseFaultError):
    """Raised when SQLite or an integrity check finds the file damaged."""


class LockedDatabaseError(DatabaseFaultError):
    """Raised when another held the file's write lock longer than the busy timeout."""

    may_be_repeated: ClassVar[bool] = True

    waited_seconds: float | None = None
    """Seconds that a statement waited in vain; None where that was not measured."""
    holder: str | None = None
    """Whoever holds it, in words; None where that is not known."""
    public_message = "The database is busy. Try again in a moment."


class ReadOnlyDatabaseError(DatabaseFaultError):
    """Raised when this user cannot write the file or its folder."""


class SpaceError(DatabaseFaultError):
    """Raised when the file system has not enough room for the backup or the new database."""


class NewerDatabaseError(DatabaseFaultError):
    """Raised when a later release than this one has written the file."""


class UnadoptedDatabaseError(DatabaseFaultError):
    """Raised when the file has no alembic_version yet; only an upgrade adopts a file."""


class DiskError(DatabaseFaultError):
    """Raised when the operating system reports a fault while the file is read or written."""


class NoLocksError(DatabaseFaultError):
    """Raised when the file system has no locks, without which two processes would collide."""


class InterruptedWriteError(DatabaseFaultError):
    """Raised when SQLite must roll back the journal of a killed writer before it can read."""


class DatabaseReplacedError(DatabaseFileError):
    """Raised when a session's file is no longer in its place; nothing of the session is kept."""

    may_be_repeated: ClassVar[bool] = True

    found = "that its file was removed, renamed or replaced while a session was under way on it"
    expected = "the file that the session began on"
    todo = "Nothing was committed. Do the work again in a new session, on what is there now."
    public_message = "The database was exchanged. Try again in a moment."


class SchemaOutdatedError(DatabaseFaultError):
    """Raised when the file is behind this release and the caller asked not to upgrade it."""


class BackupError(DatabaseFaultError):
    """Raised when no verified backup could be made, so that the work did not begin."""


class RowsLostError(DatabaseFileError):
    """Raised when a migration would commit other numbers of rows than it says it moves."""

    tables: Sequence[str]
    found = "{tables:; }"
    expected = "the rows that were there and those that were imported"
    todo = "Nothing was changed: all was rolled back. Report it with what -vv shows."


class MigrationFailedError(DatabaseFaultError):
    """Raised when SQLite refuses a statement of a migration or import; all is rolled back."""


class UncopyableDatabaseError(DatabaseFaultError):
    """Raised for an encoding, collation or column that SQLite cannot attach or copy the file by."""


class RollbackError(DatabaseFaultError):
    """Raised when the recorded pre-split backup cannot be put back."""


class UnknownStructureError(DatabaseFileError):
    """Raised when the tables fit no state that StreamHub databases are known in."""

    differences: Sequence[str]
    found = "a structure of no known StreamHub release ({differences:; })"
    expected = "the tables of schema steps 0 to 8 and their later additions"
    todo = "Undo the change to its tables or restore a backup, then run again."


class DataLossError(DatabaseFileError):
    """Raised when a downgrade would drop rows or values."""

    losses: Sequence[str]
    found = "data that the downgrade would drop: {losses:; }"
    expected = "nothing in the tables, columns and values that the older schema lacks"
    todo = (
        "Stay at this revision, or pass -x drop-rows=yes (alembic) or --drop-rows (streamhub-db) "
        "to give these rows up; the backup keeps them."
    )


class OtherFileSystemError(DatabaseFileError):
    """Raised when a restore would have to move the file from one file system to another."""

    folder: Path
    root: Path
    found = "{folder} on another file system than {root}"
    expected = "one file system, since files are renamed"
    todo = "Restore into a folder on that file system, then move the files."


class IrregularFileError(DatabaseFileError):
    """Raised when a link, a FIFO or a device lies where a file of the installation belongs."""

    kind: str
    wanted: str = "a regular file"
    found = "{kind}"
    expected = "{wanted}, as no link is followed inside an installation"
    todo = "Find out who put it there, move it away, then run again."


class LockFileError(DatabaseFileError):
    """Raised when another file lies in the place of the installation's lock file."""

    found = "a link, a second name of another file, or no regular file"
    expected = "the lock file of this installation, or nothing"
    todo = "Find out who put it there, move it away, then run again; nothing was touched."


class AppBusyError(DatabaseFileError):
    """Raised when an app cannot be deleted because its database is open."""

    name: str
    holder: str
    found = "it open in {holder}"
    expected = "nobody to use an app that is to be deleted"
    todo = "End its sessions, stop the server, and delete it again."
    public_message = "The app is in use. End what uses it, then try again."


class UnfinishedError(DatabaseFileError):
    """Raised when a fault comes after work was done that stays; the file is whole."""

    exit_code: ClassVar[int] = 1

    error: DatabaseFileError
    done: str
    next_step: str
    found = "{error.found}"
    expected = "{error.expected}"
    todo = "{done} {next_step}"


class HalfDoneError(StreamHubError):
    """Raised when a fault ends work that had begun to change files, and says how far it came."""

    exit_code: ClassVar[int] = 1

    error: StreamHubError
    new: Sequence[str]
    """What is as the work should make it."""
    old: Sequence[str]
    """What holds what it held before."""
    set_aside: Path | None
    """Where what was there before is kept, as far as it was replaced."""
    finish: str
    """The command that finishes the work."""
    undo: str | None
    """The command that undoes what was done; None where nothing was."""
    subject = "{error.subject}"
    found = "{error.found}"
    expected = "{error.expected}"
    todo = (
        "{error.todo} The work ended half way: new: {new:, }; as before: {old:, }{kept}. "
        "To finish it: {finish}{way_back}"
    )

    @property
    def kept(self) -> str:
        """The clause about what was set aside."""
        return f"; what was there is in {self.set_aside}" if self.set_aside else ""

    @property
    def way_back(self) -> str:
        """The sentence about how to undo what was done."""
        return f" ; to undo it: {self.undo}" if self.undo else ""

    @property
    def details(self) -> dict[str, Any]:
        """What the JSON document of a command says of it."""
        return {
            "half": {
                "new": list(self.new),
                "old": list(self.old),
                "set_aside": None if self.set_aside is None else str(self.set_aside),
                "finish": self.finish,
                "undo": self.undo,
            }
        }


class DatabaseInUseError(StreamHubError):
    """Raised when a file that is to be replaced is open in another process."""

    users: Sequence[str]
    found = "databases in use ({users:; })"
    expected = "to have them alone while they are replaced"
    todo = "Stop the server and whatever else uses them, then run again."


class UpgradeRunningError(StreamHubError):
    """Raised when another upgrade holds the installation's lock."""

    lock_path: Path
    holder: str
    subject = "{lock_path}"
    found = "it held by {holder}"
    expected = "no other upgrade of this installation"
    todo = "Wait until it ends, or pass --lock-timeout SECONDS to wait for it."
    public_message = "The service is being upgraded. Try again later."


class MaintenanceRunningError(StreamHubError):
    """Raised when this process is at work on the same database already. `name` is its app's."""

    name: str
    work: str
    """`optimize` or `purge`."""
    subject = "app {name!r}"
    found = "its {work} still running"
    expected = "one such work on a database at a time"
    todo = "Wait until it has ended, then ask again."
    public_message = "Its {work} is still running: only one can at a time."


class SplitCleanupError(StreamHubError):
    """Raised when global copies of moved rows must stay, as not all are where they belong."""

    global_db: Path
    findings: Sequence[str]
    more: int = 0
    subject = "{global_db}"
    found = "{findings:; }{unlisted}"
    expected = (
        "a finished split, and every row of the global streams, vods and ingress_auth in the "
        "app.db of its app"
    )
    todo = (
        "Nothing was touched. Upgrade first what is not upgraded. A row that is still wanted "
        "belongs into its app.db; one that was deleted there on purpose, or whose app is gone, can "
        "be deleted by hand from the global table. Then run again."
    )

    @property
    def unlisted(self) -> str:
        """The clause about rows that the findings leave out; empty where there are none."""
        return f"; {self.more} more rows are not listed" if self.more else ""
