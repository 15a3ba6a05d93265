"""Work that ends half way says so: what is new, what is old, and the ways on and back.

One call fails, at every point in turn; the checks lie in `tests.support.faults.halves`.
"""

from __future__ import annotations

import errno
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from streamhub_orm.archives.create import create_archive
from tests.support import figures
from tests.support.faults import fork_server, scenarios
from tests.support.faults.full_disk import leave_room
from tests.support.faults.halves import Attacked, differences, rows_of, state, wrong_words
from tests.support.faults.sampling import sample
from tests.support.faults.shim import Mode
from tests.support.faults.state import Contents
from tests.support.installations import build_installation
from tests.support.installations.snapshot import fingerprint_files, list_changes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.faults.fork_server import Ended, ForkServer

DISK_FAULTS: Final = {"bad": errno.EIO, "full": errno.ENOSPC}


def spoil(place: Path) -> None:
    """Lose rows, files, a setting and a secret."""
    for path in (place / "data/streamhub.db", place / "apps/live/app.db"):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("CREATE TABLE scribbles (text)")
            connection.execute("INSERT INTO scribbles VALUES ('later')")
    ruined, missing = sorted(it for it in place.glob("apps/*/app.db") if "live" not in str(it))[:2]
    for suffix in ("-wal", "-shm"):
        ruined.with_name(ruined.name + suffix).unlink(missing_ok=True)
        missing.with_name(missing.name + suffix).unlink(missing_ok=True)
    ruined.write_bytes(b"ruined")
    missing.unlink()
    (place / "data/secrets.json").write_text('{"K": "another"}', "utf-8")
    (place / "apps/live/config.yaml").unlink()


@pytest.fixture
def spoiled(memory: Path) -> tuple[Path, Path]:
    """An installation that has changed since its archive was made, and the archive."""
    place = memory / "data"
    build_installation(place, era="pre_tenancy", apps=scenarios.APPS, rows=scenarios.ROWS)
    (place / "data/secrets.json").write_text('{"K": "v"}', "utf-8")
    (place / "apps/live/config.yaml").write_text("display_name: Live\n", "utf-8")
    archive = create_archive(place, memory / "archives").archive
    spoil(place)
    return place, archive


