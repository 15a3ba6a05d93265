"""Look-ups in the registry through one held connection."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from streamhub_orm import Databases
from streamhub_orm.data_dir import DataDir
from streamhub_orm.errors import UnknownAppError
from streamhub_orm.registry import RegistryConnection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases.conftest import MakeFresh

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def place(make_fresh: MakeFresh) -> DataDir:
    return DataDir.find(make_fresh(["tv-2"]))


@pytest.fixture
def reader(place: DataDir) -> Iterator[RegistryConnection]:
    reader = RegistryConnection(place)
    yield reader
    reader.close()


def add_app(path: Path, name: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO apps (name) VALUES (?)", (name,))


def test_look_up_sees_what_was_registered_since_the_last_one(
    place: DataDir, reader: RegistryConnection
) -> None:
    """The connection stays open, but each look-up is a transaction of its own."""
    assert reader.find_legacy_files("tv-2").app_id == 2
    with pytest.raises(UnknownAppError):
        reader.find_legacy_files("tv-3")
    add_app(place.global_db, "tv-3")
    assert reader.find_legacy_files("tv-3").app_id == 3
    assert (reader.find_name(3), reader.find_name(4)) == ("tv-3", None)


def test_look_up_reads_the_file_that_lies_there_now(
    place: DataDir, reader: RegistryConnection
) -> None:
    """A rollback or a restore puts another file in the place of the global database."""
    copy = place.global_db.with_name("copy")
    shutil.copy2(place.global_db, copy)
    add_app(copy, "tv-3")
    assert reader.find_name(3) is None
    reader.close()  # as its -wal goes with it, nobody may have it open
    assert reader.find_name(3) is None
    copy.replace(place.global_db)
    assert reader.find_name(3) == "tv-3"


def test_row_of_the_registry_is_read_without_upgrading_the_global_database(
    place: DataDir, reader: RegistryConnection
) -> None:
    """Opening an app leaves the global file as it was."""
    before = place.global_db.read_bytes()
    assert reader.find_legacy_files("live").app_id == 1
    reader.close()
    assert place.global_db.read_bytes() == before


FORK = """
import os, sys
import sqlalchemy as sa
from streamhub_orm import Databases
from streamhub_orm.errors import ForkedInSessionError

databases = Databases(sys.argv[1])
with databases.app_session("live", read_only=True) as session:
    session.scalar(sa.text("SELECT 1"))
with databases._opener.registry._lock:  # as a thread that is looking an app up holds it
    child = os.fork()
    if not child:
        try:
            with databases.global_session():
                os._exit(1)
        except ForkedInSessionError:
            os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
with databases.global_session() as session:
    session.execute(sa.text("UPDATE apps SET display_name = 'x'"))
databases.close()
"""


def test_child_of_a_fork_amid_a_look_up_is_refused_the_global_database(place: DataDir) -> None:
    """Its inherited connection cannot be closed, so what it wrote could be lost."""
    command = [sys.executable, "-W", "error", "-c", FORK, str(place.root)]
    done = subprocess.run(
        command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_app_registered_after_databases_was_made_is_opened(place: DataDir) -> None:
    with Databases(place.root) as databases:
        with databases.app_session("live", read_only=True):
            pass
        with databases.global_connection() as connection:
            connection.exec_driver_sql("INSERT INTO apps (name) VALUES ('tv-3')")
        with databases.app_session("tv-3") as session:
            assert session.info["app_id"] == 3
