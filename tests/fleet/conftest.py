"""A small fleet at head with rows, made by the product."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.testing.plugin import MakeStreamHub

NAMES = [f"app-{number:02d}" for number in range(1, 41)]


@pytest.fixture
def fleet(make_streamhub: MakeStreamHub) -> DataDir:
    """Forty apps; app number N has N active streams and one ready recording of N bytes."""
    place = make_streamhub(apps=NAMES)
    for number, name in enumerate(NAMES, 1):
        with closing(sqlite3.connect(place.app_db(name))) as connection, connection:
            connection.executemany(
                "INSERT INTO streams (app_id, stream_id, type) VALUES (?, ?, 'whip')",
                [(number, f"room/{index}") for index in range(number)],
            )
            connection.execute(
                "INSERT INTO vods (app_id, name, status, size_bytes, duration_s)"
                " VALUES (?1, 'evening', 'ready', ?1, 0.5)",
                (number,),
            )
    return place
