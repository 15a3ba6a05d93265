"""Errors about the move of the global database from its file to a server, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from streamhub_orm.errors.control_plane import ControlPlaneError
from streamhub_orm.errors.files import DatabaseFileError

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNAVAILABLE = "The service is not available. Try again in a moment."


class UnheldRow(NamedTuple):
    """A row that the other side cannot hold; its values are not shown."""

    table: str
    key: dict[str, object]
    column: str
    reason: str

    def __str__(self) -> str:
        """Name the row by table and key."""
        key = ", ".join(f"{name} {value!r}" for name, value in self.key.items())
        return f"{self.table} {key}: {self.column} is {self.reason}"


class PromotedDatabaseError(DatabaseFileError):
    """Raised when the global database is on a server, and its file is to be used instead.

    The file still holds what it held at the promotion, and takes no writes any more.
    """

    fence: str
    """What the file says to whoever writes to it: `promoted to postgresql://…`, or `being …`."""
    found = "it {fence}"
    expected = "the global database to be in this file"
    todo = (
        "Set STREAMHUB_GLOBAL_URL to that server. `streamhub-db global status` says how far a "
        "promotion is; `global promote` finishes one, `global demote` is the way back."
    )
    public_message = _UNAVAILABLE


class PromotionError(DatabaseFileError):
    """Raised when the global database cannot be moved from its file, or into it."""

    found: str
    expected: str
    todo: str


class UnheldRowsError(DatabaseFileError):
    """Raised when the other side cannot hold some rows; `rows` are the first of each table."""

    rows: Sequence[UnheldRow]
    more: int
    """How many there are besides."""
    other: str = "PostgreSQL"
    found = "rows that {other} cannot hold: {rows:; }{unlisted}"
    expected = "rows that both hold"
    todo = "Nothing was moved. Correct or delete these rows, then run again."

    @property
    def unlisted(self) -> str:
        """The clause about rows that are not listed; empty where there are none."""
        return f"; {self.more} more" if self.more else ""

    @property
    def details(self) -> dict[str, Any]:
        """What the JSON document of a command says of it."""
        return {"rows": [row._asdict() for row in self.rows], "more": self.more}


class ControlPlaneTakenError(ControlPlaneError):
    """Raised when a database holds something, and a promotion needs one that holds nothing."""

    found: str
    expected = "an empty database, or a control plane without a row"
    todo = "Nothing was changed. Name another database: CREATE DATABASE makes one."


class ControlPlaneDemotedError(ControlPlaneError):
    """Raised when the global database has left the server for a file again, or is leaving it."""

    fence: str
    """What the database says to whoever writes to it: `demoted to …`, or `being demoted to …`."""
    found = "it {fence}"
    expected = "the global database to be on this server"
    todo = (
        "Unset STREAMHUB_GLOBAL_URL. `streamhub-db global status` says how far a demotion is; "
        "`global demote` finishes one."
    )


class CopyDiffersError(ControlPlaneError):
    """Raised when what was copied is not what was read; the copy was given up."""

    exit_code: ClassVar[int] = 1

    tables: Sequence[str]
    found = "a copy that differs from its source ({tables:; })"
    expected = "the same rows"
    todo = "The copy was given up, and nothing is lost. Report it; check memory and disks."
