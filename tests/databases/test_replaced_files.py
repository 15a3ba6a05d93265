"""Files that are removed, renamed or replaced, and apps that are deleted, while they are open."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm import Databases
from streamhub_orm.app_db import Vod
from streamhub_orm.databases import cache
from streamhub_orm.errors import (
    AppDatabaseLostError,
    CorruptDatabaseError,
    DatabaseReplacedError,
    LockedDatabaseError,
    MissingDatabaseError,
    NotADatabaseError,
    SchemaOutdatedError,
    UnknownAppError,
)
from tests.migrations.built import query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases.conftest import MakeFresh

MONOTONIC = "streamhub_orm.databases.open_database.monotonic"
CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def databases(make_fresh: MakeFresh) -> Iterator[Databases]:
    with Databases(make_fresh(["tv-2"])) as opened:
        add(opened, "first")
        yield opened


def add(databases: Databases, name: str, app: str = "live") -> None:
    with databases.app_session(app) as session:
        session.add(Vod(name=name))


def names(databases: Databases, app: str = "live") -> list[str]:
    with databases.app_session(app, read_only=True) as session:
        return list(session.scalars(sa.select(Vod.name).order_by(Vod.id)))


def another(databases: Databases, name: str = "of the other file") -> Path:
    """Return a whole app.db, beside the one of `live`, that holds one recording."""
    add(databases, name, "tv-2")
    assert databases.close_app("tv-2")
    path = databases.place.app_db("live")
    return Path(shutil.copyfile(databases.place.app_db("tv-2"), path.with_name("other.db")))


def read(path: Path) -> list[str]:
    """Return what a file by itself holds."""
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    return [name for (name,) in query(path, "SELECT name FROM vods ORDER BY id")]


def test_replaced_file_is_the_one_that_the_next_session_uses(databases: Databases) -> None:
    """What was in the -wal of the old file comes into that file, and not into the new one."""
    path = databases.place.app_db("live")
    kept = path.with_name("kept.db")
    other = another(databases)
    kept.hardlink_to(path)
    assert path.with_name("app.db-wal").stat().st_size > 0
    other.replace(path)
    assert names(databases) == ["of the other file"]
    add(databases, "second")
    assert names(databases) == ["of the other file", "second"]
    databases.close()
    assert read(path) == ["of the other file", "second"]
    assert read(kept) == ["first"]


def test_file_that_was_replaced_with_its_companions_loses_no_row_of_the_new_one(
    databases: Databases,
) -> None:
    """Another process has opened the new file before the old connections are closed here."""
    path = databases.place.app_db("live")
    other = another(databases)
    for name in ("app.db-wal", "app.db-shm"):
        path.with_name(name).unlink()
    other.replace(path)
    with closing(sqlite3.connect(path)) as writer, writer:
        writer.execute("INSERT INTO vods (app_id, name) VALUES (1, 'by another process')")
        writer.commit()
        assert names(databases) == ["of the other file", "by another process"]
    assert names(databases) == ["of the other file", "by another process"]


ADD_EACH = """
import sys
import sqlalchemy as sa
from streamhub_orm import Databases
from streamhub_orm.app_db import Vod

with Databases(sys.argv[1]) as databases:
    for line in sys.stdin:
        with databases.app_session("live") as session:
            session.add(Vod(name=line.strip()))
            session.flush()
            count = session.scalar(sa.select(sa.func.count(Vod.id)))
        print(count, flush=True)
