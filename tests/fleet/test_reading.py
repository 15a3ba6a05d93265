"""Fan-out reads: in order, read-only, bounded; a bad app is named and the others follow."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.errors import (
    AppNameError,
    CorruptDatabaseError,
    DatabaseFileError,
    NotADatabaseError,
    SchemaOutdatedError,
    StreamHubError,
    UnforeseenError,
)
from streamhub_orm.fleet import Reading, count_active_streams, read_apps
from tests.fleet.conftest import NAMES
from tests.support.installations.snapshot import fingerprint_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir

JOBS = [None, 1, 2, 7]


@pytest.mark.parametrize("jobs", JOBS)
def test_read_apps_yields_the_values_in_the_order_of_the_names(
    fleet: DataDir, jobs: int | None
) -> None:
    names = [*reversed(NAMES), NAMES[3]]
    found = list(read_apps(fleet, names, count_active_streams, jobs=jobs))
    assert found == [Reading(name, int(name[-2:])) for name in names]


@pytest.mark.parametrize("jobs", JOBS)
def test_read_apps_names_each_bad_app_and_reads_the_others(
    fleet: DataDir, jobs: int | None, tmp_path: Path
) -> None:
    """Not SQLite, damaged, a folder, a link out, an impossible name: an error each, no crash."""
    paths = [fleet.app_db(name) for name in NAMES]
    paths[0].write_bytes(b"no database " * 500)
    damaged = bytearray(paths[1].read_bytes())
    damaged[4096:] = b"\xff" * (len(damaged) - 4096)
    paths[1].write_bytes(damaged)
    paths[2].unlink()
    paths[2].mkdir()
    paths[3].unlink()
    paths[3].symlink_to(tmp_path / "elsewhere.db")
    expected: dict[str, type[StreamHubError]] = {
        NAMES[0]: NotADatabaseError,
        NAMES[1]: CorruptDatabaseError,
        NAMES[2]: NotADatabaseError,
        NAMES[3]: NotADatabaseError,
        "../live": AppNameError,
    }
    found = list(read_apps(fleet, [*NAMES, "../live"], count_active_streams, jobs=jobs))
    assert {it.app: type(it.error) for it in found if it.error is not None} == expected
    assert [it.value for it in found if it.error is None] == list(range(5, 41))
    assert not any(it.missing for it in found)
    assert str(paths[0]) in str(found[0].error)


@pytest.mark.parametrize("jobs", JOBS)
def test_read_apps_counts_what_is_not_there_yet_as_missing(
    fleet: DataDir, jobs: int | None
) -> None:
    """No folder, no file, no byte, no table; nothing is created by looking."""
    fleet.app_db(NAMES[0]).unlink()
    fleet.app_db(NAMES[1]).write_bytes(b"")
    fleet.app_db(NAMES[2]).unlink()
    with closing(sqlite3.connect(fleet.app_db(NAMES[2]))) as connection:
        connection.execute("PRAGMA user_version = 1")
    before = fingerprint_files(fleet.root)
    found = list(read_apps(fleet, [*NAMES[:4], "never-made"], count_active_streams, jobs=jobs))
    assert [it.missing for it in found] == [True, True, True, False, True]
    assert all(it.error is None for it in found)
    assert [it.value for it in found] == [None, None, None, 4, None]
    assert fingerprint_files(fleet.root) == before
    assert not fleet.app_folder("never-made").exists()


def test_read_apps_of_an_older_file_says_to_upgrade_it(fleet: DataDir) -> None:
    with closing(sqlite3.connect(fleet.app_db(NAMES[0]))) as connection, connection:
        connection.execute("DROP TABLE app_plugins")

    def read(connection: sqlite3.Connection) -> list[object]:
        return connection.execute("SELECT plugin_id FROM app_plugins").fetchall()

    first, second = read_apps(fleet, NAMES[:2], read)
    assert isinstance(first.error, SchemaOutdatedError)
    assert "no such table: app_plugins" in str(first.error)
    assert second.value == []


def test_read_apps_cannot_write(fleet: DataDir) -> None:
    def write(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM streams")

    (found,) = read_apps(fleet, [NAMES[4]], write)
    assert isinstance(found.error, DatabaseFileError)
    (after,) = read_apps(fleet, [NAMES[4]], count_active_streams)
    assert after.value == 5


@pytest.mark.parametrize("jobs", JOBS)
def test_read_apps_reports_a_fault_of_the_reading_itself(fleet: DataDir, jobs: int | None) -> None:
    def divide(connection: sqlite3.Connection) -> float:
        return 1 / (count_active_streams(connection) - 2)

    found = list(read_apps(fleet, NAMES[:3], divide, jobs=jobs))
    assert [it.value for it in found] == [-1.0, None, 1.0]
    assert isinstance(found[1].error, UnforeseenError)
    assert isinstance(found[1].error.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("jobs", [1, 3])
def test_read_apps_takes_names_only_a_window_ahead(fleet: DataDir, jobs: int) -> None:
    """An endless list of names is no trouble, and a caller that stops leaves no thread behind."""
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield NAMES[taken % len(NAMES)]

    threads = threading.active_count()
    readings = read_apps(fleet, endless(), count_active_streams, jobs=jobs)
    for _ in range(100):
        next(readings)
    assert taken <= 100 + 2 * jobs * 16
    assert isinstance(readings, Generator)
    readings.close()
    assert threading.active_count() == threads


@pytest.mark.parametrize("jobs", [1, 4])
def test_read_apps_leaves_no_descriptor_open(fleet: DataDir, jobs: int) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(5):
        list(read_apps(fleet, NAMES, count_active_streams, jobs=jobs))
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


_IN_OWN_PROCESS = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))
from streamhub_orm.data_dir import DataDir
from streamhub_orm.fleet import count_active_streams, list_app_names, read_apps
place = DataDir.find(Path(sys.argv[1]))
names = list_app_names(place) * int(sys.argv[2])
assert not [it for it in read_apps(place, iter(names), count_active_streams, jobs=4) if it.error]
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, "alembic" in sys.modules)
"""


@pytest.mark.slow
def test_read_apps_needs_the_same_memory_for_many_apps_and_few_descriptors(fleet: DataDir) -> None:
    """With 48 descriptors nothing fails; 100 times the apps cost less than 2 MiB; no Alembic."""
    peaks = []
    for times in (1, 100):
        command = (sys.executable, "-c", _IN_OWN_PROCESS, str(fleet.root), str(times))
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peak, alembic = done.stdout.split()
        assert alembic == "False"
        peaks.append(int(peak))
    assert peaks[1] - peaks[0] < 2048  # KiB