def assert_told(attacked: Attacked, every: int, error: int) -> None:
    """Try a sample of the points."""
    if not attacked.server.has_shim:
        pytest.skip("no C compiler, so no failing disk")
    numbers = sample(attacked.points, every, first=1 + error)
    found = [it for number in numbers for it in attacked.complaints(number, error)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("fault", DISK_FAULTS)
def test_restore_that_meets_a_fault_says_what_is_new_and_what_is_old(
    server: ForkServer, spoiled: tuple[Path, Path], fault: str
) -> None:
    place, archive = spoiled
    attacked = Attacked.prepare(server, place, "backup", "restore", str(archive))
    assert_told(attacked, 31, DISK_FAULTS[fault])


@pytest.mark.parametrize("fault", DISK_FAULTS)
def test_undo_of_a_restore_that_meets_a_fault_says_what_is_new_and_what_is_old(
    server: ForkServer, spoiled: tuple[Path, Path], fault: str
) -> None:
    place, archive = spoiled
    done = server.run(fork_server.cli(place, "backup", "restore", str(archive)))
    assert done.status == 0, done
    attacked = Attacked.prepare(server, place, "backup", "undo", str(done.report["set_aside"]))
    assert_told(attacked, 31, DISK_FAULTS[fault])


@pytest.mark.parametrize("fault", DISK_FAULTS)
@pytest.mark.parametrize("to", [False, True], ids=["recorded", "to"])
def test_rollback_that_meets_a_fault_says_what_is_new_and_what_is_old(
    server: ForkServer, memory: Path, fault: str, *, to: bool
) -> None:
    place = memory / "data"
    build_installation(place, era="monolith", apps=scenarios.APPS, rows=scenarios.ROWS)
    assert server.run(fork_server.upgrade(place)).status == 0
    words: tuple[str, ...] = ("rollback",)
    if to:
        done = server.run(fork_server.cli(place, *words))
        words = (*words, "--to", str(done.report["set_aside"]))
    assert_told(Attacked.prepare(server, place, *words), 17, DISK_FAULTS[fault])


@pytest.mark.parametrize(
    ("words", "pages"),
    [(("backup", "restore"), 250), (("rollback",), 100)],
    ids=["restore", "rollback"],
)
def test_restore_and_rollback_without_room_are_refused_before_the_first_change(
    server: ForkServer, memory: Path, small_disk: Path, words: tuple[str, ...], pages: int
) -> None:
    """What is replaced is copied first, so that needs as much room again."""
    place = small_disk / "data"
    build_installation(place, era="monolith", apps=scenarios.APPS, rows=scenarios.ROWS)
    assert server.run(fork_server.upgrade(place)).status == 0
    if "restore" in words:
        words = (*words, str(create_archive(place, memory / "archives").archive))
    leave_room(small_disk, pages=pages)
    before = fingerprint_files(place)

    refused = server.run(fork_server.cli(place, *words))

    assert refused.status == 3, refused
    assert "bytes free on its file system" in refused.report["error"]
    assert fingerprint_files(place) == before
    (small_disk / "filler").unlink()
    assert server.run(fork_server.cli(place, *words)).status == 0


def upgraded(server: ForkServer, memory: Path) -> Path:
    place = memory / "data"
    build_installation(place, era="pre_tenancy", apps=scenarios.APPS, rows=scenarios.ROWS)
    assert server.run(fork_server.upgrade(place)).status == 0
    return place


@pytest.mark.parametrize("fault", DISK_FAULTS)
@pytest.mark.parametrize("reused", [False, True], ids=["new", "reused folder"])
def test_creation_of_an_app_that_meets_a_fault_says_what_is_there_of_it(
    server: ForkServer, memory: Path, fault: str, *, reused: bool
) -> None:
    place = upgraded(server, memory)
    words = ["apps", "create", "tv-2" if reused else "brand-new"]
    if reused:
        assert server.run(fork_server.cli(place, "apps", "delete", "tv-2", "--yes")).status == 0
        words.append("--reuse-folder")
    assert_told(Attacked.prepare(server, place, *words), 3, DISK_FAULTS[fault])


def sweep(
    server: ForkServer, place: Path, arguments: tuple[str, ...], every: int, error: int
) -> Iterator[tuple[str, Ended, Attacked]]:
    """Yield each fault of a command that works on one database after the other."""
    if not server.has_shim:
        pytest.skip("no C compiler, so no failing disk")
    attacked = Attacked.prepare(server, place, *arguments)
    for number in sample(attacked.points, every, first=1 + error):
        shutil.copytree(attacked.original, place)
        job = fork_server.cli(place, *arguments)
        ended = server.run(job.at(number, Mode.FAIL_ONCE, error))
        what = f"at {number} ({ended.last}), status {ended.status}"
        for complaint in wrong_words(ended) if ended.status else ():
            pytest.fail(f"{what}: {complaint}")
        changes = list_changes(fingerprint_files(attacked.original), fingerprint_files(place))
        if ended.status == 3:
            assert not changes, f"{what}: {changes}, {ended}"
        else:
            yield what, ended, attacked
        again = server.run(job)
        assert again.status == 0, f"{what}: {again}"
        assert not list(differences(what, state(place), attacked.after))
        shutil.rmtree(place)
        figures.count(f"faults of work that may end half way, status {ended.status}")


@pytest.mark.parametrize("fault", DISK_FAULTS)
def test_optimization_that_meets_a_fault_changes_no_row_and_claims_nothing_else(
    server: ForkServer, memory: Path, fault: str
) -> None:
    place = upgraded(server, memory)
    words = ("optimize", "--app", "live")
    for what, ended, attacked in sweep(server, place, words, 11, DISK_FAULTS[fault]):
        assert rows_of(state(place)) == rows_of(attacked.before), what
        for database in ended.report["databases"] if ended.status else ():
            assert database["error"] is not None, what
            assert database["backup"] is None or Path(database["backup"]).is_file(), what


@pytest.mark.parametrize("fault", DISK_FAULTS)
def test_purge_that_meets_a_fault_counts_what_is_gone(
    server: ForkServer, memory: Path, fault: str
) -> None:
    """What it says it has deleted is gone, and what it does not is there."""
    place = upgraded(server, memory)
    live, registry = place / "apps/live/app.db", place / "data/streamhub.db"
    with closing(sqlite3.connect(live)) as connection, connection:
        connection.execute("UPDATE vods SET s3_url = NULL, local_path = NULL")
    with closing(sqlite3.connect(registry)) as connection, connection:
        connection.execute(
            "INSERT INTO server_logs (ts, level, message, app_id) "
            "SELECT '2026-01-01 00:00:00', 'info', 'line', id FROM apps WHERE name = 'live'"
        )
    words = ("purge", "live", "--scope", "all", "--yes")
    for what, ended, attacked in sweep(server, place, words, 11, DISK_FAULTS[fault]):
        said = ended.report["deleted"]
        now = state(place)
        for table in ("vods", "vod_variants", "streams", "server_logs"):
            name = "data/streamhub.db" if table == "server_logs" else "data/apps/live/app.db"
            before, after = attacked.before[name], now[name]
            assert isinstance(before, Contents), what
            assert isinstance(after, Contents), what
            gone = before.tables[table].total() - after.tables[table].total()
            assert said[table] == gone, (what, table, ended)
        assert all(Path(it).is_file() for it in ended.report["backups"]), what
