"""Faults of a server, as errors of our tree: by SQLSTATE, or by what libpq says of a refusal."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import psycopg
import sqlalchemy as sa

from streamhub_orm.errors import (
    CommitInDoubtError,
    ConnectionLostError,
    ControlPlaneAccessError,
    ControlPlaneBusyError,
    ControlPlaneDemotedError,
    ControlPlaneFaultError,
    ControlPlaneFullError,
    ControlPlaneMissingError,
    ControlPlaneReadOnlyError,
    ControlPlaneStatementError,
    ControlPlaneUnreachableError,
    HiddenValueError,
    TransactionConflictError,
)
from streamhub_orm.postgresql.fence import FENCE_STATE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamhub_orm.errors import StreamHubError

_CONFLICTS: Final = frozenset({"40001", "40P01"})
_UNHELD: Final = frozenset({"22021", "22P05"})
"""A character that the database cannot hold, such as NUL."""
_BY_STATE: Final[dict[str, tuple[type[ControlPlaneFaultError], str, str]]] = {
    "25006": (
        ControlPlaneReadOnlyError,
        "a server that takes writes",
        "Name the primary server; after a failover that may be another one.",
    ),
    "53100": (
        ControlPlaneFullError,
        "room on its disk",
        "Make room on the server, then try again.",
    ),
    "53200": (ControlPlaneFullError, "memory for the statement", "Give the server more memory."),
    "53400": (
        ControlPlaneFullError,
        "no limit of the server to be reached",
        "Raise the limit that the message names.",
    ),
    "53300": (
        ControlPlaneBusyError,
        "a connection to be free",
        "Raise max_connections of the server, or open fewer processes; each keeps up to 8.",
    ),
    "55P03": (ControlPlaneBusyError, "a lock within lock_timeout", "Try again in a moment."),
    "57014": (
        ControlPlaneBusyError,
        "an answer within statement_timeout",
        "Raise statement_timeout, or look what the server is busy with (pg_stat_activity).",
    ),
    "25P03": (
        ConnectionLostError,
        "a statement within idle_in_transaction_session_timeout",
        "Nothing was committed. Keep sessions short, then do the work again.",
    ),
    "42P01": (
        ControlPlaneMissingError,
        "the tables of a control plane",
        "Set it up with `streamhub-db upgrade --global-url …`, or promote an installation.",
    ),
    "42501": (
        ControlPlaneAccessError,
        "a user who may do this",
        "Grant it, or connect as the owner of the database.",
    ),
}
_AT_CONNECT: Final = (
    (
        ("password authentication failed", "no password supplied", "authentication failed"),
        ControlPlaneAccessError,
        "a user and password that the server takes",
        "Correct the user or the password (PGPASSFILE, PGSERVICE or STREAMHUB_GLOBAL_URL).",
    ),
    (
        ("no pg_hba.conf entry", "is not permitted to log in", "does not exist"),
        ControlPlaneAccessError,
        "a user whom the server lets in",
        "Create the user, or let it in by pg_hba.conf.",
    ),
    (
        ("too many clients", "remaining connection slots", "too many connections"),
        ControlPlaneBusyError,
        "a connection to be free",
        "Raise max_connections of the server, or open fewer processes; each keeps up to 8.",
    ),
    (
        ("certificate", "SSL", "TLS"),
        ControlPlaneAccessError,
        "a connection by TLS as the URL asks for it",
        "Correct sslmode and its files.",
    ),
)


def standby_fault(error: psycopg.Error, server: str) -> StreamHubError:
    """Return our error for a server that cannot begin a transaction that writes."""
    kind, expected, todo = _BY_STATE["25006"]
    return kind(server, said_by(error), expected, todo)


def fault_of(
    error: psycopg.Error, server: str, *, during_commit: bool = False
) -> StreamHubError | None:
    """Return our error for one of the driver's; None for what is the statement's own fault."""
    state = error.sqlstate or ""
    named = _by_state(error, state, server)
    if named is None and _is_lost(error, state):
        if during_commit:
            return CommitInDoubtError(server)
        todo = "Nothing of this session was committed. Do the work again in a new one."
        return ConnectionLostError(server, said_by(error), "it to last", todo)
    return named


def _by_state(error: psycopg.Error, state: str, server: str) -> StreamHubError | None:
    if state in _CONFLICTS:
        return TransactionConflictError(server)
    if state in _UNHELD:
        return HiddenValueError("text that PostgreSQL can hold, without NUL", "other text")
    if state == FENCE_STATE:
        return ControlPlaneDemotedError(server, said_by(error))
    if state in _BY_STATE:
        kind, expected, todo = _BY_STATE[state]
        return kind(server, said_by(error), expected, todo)
    return None


def refusal_of(error: BaseException | None, server: str) -> ControlPlaneFaultError:
    """Return our error for a connection that did not come about."""
    said = said_by(error) if isinstance(error, psycopg.Error) else str(error)
    if "database" in said and "does not exist" in said:
        todo = "Create it, or correct the name of the database."
        return ControlPlaneMissingError(server, said, "a database of this name", todo)
    for words, kind, expected, todo in _AT_CONNECT:
        if any(word in said for word in words):
            return kind(server, said, expected, todo)
    todo = "Start the server, or correct host and port; then try again."
    return ControlPlaneUnreachableError(server, said, "a server that answers", todo)


@contextmanager
def told(server: str, doing: str) -> Iterator[None]:
    """Turn what the driver raises for a statement's own fault into one of our errors."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        said = said_by(error.orig) if isinstance(error.orig, psycopg.Error) else str(error.orig)
        raise ControlPlaneStatementError(
            server,
            f"{said} while {doing}",
            "every statement to succeed",
            "Correct what the message names, then try again.",
        ) from error


def said_by(error: psycopg.Error) -> str:
    """Return what the server or libpq said, in one line, without the values of a statement."""
    primary = error.diag.message_primary
    if primary:
        return primary
    lines = (line.strip().removeprefix("- ") for line in str(error).splitlines())
    said = next((line for line in lines if line and not line.startswith(_HEADINGS)), "")
    return _BEFORE_REASON.sub("", said) or type(error).__name__


_BEFORE_REASON: Final = re.compile(
    r"^(connection failed: |connection is bad: |consuming input failed: )?"
    r"(connection to server .*? failed: )?(FATAL:  )?"
)
"""What libpq says before the reason: host and port, which our errors name by themselves."""
_HEADINGS: Final = ("Multiple connection attempts failed", "Is the server running")
"""Lines of libpq around what happened."""


def _is_lost(error: psycopg.Error, state: str) -> bool:
    if state:
        return state.startswith(("08", "57P"))
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)


def hide_values(error: BaseException) -> None:
    """Take the values of rows, which the server tells as DETAIL, out of a driver's error."""
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        error.args = (error.diag.message_primary,)
