"""Errors about how `Databases` and its sessions are used."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from streamhub_orm.errors.base import StreamHubError

if TYPE_CHECKING:
    from pathlib import Path


class DatabasesClosedError(StreamHubError):
    """Raised when a `Databases` is used after `close()`."""

    found = "a Databases that is closed"
    expected = "one that is open"
    todo = "Open a new one."


class OpenAppsError(StreamHubError, ValueError):
    """Raised when a `Databases` is to keep fewer than one app open."""

    number: int
    subject = "max_open_apps"
    found = "{number}"
    expected = "1 or more"
    todo = "Leave it out for what the process's limit on open files affords."


class SessionEndedError(StreamHubError):
    """Raised when a session is used after its block, or after a commit or rollback inside it."""

    database: str
    subject = "{database}"
    found = "a session that has ended, whose connection may be another's by now"
    expected = "one whose block has not ended"
    todo = "Open a new session. What the old one loaded can still be read."


class SessionSharedError(StreamHubError):
    """Raised when two threads use one session at the same time. `path` is its database's."""

    path: Path
    subject = "{path}"
    found = "a session that another thread is using at this moment"
    expected = "one thread at a time"
    todo = "Open a session in each thread; it costs microseconds."


class AppsInUseError(StreamHubError):
    """Raised when all apps that may be open at once are in use, and none is freed in time."""

    may_be_repeated: ClassVar[bool] = True

    name: str
    limit: int
    seconds: float
    subject = "app {name!r}"
    found = "all of the {limit} apps that may be open at once in use for {seconds:g} s"
    expected = "one to be given back"
    todo = "End sessions sooner, or raise max_open_apps."
    public_message = "The service is busy. Try again in a moment."


class ConnectionsInUseError(StreamHubError):
    """Raised when all sessions that the limit on open files allows are open, and none ends."""

    may_be_repeated: ClassVar[bool] = True

    name: str
    limit: int
    seconds: float
    subject = "app {name!r}"
    found = "all of the {limit} sessions that may be open at once in use for {seconds:g} s"
    expected = "one to end"
    todo = (
        "End sessions sooner, do not open one inside another, or raise the process's limit on open "
        "files."
    )
    public_message = "The service is busy. Try again in a moment."


class ForkedInSessionError(StreamHubError):
    """Raised when the process was forked while its parent was in a session on the database.

    `path` is the file's.
    """

    path: Path
    subject = "{database}"
    found = "a session under way in the parent when it forked"
    expected = "none, since SQLite would lose what this process writes"
    todo = "Fork outside of sessions, or start a new process."

    @property
    def database(self) -> str:
        """The database that this process cannot use."""
        if self.path.name == "app.db":
            return f"app {self.path.parent.name!r}"
        return "the global database" if self.path.name == "streamhub.db" else str(self.path)


class ForkedAmidThreadsError(StreamHubError):
    """Raised when the process was forked while other threads of its parent used databases."""

    found = "a process that was forked while other threads of its parent were using databases"
    expected = "none to, since the locks inside SQLite that they held are never released here"
    todo = (
        "Start a new process (subprocess, or multiprocessing with spawn or forkserver), or fork "
        "while no thread uses a database."
    )


class StrayRowError(StreamHubError):
    """Raised when a row of one app's database would be written into another's.

    `owner` is whose the `row` is, and `home` whose session refused it.
    """

    exit_code: ClassVar[int] = 1

    row: str
    owner: str
    home: str
    subject = "{row}"
    found = "a row of {owner}"
    expected = "one of {home}, as this is its session"
    todo = "Write it in a session of {owner}; to copy it, make a new object."
