"""Installations at head, with rows of the test's choice."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from streamhub_orm import Databases
from streamhub_orm.init import make_installation as init

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

APPS = ("live", "radio", "arena")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Return an installation with three apps at head."""
    place = init(tmp_path / "data")
    with closing(sqlite3.connect(place.global_db)) as connection, connection:
        rows = [(name,) for name in APPS[1:]]
        connection.executemany("INSERT INTO apps (name) VALUES (?)", rows)
    with Databases(place.root) as databases:
        for name in APPS:
            with databases.app_session(name):
                pass
    return place.root


def app_db(data_dir: Path, app: str) -> Path:
    return data_dir / "apps" / app / "app.db"


def run_sql(path: Path, statement: str, rows: Iterable[tuple[object, ...]] = ((),)) -> None:
    """Run one statement for each row, as another program would."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(statement, rows)


def query(path: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(statement).fetchall()
