"""Secrets that a client bears: random texts, their stored hashes, and marks of their last use.

A mark is kept to the minute, so that what is used all the time is not written all the time.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from streamhub_orm.errors import StoredValueError
from streamhub_orm.schema import ComparableTime, comparable, utc_from_text

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["LastUse", "hash_of", "is_due", "new_secret"]

_KEPT_FOR: Final = timedelta(minutes=1)
"""Time for which a mark is fresh; one that is further ahead was written by a clock gone wrong."""


def new_secret(size_bytes: int = 32) -> str:
    """Return so many random bytes in base64url."""
    return secrets.token_urlsafe(size_bytes)


def hash_of(secret: str) -> str:
    """Return the SHA-256 of a secret in hex, as it is stored."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


class LastUse:
    """The mark of last use in a column of a table, found by the table's key."""

    def __init__(self, table: sa.Table, mark: str) -> None:
        """Build the one statement that moves a mark, and does nothing where it is fresh."""
        (key,) = table.primary_key
        column = table.c[mark]
        stale = sa.or_(
            column.is_(None),
            comparable(column) <= sa.bindparam("stale_at", type_=ComparableTime()),
            comparable(column) >= sa.bindparam("ahead_at", type_=ComparableTime()),
        )
        self._move = (
            sa.update(table)
            .where(key == sa.bindparam("row"), stale)
            .values({column: sa.bindparam("used_at")})
        )

    def move(self, session: Session, key: object, now: datetime) -> bool:
        """Write `now` where the mark is older than a minute; tell whether it was.

        Takes a session that can write. `is_due` tells beforehand, without a statement.
        """
        parameters = {
            "row": key,
            "used_at": now,
            "stale_at": now - _KEPT_FOR,
            "ahead_at": now + _KEPT_FOR,
        }
        moved: sa.CursorResult[Any] = session.connection().execute(self._move, parameters)
        return moved.rowcount > 0


def is_due(stored: str | None, now: datetime) -> bool:
    """Tell whether a mark, as it is stored in either format, is to be moved."""
    if stored is None:
        return True
    try:
        return abs(now - utc_from_text(stored)) >= _KEPT_FOR
    except StoredValueError:
        return True
