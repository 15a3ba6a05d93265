"""Opening a file that others have open: nobody is refused for a moment's lock."""

from __future__ import annotations

import gc
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.engine.connections import open_for_migration, open_for_session, open_scratch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OPENERS = [open_for_session, open_for_migration]


THREADS = 8
FILES = 150
"""So many that without the retry some opener is refused, as in each of six trials."""


def write_restored(path: Path) -> None:
    """Write a file in rollback mode, as VACUUM INTO and so every restored backup leaves it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")


@pytest.mark.parametrize("opener", OPENERS)
def test_open_waits_for_a_reader_of_a_restored_file(
    tmp_path: Path, opener: Callable[[Path], sqlite3.Connection]
) -> None:
    path = tmp_path / "restored.db"
    write_restored(path)
    reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM t").fetchall()
    release = threading.Timer(0.3, reader.close)
    release.start()
    with closing(opener(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    release.join()


@pytest.mark.parametrize("opener", OPENERS)
def test_open_of_restored_files_by_many_threads_refuses_none(
    tmp_path: Path, opener: Callable[[Path], sqlite3.Connection]
) -> None:
    """Two that turn a file to WAL at once: SQLite's busy handler does not wait for each."""
    start = threading.Barrier(THREADS)

    def read(path: Path) -> None:
        start.wait(60)
        for _ in range(6):
            with closing(opener(path)) as connection:
                connection.execute("SELECT * FROM t").fetchall()

    with ThreadPoolExecutor(THREADS) as threads:
        for number in range(FILES):
            path = tmp_path / f"{number}.db"
            write_restored(path)
            list(threads.map(read, [path] * THREADS))


@pytest.mark.parametrize("opener", [*OPENERS, open_scratch])
def test_open_that_is_refused_leaves_no_connection_to_the_collector(
    tmp_path: Path, opener: Callable[[Path], sqlite3.Connection]
) -> None:
    """Python 3.13 warns of each: tests/conftest.py has every Python do so."""
    path = tmp_path / "text.db"
    path.write_text("no database" * 100)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        opener(path)
    gc.collect()


def test_connection_that_nobody_closed_is_told_of(tmp_path: Path) -> None:
    """The test of the test."""
    (path := tmp_path / "one.db").touch()
    connection = open_scratch(path)
    with pytest.warns(ResourceWarning, match="nobody closed .*one.db"):  # noqa: PT031
        del connection
        gc.collect()