"""


def test_two_processes_both_go_over_to_the_new_file(databases: Databases) -> None:
    """The second one that notices must not bring rows of the new file into the old one."""
    path = databases.place.app_db("live")
    process = subprocess.Popen(
        [sys.executable, "-c", ADD_EACH, str(databases.place.root)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def tell(name: str) -> int:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{name}\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    assert tell("by the second") == 2
    kept = path.with_name("kept.db")
    kept.hardlink_to(path)
    another(databases).replace(path)
    add(databases, "after")
    assert tell("by the second, after") == 3
    add(databases, "at the end")
    process.stdin.close()
    assert process.wait(30) == 0
    process.stdout.close()
    databases.close()
    assert read(kept) == ["first", "by the second"]
    assert read(path) == ["of the other file", "after", "by the second, after", "at the end"]


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("way", ["remove", "rename", "remove folder"])
def test_file_that_is_gone_is_lost_and_nothing_takes_its_place(
    databases: Databases, way: str, *, read_only: bool
) -> None:
    path = databases.place.app_db("live")
    moved = databases.place.root / "moved.db"
    if way == "remove":
        path.unlink()
    elif way == "rename":
        path.rename(moved)
    else:
        path.parent.rename(databases.place.root / "folder")
        moved = databases.place.root / "folder/app.db"
    for _ in range(2):
        with (
            pytest.raises(AppDatabaseLostError, match="had a database here"),
            databases.app_session("live", read_only=read_only),
        ):
            pytest.fail("a session on a file that is gone")
    assert not path.exists()
    if way != "remove":
        path.parent.mkdir(exist_ok=True)
        moved.rename(path)  # alone: its rows are in it by now, and not in a -wal
        assert names(databases) == ["first"]


def test_what_comes_in_its_place_is_looked_at_as_at_a_cold_open(databases: Databases) -> None:
    path = databases.place.app_db("live")
    (text := path.with_name("text")).write_text("no database" * 100)
    text.replace(path)
    with pytest.raises(NotADatabaseError), databases.app_session("live"):
        pytest.fail("a session on a text")


def test_older_file_in_its_place_is_upgraded_or_refused(make_fresh: MakeFresh) -> None:
    data_dir = make_fresh()
    with Databases(data_dir) as databases:
        add(databases, "first")
        path = databases.place.app_db("live")
        older = Path(shutil.copyfile(path, path.with_name("older.db")))
        with closing(sqlite3.connect(older)) as connection, connection:
            connection.execute("DELETE FROM alembic_version")
            connection.execute("DROP TABLE alembic_version")
        copy = Path(shutil.copyfile(older, path.with_name("copy.db")))
        with Databases(data_dir, auto_upgrade=False) as strict:
            assert names(strict) == ["first"]
            assert strict.close_app("live")
            older.replace(path)
            add(databases, "second")
            assert len(names(databases)) >= 1
            assert names(strict) == names(databases)
            copy.replace(path)
            with pytest.raises(SchemaOutdatedError), strict.app_session("live"):
                pytest.fail("a session on an older file")


def test_session_under_way_commits_nothing_into_a_file_that_was_taken_away(
    databases: Databases,
) -> None:
    path = databases.place.app_db("live")
    kept = path.with_name("kept.db")
    kept.hardlink_to(path)
    other = another(databases)
    with pytest.raises(DatabaseReplacedError, match="Nothing was committed"):  # noqa: SIM117, PT012
        with databases.app_session("live") as session:
            session.add(Vod(name="late"))
            session.flush()
            other.replace(path)
    with pytest.raises(DatabaseReplacedError):  # noqa: SIM117, PT012
        with databases.app_connection("live") as connection:
            connection.execute(sa.insert(Vod).values(app_id=1, name="late"))
            another(databases, "third").replace(path)
    assert names(databases)[0] == "of the other file"
    databases.close()
    assert read(kept) == ["first"]


def test_session_under_way_on_the_old_file_is_waited_for(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite in one process must not have both files open beside one -wal."""
    path = databases.place.app_db("live")
    other = another(databases)
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with databases.app_session("live", read_only=True) as session:
            session.scalar(sa.select(Vod.name))
            entered.set()
            leave.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait(30)
    other.replace(path)
    monkeypatch.setattr(cache, "_REOPEN_SECONDS", 0.1)
    with pytest.raises(DatabaseReplacedError), databases.app_session("live"):
        pytest.fail("a session on the new file beside one on the old")
    monkeypatch.setattr(cache, "_REOPEN_SECONDS", 30.0)
    threading.Timer(0.1, leave.set).start()
    assert names(databases) == ["of the other file"]
    thread.join()


HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN")
connection.execute("SELECT * FROM vods").fetchall()
print("ready", flush=True)
sys.stdin.read()
"""


def test_reader_of_the_old_file_in_another_process_is_waited_for(databases: Databases) -> None:
    """Its -wal cannot be emptied, and would be played into the new file."""
    path = databases.place.app_db("live")
    other = another(databases)
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        add(databases, "second")
        other.replace(path)
        for _ in range(2):
            with (
                pytest.raises(LockedDatabaseError, match="in use by another process"),
                databases.app_session("live"),
            ):
                pytest.fail("a session on the new file")
        holder.stdin.close()
        assert holder.wait(30) == 0
    assert names(databases) == ["of the other file"]


def test_new_file_that_another_process_opened_with_the_old_wal_is_refused(
    databases: Databases,
) -> None:
    path = databases.place.app_db("live")
    another(databases).replace(path)
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        with (
            pytest.raises(CorruptDatabaseError, match="with the -wal of the one before"),
            databases.app_session("live"),
        ):
            pytest.fail("a session on two files in one")
        holder.stdin.close()
        assert holder.wait(30) == 0


def test_global_database_that_is_replaced_or_gone_is_noticed(databases: Databases) -> None:
    path = databases.place.global_db
    count = sa.text("SELECT count(*) FROM apps")
    with databases.global_session() as session:
        assert session.scalar(count) == 2
    other = path.with_name("other.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM INTO ?", (str(other),))
    with closing(sqlite3.connect(other)) as connection, connection:
        connection.execute("INSERT INTO apps (name) VALUES ('tv-3')")
    other.replace(path)
    with databases.global_session() as session:
        assert session.scalar(count) == 3
    path.rename(other)
    with pytest.raises(MissingDatabaseError), databases.global_session():
        pytest.fail("a session on a file that is gone")
    other.rename(path)
    with databases.global_session() as session:
        assert session.scalar(count) == 3


def test_file_system_on_which_no_inode_stays_is_told_and_not_tried_for_ever(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As some of user space: each look gives another number. No lease is lost by it."""
    assert databases.close_app("live")
    inodes = iter(range(10**6))
    monkeypatch.setattr(
        "streamhub_orm.databases.open_database._file_at", lambda _: (0, next(inodes))
    )
    with pytest.raises(DatabaseReplacedError), databases.app_session("live"):
        pytest.fail("a session on a file of which nothing is known")
    monkeypatch.undo()
    assert databases.close_app("live")
    assert names(databases) == ["first"]


def test_many_threads_all_go_over_to_the_new_file(databases: Databases) -> None:
    path = databases.place.app_db("live")
    others = [another(databases).rename(path.with_name(f"{n}.db")) for n in range(5)]
    done, errors = threading.Event(), []

    def use(number: int) -> None:
        try:
            while not done.is_set():
                with databases.app_session("live", read_only=bool(number % 2)) as session:
                    session.scalar(sa.select(sa.func.count(Vod.id)))
        except DatabaseReplacedError:
            use(number)  # what was under way says so
        except Exception as error:  # noqa: BLE001 - each is a fault
            errors.append(error)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for other in others:
        other.replace(path)
        assert names(databases)[0] == "of the other file"
    done.set()
    for thread in threads:
        thread.join()
    assert errors == []


def forget(databases: Databases, app: str) -> None:
    """Take an app from the registry as another process does."""
    with closing(sqlite3.connect(databases.place.global_db)) as connection, connection:
        connection.execute("DELETE FROM apps WHERE name = ?", (app,))


def test_app_that_another_process_deleted_is_refused_after_a_second(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = databases.place.app_db("live")
    now = time.monotonic()
    forget(databases, "live")
    assert names(databases) == ["first"]
    monkeypatch.setattr(MONOTONIC, lambda: now + 1.1)
    for _ in range(2):
        with pytest.raises(UnknownAppError), databases.app_session("live"):
            pytest.fail("a session on an app that is not registered")
    assert read(path) == ["first"]


def test_app_that_was_deleted_and_made_anew_has_its_new_id(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(databases, "live")
    with closing(sqlite3.connect(databases.place.global_db)) as connection, connection:
        connection.execute("INSERT INTO apps (id, name) VALUES (77, 'live')")
    now = time.monotonic()
    monkeypatch.setattr(MONOTONIC, lambda: now + 1.1)
    with databases.app_session("live", read_only=True) as session:
        assert session.info["app_id"] == 77


def test_registry_that_cannot_be_read_stops_no_open_app(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    databases.place.global_db.rename(databases.place.root / "away.db")
    now = time.monotonic()
    monkeypatch.setattr(MONOTONIC, lambda: now + 1.1)
    assert names(databases) == ["first"]


def test_app_deleted_under_a_session_says_what_to_do(databases: Databases) -> None:
    """Its folder is gone, whoever removed it: what the session did is not said to be kept."""
    with pytest.raises(DatabaseReplacedError) as refused:  # noqa: PT012, SIM117
        with databases.app_session("live") as session:
            session.add(Vod(name="late"))
            session.flush()
            forget(databases, "live")
            shutil.rmtree(databases.place.app_db("live").parent)
    assert "in a new session" in refused.value.todo
    with pytest.raises(UnknownAppError), databases.app_session("live"):
        pytest.fail("a session on an app that is not there")
