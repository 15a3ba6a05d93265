"""`global status` says where the global database is, at each step of the way there and back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.data_dir import DataDir
from streamhub_orm.migrations.server import upgrade_server
from streamhub_orm.postgresql.engine import ServerEngine
from streamhub_orm.postgresql.fence import Mark, Move
from streamhub_orm.promotion.demote import _Demotion, demote, undo_demotion
from streamhub_orm.promotion.promote import promote, undo_promotion
from streamhub_orm.promotion.sides import write_file_mark
from streamhub_orm.promotion.status import read_global_status
from streamhub_orm.server_url import ServerUrl
from tests.promotion.contents import bytes_of

if TYPE_CHECKING:
    from tests.promotion.conftest import Sides


def look(sides: Sides, *, by_url: bool = True) -> tuple[str | None, str | None, str]:
    """Return where it is, what is under way and what to do; nothing is touched by the look."""
    before = bytes_of(sides.file)
    found = read_global_status(sides.root, sides.url if by_url else None)
    assert bytes_of(sides.file) == before
    assert found.ok == (found.where is not None and found.under_way is None)
    assert found.to_json()["where"] == found.where
    return found.where, found.under_way, found.todo or ""


def test_before_it_is_in_the_file(sides: Sides) -> None:
    assert look(sides, by_url=False) == ("file", None, "")
    where, under_way, todo = look(sides)
    assert (where, under_way) == ("file", None)
    assert "a global database of its own" in todo
    engine = ServerEngine(sides.url)
    upgrade_server(engine)
    engine.close()
    assert look(sides)[0] == "server"


def test_promotion_that_was_killed_at_the_fence(sides: Sides) -> None:
    mark = Mark("x", Move.PROMOTING, str(sides.url), "2026-01-31T12:00:00+00:00")
    write_file_mark(sides.file, mark)
    assert look(sides, by_url=False)[:2] == (None, "promotion")
    where, under_way, todo = look(sides)
    assert (where, under_way) == (None, "promotion")
    assert "--undo" in todo
    assert undo_promotion(sides.root, sides.url).changed
    assert not undo_promotion(sides.root, sides.url).changed
    assert look(sides, by_url=False) == ("file", None, "")


def test_there_and_back(sides: Sides) -> None:
    promote(sides.root, sides.url)
    assert look(sides) == ("server", None, "")
    where, under_way, todo = look(sides, by_url=False)
    assert (where, under_way) == ("server", None)
    assert str(sides.url) in todo
    engine = ServerEngine(sides.url)
    run = _Demotion(DataDir.find(sides.root, sides.url), engine, lambda *_: None)
    run.look()
    run._begin()
    where, under_way, todo = look(sides)
    assert (where, under_way) == (None, "demotion")
    assert str(sides.file) in todo
    assert undo_demotion(sides.root, sides.url).changed
    assert not undo_demotion(sides.root, sides.url).changed
    assert look(sides) == ("server", None, "")
    run = _Demotion(DataDir.find(sides.root, sides.url), engine, lambda *_: None)
    run.look()
    run._begin()
    run._move()
    where, under_way, todo = look(sides)
    assert (where, under_way) == ("file", "demotion")
    assert "--undo" not in todo
    with pytest.raises(Exception, match="the global database in it"):
        undo_demotion(sides.root, sides.url)
    run._end()
    engine.close()
    assert look(sides) == ("file", None, "unset STREAMHUB_GLOBAL_URL")
    assert not demote(sides.root, sides.url).changed
    assert look(sides, by_url=False) == ("file", None, "")


def test_server_that_is_down_and_a_file_that_is_damaged(sides: Sides) -> None:
    promote(sides.root, sides.url)
    down = ServerUrl.parse("postgresql+psycopg://u@127.0.0.1:1/x", "x")
    found = read_global_status(sides.root, down)
    assert (found.where, found.ok) == (None, False)
    assert "refused" in str(found.todo)
    with closing(sqlite3.connect(sides.file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    sides.file.write_bytes(b"no database at all".ljust(4096))
    found = read_global_status(sides.root, None)
    assert (found.where, found.ok) == (None, False)
    assert found.file.error
