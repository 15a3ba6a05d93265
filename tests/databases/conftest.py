"""Fresh installations with as many registered apps as a test needs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Protocol

import pytest

from streamhub_orm.init import make_installation as init

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class MakeFresh(Protocol):
    """Makes an installation at head and registers apps whose files are yet to be made."""

    def __call__(self, apps: Iterable[str] = ...) -> Path: ...


@pytest.fixture
def make_fresh(tmp_path: Path) -> MakeFresh:
    def make(apps: Iterable[str] = ()) -> Path:
        place = init(tmp_path / "data")
        with closing(sqlite3.connect(place.global_db)) as connection, connection:
            rows = [(name,) for name in apps]
            connection.executemany("INSERT INTO apps (name) VALUES (?)", rows)
        return place.root

    return make
