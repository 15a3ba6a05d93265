"""Errors about the control plane: the global database where it is kept on a PostgreSQL server."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from streamhub_orm.errors.base import StreamHubError

if TYPE_CHECKING:
    from collections.abc import Sequence


class GlobalUrlError(StreamHubError, ValueError):
    """Raised for a URL that cannot name the global database.

    The URL is not shown: it may hold a password.
    """

    exit_code: ClassVar[int] = 2

    source: str
    found: str
    subject = "{source}"
    expected = "postgresql+psycopg://USER@HOST/DATABASE"
    todo = (
        "Correct it. A password goes into STREAMHUB_GLOBAL_URL, a password file (PGPASSFILE) or a "
        "service file (PGSERVICE), never into an argument."
    )


class ControlPlaneError(StreamHubError):
    """Base of errors about a control plane on a server; `server` names it without a password."""

    server: str
    subject = "{server}"
    public_message = "The service is not available. Try again in a moment."


class ControlPlaneFaultError(ControlPlaneError):
    """Base of those whose texts come from where the fault was met."""

    found: str
    expected: str
    todo: str


class ControlPlaneUnreachableError(ControlPlaneFaultError):
    """Raised when the server cannot be reached, or is not ready yet."""

    may_be_repeated: ClassVar[bool] = True


class ControlPlaneAccessError(ControlPlaneFaultError):
    """Raised when the server lets this user not in, or not do this."""


class ControlPlaneMissingError(ControlPlaneFaultError):
    """Raised when the server has no such database, or it is not set up as a control plane."""


class ForeignControlPlaneError(ControlPlaneFaultError):
    """Raised when the database is another program's."""


class ControlPlaneNewerError(ControlPlaneFaultError):
    """Raised when a later release than this one has written the database."""


class ControlPlaneOutdatedError(ControlPlaneFaultError):
    """Raised when the database is not at head, and may not be upgraded on the way."""


class ControlPlaneReadOnlyError(ControlPlaneFaultError):
    """Raised when the server takes no writes: it is a standby, or set to read-only."""


class ControlPlaneFullError(ControlPlaneFaultError):
    """Raised when the server has no room left, on its disk or in its memory."""


class ControlPlaneBusyError(ControlPlaneFaultError):
    """Raised when the server has no connection free, or took longer than it may."""

    may_be_repeated: ClassVar[bool] = True


class ControlPlaneStatementError(ControlPlaneFaultError):
    """Raised when the server refuses a statement of a command."""


class ConnectionLostError(ControlPlaneFaultError):
    """Raised when the connection ended amid a session; nothing of the session was committed."""

    may_be_repeated: ClassVar[bool] = True


class CommitInDoubtError(ControlPlaneError):
    """Raised when the connection ended during a commit: it may or may not have been carried out."""

    found = "the connection to have ended before the server answered a commit"
    expected = "an answer"
    todo = "Look whether what was written is there before it is done again."


class TransactionConflictError(ControlPlaneError):
    """Raised when two transactions could not both be carried out; nothing of this one was."""

    may_be_repeated: ClassVar[bool] = True

    found = "another transaction that changed what this one has read or wants to write"
    expected = "none at the same time"
    todo = "Do the work again in a new session; `streamhub_orm.retrying` does so."


class ControlPlaneDataLossError(ControlPlaneError):
    """Raised when a downgrade would take away what somebody has written."""

    losses: Sequence[str]
    found = "{losses:; } that the downgrade would drop"
    expected = "no rows or values to be lost"
    todo = "Back them up, then add -x drop-rows=yes (--drop-rows) to lose them."


class ControlPlaneRowsError(ControlPlaneError):
    """Raised when a restore would replace rows of a control plane that nobody gave up by name."""

    tables: Sequence[str]
    database: str
    found = "a control plane in use, with other rows than the backup: {tables:, }"
    expected = "one without a row, or the word to replace them"
    todo = (
        "Nothing was touched. With --keep-global they stay, as for a node that was lost; with "
        "--replace-server {database} they are replaced, and set aside in a file before."
    )


class NoGlobalFileError(ControlPlaneError):
    """Raised when a command about the file of the global database meets one on a server."""

    command: str
    todo: str
    found = "the global database on a server"
    expected = "one in a file, as `{command}` is about that file alone"
