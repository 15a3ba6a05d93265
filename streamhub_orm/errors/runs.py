"""Errors about a whole run, and about the use of `Databases`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from streamhub_orm.errors.base import StreamHubError
from streamhub_orm.errors.files import DatabaseFileError

if TYPE_CHECKING:
    from pathlib import Path


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


class LockFileError(DatabaseFileError):
    """What lies in the place of the installation's lock file is none of ours."""

    def __init__(self, path: Path) -> None:
        """Keep the path of the lock."""
        super().__init__(
            path,
            "a link, a second name of another file, or no regular file",
            "the lock file of this installation, or nothing",
            "Find out who put it there, move it away, then run again; nothing was touched.",
        )


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


class ConnectionsInUseError(StreamHubError):
    """As many sessions as the limit on open files allows are open, and none ended in time."""

    def __init__(self, name: str, limit: int, seconds: float) -> None:
        """Keep the app that was asked for, the number of sessions, and how long was waited."""
        super().__init__(
            f"app {name!r} cannot be used: all of the {limit} sessions that may be open at once "
            f"have been in use for {seconds:g} s. End sessions sooner, do not open one inside "
            "another, or raise the process's limit on open files.",
        )
        self.name = name
        self.limit = limit


class UnfinishedError(DatabaseFileError):
    """A fault came after the work began: what is done is whole, and `done` says how far it is."""

    exit_code: ClassVar[int] = 1

    def __init__(self, error: DatabaseFileError, done: str, todo: str) -> None:
        """Keep file and fault of `error`, what was `done` by then, and what `todo`."""
        super().__init__(error.path, error.found, error.expected, f"{done} {todo}")
        self.done = done


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
