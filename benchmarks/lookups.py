"""Benchmarks of warm look-ups: one recording by its id, out of many."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from benchmarks.contest import Benchmark, Contest, Line, timed
from benchmarks.installations import make_fleet, names
from streamhub_orm import Databases
from streamhub_orm.app_db import Vod

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.contest import Sample
    from benchmarks.scale import Scale

_FEW: Final = ("id", "name", "status", "file_key", "size_bytes")
_TABLE: Final = Vod.__table__
_BY_ID: Final = sa.select(Vod).where(_TABLE.c.id == sa.bindparam("wanted"))
_ALL: Final = tuple(column.name for column in _TABLE.columns)


def _lookup(folder: Path, scale: Scale) -> Contest:
    root = folder / "installation"
    streams_too = 5 / 4  # one row of five is a stream
    make_fleet(root, 1, rows=round(scale.vods * streams_too))
    path = root / f"apps/{names(1)[0]}/app.db"
    chosen = random.Random(4)  # noqa: S311 - the same look-ups in every run
    ids = [chosen.randrange(1, scale.vods + 1) for _ in range(scale.lookups)]
    against = partial(Line, unit="µs", per=scale.lookups)
    each = "  a session each, against SQLAlchemy's"
    return Contest(
        {
            "floor, all columns": lambda: _held(path, ids, _ALL),
            "floor, five columns": lambda: _held(path, ids, _FEW),
            "statement, all columns": lambda: _statement(root, ids, _ALL),
            "statement, five columns": lambda: _statement(root, ids, _FEW),
            "entity, a session each": lambda: _entity_in_own_session(root, ids),
            "prebuilt, a session each": lambda: _prebuilt_in_own_session(root, ids),
            "entity, one session": lambda: _entities_in_one_session(root, ids),
            "SQLAlchemy's session": lambda: _plain_sessions(path, ids),
        },
        [
            against("lookup statement", "statement, all columns", "floor, all columns", goal=3),
            against("  five columns", "statement, five columns", "floor, five columns", goal=3),
            against("lookup entity", "entity, one session", "floor, all columns", goal=6),
            against("  a session each", "entity, a session each", "floor, all columns"),
            against("  prebuilt select", "prebuilt, a session each", "floor, all columns"),
            against("  SQLAlchemy's session", "SQLAlchemy's session", "floor, all columns"),
            against(each, "entity, a session each", "SQLAlchemy's session", goal=1.2),
        ],
        work=scale.lookups,
    )


def _held(path: Path, ids: list[int], columns: tuple[str, ...]) -> Sample:
    query = f"SELECT {', '.join(columns)} FROM vods WHERE id = ?"  # noqa: S608 - our own columns
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:

        def look_up() -> None:
            for number in ids:
                connection.execute(query, (number,)).fetchone()

        return _second_time(look_up)


def _statement(root: Path, ids: list[int], columns: tuple[str, ...]) -> Sample:
    wanted = [_TABLE.c[name] for name in columns]
    statement = sa.select(*wanted).where(_TABLE.c.id == sa.bindparam("wanted"))
    with (
        Databases(root) as databases,
        databases.app_connection(names(1)[0], read_only=True) as connection,
    ):

        def look_up() -> None:
            for number in ids:
                connection.execute(statement, {"wanted": number}).one()

        return _second_time(look_up)


def _entity_in_own_session(root: Path, ids: list[int]) -> Sample:
    with Databases(root) as databases:
        (app,) = names(1)

        def look_up() -> None:
            for number in ids:
                with databases.app_session(app, read_only=True) as session:
                    session.get_one(Vod, number)

        return _second_time(look_up)


def _prebuilt_in_own_session(root: Path, ids: list[int]) -> Sample:
    """Load it by a statement that is built once, as the services do, and not by `get_one`."""
    with Databases(root) as databases:
        (app,) = names(1)

        def look_up() -> None:
            for number in ids:
                with databases.app_session(app, read_only=True) as session:
                    session.scalars(_BY_ID, {"wanted": number}).one()

        return _second_time(look_up)


def _entities_in_one_session(root: Path, ids: list[int]) -> Sample:
    """Nothing keeps the entities, so the session forgets each, and none is found in it."""
    with (
        Databases(root) as databases,
        databases.app_session(names(1)[0], read_only=True) as session,
    ):

        def look_up() -> None:
            for number in ids:
                session.get_one(Vod, number)

        return _second_time(look_up)


def _plain_sessions(path: Path, ids: list[int]) -> Sample:
    """Run a prebuilt select in a session of SQLAlchemy's own each, all on one connection.

    This is what a session each cannot do without, whoever opens it.
    """
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:

        def look_up() -> None:
            for number in ids:
                with Session(connection, expire_on_commit=False) as session:
                    session.scalars(_BY_ID, {"wanted": number}).one()

        sample = _second_time(look_up)
    engine.dispose()
    return sample


def _second_time(look_up: Callable[[], None]) -> Sample:
    """Measure with every cache warm."""
    look_up()
    return timed(look_up)


BENCHMARKS: Final = (Benchmark("lookup", "lookups", "one warm recording by id", _lookup),)
