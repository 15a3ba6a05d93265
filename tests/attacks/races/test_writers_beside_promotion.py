"""Whoever writes all the while through a promotion: what he has committed is on the server."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from streamhub_orm import Databases
from streamhub_orm.errors import (
    ControlPlaneTakenError,
    PromotedDatabaseError,
    TransactionConflictError,
    UpgradeRunningError,
)
from streamhub_orm.global_db import ServerLog
from streamhub_orm.promotion.demote import demote
from streamhub_orm.promotion.promote import Promotion, promote
from tests.promotion.contents import fill, rows_of_file
from tests.support import figures

if TYPE_CHECKING:
    from streamhub_orm.testing.plugin import MakeStreamHub
    from tests.promotion.conftest import Sides

_WRITER: Final = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
connection.execute("PRAGMA journal_mode = WAL")
number = 0
while True:
    number += 1
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "INSERT INTO server_logs (level, message) VALUES ('info', ?)", (f"plain {number}",))
        connection.execute("UPDATE ip_bans SET offense_count = ?", (number,))
        connection.execute("COMMIT")
    except sqlite3.IntegrityError as error:
        print(error)
        break
    print(number, flush=True)
"""


class SessionWriter(threading.Thread):
    """Commits a line of the log again and again, by a session each, until that is refused."""

    def __init__(self, databases: Databases) -> None:
        super().__init__()
        self._databases = databases
        self.committed: list[str] = []
        self.error: Exception | None = None

    def run(self) -> None:
        for number in range(1_000_000):
            message = f"session {number}"
            try:
                with self._databases.global_session() as session:
                    session.add(ServerLog(level="info", message=message))
            except Exception as error:  # noqa: BLE001 - the test looks which
                self.error = error
                return
            self.committed.append(message)


def messages_on(databases: Databases, prefix: str) -> list[str]:
    query = sa.select(ServerLog.message).where(ServerLog.message.startswith(prefix))
    with databases.global_session(read_only=True) as session:
        return list(session.scalars(query.order_by(ServerLog.id)))


def test_what_was_committed_until_the_fence_is_on_the_server(sides: Sides) -> None:
    command = [sys.executable, "-c", _WRITER, str(sides.file)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as plain,
        Databases(sides.root) as databases,
    ):
        writer = SessionWriter(databases)
        writer.start()
        assert plain.stdout is not None
        first = [plain.stdout.readline() for _ in range(5)]
        promote(sides.root, sides.url)
        writer.join(timeout=60)
        *committed, words = [*first, *plain.stdout.read().splitlines()]
    assert isinstance(writer.error, PromotedDatabaseError), writer.error
    assert "promoted to postgresql://" in words
    figures.count("commits beside promotions", len(committed) + len(writer.committed))
    with Databases(sides.root, global_url=sides.text) as databases:
        assert messages_on(databases, "session ") == writer.committed
        found = messages_on(databases, "plain ")
    assert found == [f"plain {number.strip()}" for number in committed]
    assert [row for row in rows_of_file(sides.file)["ip_bans"] if len(committed) in row]


def test_who_writes_on_the_server_finds_his_commits_in_the_file(sides: Sides) -> None:
    promote(sides.root, sides.url)
    with Databases(sides.root, global_url=sides.text) as databases:
        writers = [SessionWriter(databases) for _ in range(2)]
        for number, writer in enumerate(writers):
            writer.name = f"w{number}"
            writer.start()
        while not all(writer.committed for writer in writers):
            threading.Event().wait(0.01)
        demote(sides.root, sides.url)
        for writer in writers:
            writer.join(timeout=60)
    for writer in writers:
        assert "demoted to" in str(writer.error), writer.error
    with Databases(sides.root) as databases:
        found = messages_on(databases, "session ")
    assert sorted(found) == sorted(it for writer in writers for it in writer.committed)


def test_of_two_promotions_of_one_installation_one_does_it(sides: Sides) -> None:
    outcomes = race(lambda: promote(sides.root, sides.url), lambda: promote(sides.root, sides.url))
    assert [it for it in outcomes if getattr(it, "changed", False)]
    assert all(isinstance(it, UpgradeRunningError) or hasattr(it, "changed") for it in outcomes), (
        outcomes
    )


def test_of_two_installations_one_is_promoted_to_a_database(
    sides: Sides, make_streamhub: MakeStreamHub
) -> None:
    other = make_streamhub("other")
    fill(other.global_db)
    outcomes = race(lambda: promote(sides.root, sides.url), lambda: promote(other.root, sides.url))
    refusals = (ControlPlaneTakenError, TransactionConflictError)
    (refused,) = (n for n, it in enumerate(outcomes) if isinstance(it, refusals))
    assert isinstance(outcomes[1 - refused], Promotion)
    with (
        Databases((sides.root, other.root)[refused]) as databases,
        databases.global_session() as session,
    ):
        session.add(ServerLog(level="info", message="it takes writes as before"))


def race(*works: object) -> list[object]:
    """Run all at once; return what each returned or raised."""
    outcomes: list[object] = [None] * len(works)

    def run(number: int) -> None:
        try:
            outcomes[number] = works[number]()  # type: ignore[operator]
        except Exception as error:  # noqa: BLE001 - the test looks which
            outcomes[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return outcomes
