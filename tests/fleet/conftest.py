"""A small fleet at head with rows, made by the product."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.data_dir import DataDir
from streamhub_orm.init import make_installation

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [f"app-{number:02d}" for number in range(1, 41)]


@pytest.fixture
def fleet(tmp_path: Path) -> DataDir:
    """Forty apps; app number N has N active streams and one ready recording of N bytes."""
    place = make_installation(tmp_path / "data")
    with closing(sqlite3.connect(place.global_db)) as connection, connection:
        connection.execute("DELETE FROM apps")
        connection.executemany("INSERT INTO apps (name) VALUES (?)", [(name,) for name in NAMES])
    for number, name in enumerate(NAMES, 1):
        path = place.app_folder(name) / "app.db"
        path.parent.mkdir()
        shutil.copy(place.app_db("live"), path)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.executemany(
                "INSERT INTO streams (app_id, stream_id, type) VALUES (?, ?, 'whip')",
                [(number, f"room/{index}") for index in range(number)],
            )
            connection.execute(
                "INSERT INTO vods (app_id, name, status, size_bytes, duration_s)"
                " VALUES (?1, 'evening', 'ready', ?1, 0.5)",
                (number,),
            )
    return DataDir.find(place.root)
