"""Sessions of a command on the global database, which is never upgraded by them."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from streamhub_orm import Databases
from streamhub_orm.engine.connections import lossy_text
from streamhub_orm.migrations.global_database import global_faults
from streamhub_orm.readable import in_time

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy.orm import Session

    from streamhub_orm.cli.options import Invocation


@contextmanager
def opened_databases(invocation: Invocation, doing: str) -> Iterator[Databases]:
    """Open the installation; bringing a database to head is another command's job."""
    with (
        Databases(invocation.root, auto_upgrade=False) as databases,
        global_faults(databases.place, doing),
    ):
        yield databases


@contextmanager
def global_session(
    invocation: Invocation, doing: str, *, read_only: bool = False
) -> Iterator[Session]:
    """Open a session on the global database."""
    with (
        opened_databases(invocation, doing) as databases,
        databases.global_session(read_only=read_only) as session,
        showing_all(session) if read_only else nullcontext(),
    ):
        yield session


@contextmanager
def showing_all(session: Session) -> Iterator[None]:
    """Let the session read texts that are no UTF-8 too: one such row must not hide the others."""
    driver = session.connection().connection.driver_connection
    with lossy_text(driver) if isinstance(driver, sqlite3.Connection) else nullcontext():
        yield


def shown_age(moment: datetime | None, now: datetime) -> str | None:
    """Return how long ago a time was, as tables show it: `3 h ago`."""
    return None if moment is None else f"{in_time(now - moment)} ago"


def shown_time(moment: datetime | None, timespec: str = "seconds") -> str | None:
    """Return a time as tables and JSON show it: `2026-01-31T12:00:00Z`."""
    return None if moment is None else moment.isoformat(timespec=timespec).replace("+00:00", "Z")
