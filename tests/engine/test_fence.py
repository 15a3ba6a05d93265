"""The fence of a file: what it stops, what it lets pass, and that nothing else is taken for it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.engine.connections import translated
from streamhub_orm.engine.fence import fence_in, find_fence, lift_fence, raise_fence, refuse_fence
from streamhub_orm.engine.foreign_code import foreign_code_set_aside
from streamhub_orm.errors import PromotedDatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORDS = 'promoted to postgresql://h/it\'s "odd": set STREAMHUB_GLOBAL_URL to it'


@pytest.fixture
def file(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE apps (id INTEGER PRIMARY KEY, name TEXT)")
        connection.execute('CREATE TABLE "o\'\'d d""" (a)')
        connection.execute("CREATE TABLE _litestream_seq (a)")
        connection.execute("INSERT INTO apps VALUES (1, 'live')")
        yield connection


def test_every_table_is_fenced_and_the_fence_goes_again(file: sqlite3.Connection) -> None:
    before = file.execute("SELECT * FROM sqlite_master").fetchall()
    raise_fence(file, WORDS)
    assert find_fence(file) == WORDS
    for statement in (
        "INSERT OR IGNORE INTO apps VALUES (1, 'x')",
        "INSERT INTO apps VALUES (1, 'x') ON CONFLICT DO UPDATE SET name = 'x'",
        "UPDATE apps SET name = 'x'",
        "DELETE FROM apps",
        'INSERT INTO "o\'\'d d""" VALUES (1)',
    ):
        with pytest.raises(sqlite3.IntegrityError) as error:
            file.execute(statement)
        assert str(error.value) == WORDS
    file.execute("INSERT INTO _litestream_seq VALUES (1)")
    assert file.execute("SELECT name FROM apps").fetchall() == [("live",)]
    lift_fence(file)
    assert find_fence(file) is None
    assert file.execute("SELECT * FROM sqlite_master").fetchall() == before


def test_fence_is_not_passed_by_what_sets_foreign_triggers_aside(
    file: sqlite3.Connection, tmp_path: Path
) -> None:
    raise_fence(file, WORDS)
    file.execute("BEGIN")
    with (
        pytest.raises(PromotedDatabaseError) as error,
        foreign_code_set_aside(file, tmp_path / "x.db"),
    ):
        pytest.fail("it was passed")
    file.execute("ROLLBACK")
    assert error.value.fence == WORDS
    with pytest.raises(PromotedDatabaseError):
        refuse_fence(file, tmp_path / "x.db")


@pytest.mark.parametrize(
    "body",
    [
        "BEFORE INSERT ON apps BEGIN SELECT RAISE(ABORT, 'x'); DELETE FROM apps; END",
        "AFTER INSERT ON apps BEGIN SELECT RAISE(ABORT, 'x'); END",
        "BEFORE INSERT ON apps WHEN 0 BEGIN SELECT RAISE(ABORT, 'x'); END",
        "BEFORE INSERT ON apps BEGIN DELETE FROM apps; END",
    ],
)
def test_trigger_that_only_has_our_name_is_foreign(file: sqlite3.Connection, body: str) -> None:
    file.execute(f'CREATE TRIGGER "streamhub_fence_insert_apps" {body}')
    (sql,) = file.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'").fetchone()
    assert fence_in(sql) is None
    assert find_fence(file) is None
    lift_fence(file)
    assert file.execute("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'").fetchone()[0]


def test_error_of_a_fence_is_ours_and_another_trigger_is_not(
    file: sqlite3.Connection, tmp_path: Path
) -> None:
    raise_fence(file, WORDS)
    with (
        pytest.raises(PromotedDatabaseError, match="STREAMHUB_GLOBAL_URL"),
        translated(tmp_path / "x.db", "writing"),
    ):
        file.execute("DELETE FROM apps")
    lift_fence(file)
    file.execute("CREATE TRIGGER other BEFORE DELETE ON apps BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(Exception, match="no") as error, translated(tmp_path / "x.db", "writing"):
        file.execute("DELETE FROM apps")
    assert not isinstance(error.value, PromotedDatabaseError)
