"""The handler under attack: overload, locks, faults, threads, forks and every kind of end."""

from __future__ import annotations

import gc
import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from streamhub_orm import Databases
from streamhub_orm.errors import LogSettingError
from streamhub_orm.global_db import App, ServerLog
from streamhub_orm.migrations.server import upgrade_server
from streamhub_orm.postgresql.engine import ServerEngine, connect
from streamhub_orm.server_url import ServerUrl
from streamhub_orm.services.log_handler import QueueLimits, ServerLogHandler, open_log
from streamhub_orm.services.log_lines import LogTable
from streamhub_orm.services.log_server import ServerLogTable
from streamhub_orm.testing.postgresql import find_programs, start_postgres
from tests.services import stored
from tests.services.conftest import POSTGRESQL, SQLITE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy.orm import Session

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.services.log_lines import LogLine
    from streamhub_orm.testing.plugin import MakeStreamHub

    Start = Callable[..., ServerLogHandler]

CHECKOUT = Path(__file__).parents[2]
LOG = logging.Logger("tests.handler")  # noqa: LOG001 - pytest captures those that are registered


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def place(make_streamhub: MakeStreamHub, request: pytest.FixtureRequest) -> DataDir:
    """An installation with the app live, whose global database is a file, or on a server."""
    place = make_streamhub()
    if request.param == SQLITE:
        return place
    url = ServerUrl.parse(request.getfixturevalue("streamhub_global_url"), "the test's")
    place = replace(place, global_url=url)
    with session_at(place) as session:
        session.add(App(name="live"))
    return place


@contextmanager
def session_at(place: DataDir) -> Iterator[Session]:
    with (
        Databases(place.root, global_url=url_of(place)) as databases,
        databases.global_session() as session,
    ):
        yield session


def url_of(place: DataDir) -> str | None:
    url = place.global_url
    return None if url is None else url.url.render_as_string(hide_password=False)


def table_at(place: DataDir) -> Any:  # noqa: ANN401 - one of two classes
    return LogTable if place.global_url is None else ServerLogTable


@pytest.fixture
def start(place: DataDir) -> Iterator[Start]:
    """Put a handler on the tests' logger; it is closed at the end."""
    made: list[ServerLogHandler] = []

    def make(**limits: float) -> ServerLogHandler:
        handler = ServerLogHandler(place, source="test", limits=QueueLimits(**limits))  # type: ignore[arg-type]
        LOG.addHandler(handler)
        made.append(handler)
        return handler

    yield make
    for handler in made:
        LOG.removeHandler(handler)
        handler.close()


@contextmanager
def locked(place: DataDir) -> Iterator[None]:
    """Hold the write lock of the global database, or of the table on a server."""
    if place.global_url is not None:
        with connect(place.global_url) as connection, connection.transaction():
            connection.execute("LOCK TABLE server_logs IN ACCESS EXCLUSIVE MODE")
            yield
        return
    with closing(sqlite3.connect(place.global_db, isolation_level=None)) as file:
        file.execute("BEGIN IMMEDIATE")
        yield
        file.execute("ROLLBACK")


def rows(place: DataDir, columns: str = "message") -> list[Any]:
    names = columns.split(", ")
    with session_at(place) as session:
        found = stored.rows_of(session, ServerLog)
    return [row[columns] if len(names) == 1 else tuple(row[it] for it in names) for row in found]


def own_logger(name: str) -> logging.Logger:
    """Return a logger that no other test finds under its name."""
    return logging.Logger(name)  # noqa: LOG001


def attack(place: DataDir, name: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-W", "error", "-m", "tests.services.log_attacks", name)
    return subprocess.run(
        (*command, str(place.root)),
        cwd=CHECKOUT,
        env=os.environ | {"STREAMHUB_GLOBAL_URL": url_of(place) or ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_lines_are_written_in_order_with_every_column(place: DataDir, start: Start) -> None:
    handler = start()
    before = time.time()
    LOG.info("line %d", 1, extra={"app": "live", "room": "stage"})
    LOG.error("line %d", 2)
    handler.flush()
    first, second = rows(place, "ts, level, source, app_id, message, meta_json")
    assert first[1:] == ("info", "test", 1, "line 1", '{"room":"stage"}')
    assert second[1:] == ("error", "test", None, "line 2", None)
    assert first[0] >= time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(before))
    assert (first[0][10], first[0][-1], len(first[0])) == ("T", "Z", 24)
    assert (handler.written, handler.dropped) == (2, 0)


def test_lines_appear_without_a_flush(place: DataDir, start: Start) -> None:
    start(linger_seconds=0.05)
    LOG.info("on its own")
    deadline = time.monotonic() + 10
    while not rows(place) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert rows(place) == ["on its own"]


def test_lines_that_wait_are_written_in_few_transactions(
    place: DataDir, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert, sizes = table_at(place).insert, list[int]()

    def counting(self: object, connection: object, lines: Sequence[LogLine]) -> None:
        insert(self, connection, lines)
        sizes.append(len(lines))

    monkeypatch.setattr(table_at(place), "insert", counting)
    handler = start(batch_rows=100)
    with locked(place):
        for number in range(300):
            LOG.info("line %d", number)
    handler.flush()
    assert sizes == [100, 100, 100]
    assert rows(place) == [f"line {number}" for number in range(300)]


def test_app_is_found_by_name_and_an_unknown_one_is_kept_in_meta(
    place: DataDir, start: Start
) -> None:
    handler = start()
    LOG.info("a", extra={"app": "live"})
    LOG.info("b", extra={"app": "no-such-app", "room": "stage"})
    LOG.info("c", extra={"app": "tv-2"})
    handler.flush()
    with session_at(place) as session:
        session.add(App(id=9, name="tv-2"))
    LOG.info("d", extra={"app": "tv-2"})
    handler.flush()
    found = {
        message: (app, meta) for message, app, meta in rows(place, "message, app_id, meta_json")
    }
    assert found["a"] == (1, None)
    assert found["b"][0] is None
    assert json.loads(found["b"][1]) == {"app": "no-such-app", "room": "stage"}
    assert found["c"] == (None, '{"app":"tv-2"}')
    assert found["d"] == (9, None)


def test_app_deleted_and_made_again_gets_its_new_id(place: DataDir, start: Start) -> None:
    """The id that was looked up before is refused by the foreign key, not written."""
    handler = start()
    LOG.info("old", extra={"app": "live"})
    handler.flush()
    with session_at(place) as session:
        session.execute(sa.delete(App))
    LOG.info("gone", extra={"app": "live"})
    handler.flush()
    with session_at(place) as session:
        session.add(App(id=7, name="live"))
    LOG.info("new", extra={"app": "live"})
    handler.flush()
    assert rows(place, "message, app_id") == [("old", None), ("gone", None), ("new", 7)]
    assert handler.dropped == 0


def test_overload_drops_lines_without_waiting_and_says_how_many(
    place: DataDir, start: Start
) -> None:
    handler = start(capacity=50)
    with locked(place):
        started = time.monotonic()
        for number in range(200):
            LOG.info("line %d", number)
        assert time.monotonic() - started < 1
    handler.flush()
    deadline = time.monotonic() + 5
    while len(rows(place)) < 51 and time.monotonic() < deadline:
        time.sleep(0.02)
    found = rows(place, "message, level, source, meta_json")
    assert [it[0] for it in found[:50]] == [f"line {number}" for number in range(50)]
    assert found[50:] == [("150 log lines were dropped", "warn", "server-log", '{"dropped":150}')]
    assert (handler.written, handler.dropped) == (50, 150)
    LOG.info("after")
    handler.flush()
    assert rows(place)[-1] == "after"
    assert len(rows(place)) == 52


def test_database_locked_for_longer_than_the_timeout_loses_nothing(
    place: DataDir, start: Start
) -> None:
    handler = start(linger_seconds=0.01)
    with locked(place):
        LOG.info("while locked")
        time.sleep(1.5)
        LOG.info("still locked")
    handler.flush()
    assert rows(place) == ["while locked", "still locked"]
    assert handler.dropped == 0


def test_lines_are_given_up_after_the_retries_and_counted(place: DataDir, start: Start) -> None:
    handler = start(linger_seconds=0.01, retry_seconds=0.3)
    with locked(place):
        LOG.info("lost")
        deadline = time.monotonic() + 10
        while handler.dropped == 0 and time.monotonic() < deadline:
            time.sleep(0.05)
    LOG.info("kept")
    handler.flush()
    assert rows(place) == ["kept", "1 log lines were dropped"]


def test_flush_returns_in_time_when_nothing_can_be_written(place: DataDir, start: Start) -> None:
    """So does a line logged inside a session on the same database, which is written after it."""
    handler = start(close_seconds=0.3)
    with locked(place):
        LOG.info("later")
        started = time.monotonic()
        handler.flush()
        assert time.monotonic() - started < 3
    handler.flush()
    deadline = time.monotonic() + 5
    while not rows(place) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert rows(place) == ["later"]


def test_line_inside_a_session_on_the_global_database_is_written(place: DataDir) -> None:
    """After it, where it holds the write lock of a file."""
    handler = ServerLogHandler(place)
    logger = own_logger("inside")
    logger.addHandler(handler)
    with session_at(place) as session:
        session.execute(sa.update(App).values(display_name="x"))
        logger.info("inside")
        time.sleep(0.5)
    handler.close()
    assert rows(place) == ["inside"]


def test_close_of_a_locked_database_ends_in_time_and_tells_on_stderr(
    place: DataDir, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = start(close_seconds=0.3)
    with locked(place):
        for number in range(3):
            LOG.info("line %d", number)
        started = time.monotonic()
        handler.close()
        assert time.monotonic() - started < 3
    assert handler.dropped == 3
    told = capsys.readouterr().err
    assert f"{place.global_url or place.global_db}: 3 log lines were dropped: " in told
    assert ("database is locked" in told) or ("due to lock timeout" in told)


def test_line_after_close_is_dropped_and_raises_nothing(place: DataDir, start: Start) -> None:
    handler = start()
    handler.close()
    handler.close()
    LOG.info("too late")
    handler.flush()
    assert (handler.written, handler.dropped) == (0, 1)
    assert rows(place) == []


def test_handler_that_is_forgotten_writes_its_lines_and_ends_its_thread(place: DataDir) -> None:
    logger = own_logger("forgotten")
    logger.addHandler(ServerLogHandler(place))
    logger.info("forgotten")
    (thread,) = (it for it in threading.enumerate() if it.name == "streamhub-log")
    logger.handlers.clear()
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()
    assert rows(place) == ["forgotten"]


@pytest.mark.files
@pytest.mark.parametrize("fault", ["missing", "damaged", "folder", "no table"])
def test_database_that_cannot_be_used_raises_nothing_and_the_next_one_is_written(
    place: DataDir, start: Start, fault: str, tmp_path: Path
) -> None:
    """Nothing is created in the place of a missing file; lines wait until there is one again."""
    handler = start(linger_seconds=0.01)
    path = place.global_db
    kept = tmp_path / "kept.db"
    shutil.move(path, kept)
    if fault == "damaged":
        path.write_bytes(b"no database " * 500)
    elif fault == "folder":
        path.mkdir()
    elif fault == "no table":
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("CREATE TABLE other (id INTEGER)")
    LOG.info("meanwhile")
    time.sleep(0.3)
    assert handler.dropped == 0
    assert path.exists() == (fault != "missing")
    if path.is_dir():
        path.rmdir()
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.move(kept, path)
    handler.flush()
    assert rows(place) == ["meanwhile"]


@pytest.mark.files
def test_database_put_in_the_place_of_another_gets_the_lines(place: DataDir, start: Start) -> None:
    """As a restore or a rollback does: no handle on the old file is held between batches."""
    handler = start()
    LOG.info("before")
    handler.flush()
    with closing(sqlite3.connect(place.global_db)) as connection:
        copy = place.global_db.with_name("copy.db")
        connection.execute("VACUUM INTO ?", (str(copy),))
    copy.rename(place.global_db)
    LOG.info("after")
    handler.flush()
    assert rows(place) == ["before", "after"]


def test_many_threads_lose_nothing_and_keep_the_order_of_each(place: DataDir, start: Start) -> None:
    handler = start(capacity=100_000, batch_rows=64, linger_seconds=0.001)

    def chatter(name: int) -> None:
        for number in range(500):
            LOG.info("%d %d", name, number)

    threads = [threading.Thread(target=chatter, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    handler.flush()
    found = rows(place)
    assert len(found) == 4000
    for name in range(8):
        own = [line for line in found if line.startswith(f"{name} ")]
        assert own == [f"{name} {number}" for number in range(500)]


def test_line_of_the_writing_thread_goes_with_the_next_batch(
    place: DataDir, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line about the writing of lines would be written, and so on for ever."""
    insert = table_at(place).insert

    def talkative(self: object, connection: object, lines: Sequence[LogLine]) -> None:
        LOG.info("writing %d lines", len(lines))
        insert(self, connection, lines)

    monkeypatch.setattr(table_at(place), "insert", talkative)
    handler = start(linger_seconds=0.01)
    LOG.info("one")
    handler.flush()
    time.sleep(0.2)
    assert rows(place) == ["one"]
    handler.flush()
    assert rows(place) == ["one", "writing 1 lines"]


def test_record_that_cannot_be_stored_is_counted_and_raises_nothing(
    place: DataDir, start: Start
) -> None:
    handler = start()
    record = logging.LogRecord("x", logging.INFO, "f", 1, "m", (), None)
    record.created = float("inf")
    handler.handle(record)
    extra = {"app": "\ud800", "nul": "\0\\\0", "half": "\ud83d"}
    LOG.info("half \ud83d pair \0 of %s", object.__new__(object), extra=extra)
    handler.flush()
    assert handler.dropped == 1
    assert len(rows(place)) == 2


@pytest.mark.parametrize(
    ("name", "status", "own"),
    [
        ("end_orderly", 0, ["orderly"]),
        ("end_by_an_error", 3, ["error"]),
        ("killed_after_close", -9, ["killed"]),
        ("killed_after_flush", -9, ["killed"]),
    ],
)
def test_end_of_the_process_loses_nothing(
    place: DataDir, name: str, status: int, own: list[str]
) -> None:
    done = attack(place, name)
    assert (done.returncode, done.stderr) == (status, "")
    expected = [f"{who} {number}" for who in own for number in range(3000)]
    last = ["the last line"] if name == "end_orderly" else []
    assert rows(place) == expected + last


def test_line_that_is_the_first_at_the_very_end_is_written(place: DataDir) -> None:
    done = attack(place, "first_line_at_the_end")
    assert (done.returncode, done.stderr) == (0, "")
    assert rows(place) == [f"late {number}" for number in range(10)]


@pytest.mark.slow
def test_fork_writes_each_line_of_parent_and_child_once(place: DataDir) -> None:
    """And nothing else that either of them writes into the same database is lost."""
    done = attack(place, "forks")
    assert (done.returncode, done.stderr) == (0, "")
    names = [f"{who}-{number}" for who in ("parent", "child") for number in range(30)]
    assert sorted(rows(place)) == sorted(f"{it} {line}" for it in names for line in range(100))
    with session_at(place) as session:
        assert session.scalar(sa.text("SELECT count(*) FROM tenants WHERE name = 'x'")) == 60
        if place.global_url is None:
            assert session.scalar(sa.text("PRAGMA integrity_check")) == "ok"


@pytest.mark.slow
def test_fork_amid_threads_that_log_loses_nothing_and_never_hangs(place: DataDir) -> None:
    done = attack(place, "forks_amid_threads")
    assert (done.returncode, done.stderr) == (0, "")
    found = rows(place)
    assert len(found) == len(set(found))
    children = {f"child-{number} {line}" for number in range(20) for line in range(20)}
    assert children <= set(found)
    for name in range(3):
        own = [line for line in found if line.startswith(f"thread-{name} ")]
        assert own == [f"thread-{name} {number}" for number in range(len(own))]


def test_children_of_multiprocessing_lose_nothing(place: DataDir) -> None:
    done = attack(place, "multiprocessing_children")
    assert (done.returncode, done.stderr) == (0, "")
    expected = [f"parent {line}" for line in range(10)]
    expected += [f"child-{number} {line}" for number in range(3) for line in range(50)]
    assert sorted(rows(place)) == sorted(expected)


def test_log_of_everything_does_not_feed_itself(place: DataDir) -> None:
    """SQLAlchemy's lines about the application's sessions are there, and no more than those."""
    done = attack(place, "everything_logged")
    assert done.returncode == 0
    found = rows(place, "source, message")
    assert len([it for it in found if it[0] == "attack"]) == 20
    assert 20 <= len([it for it in found if it[0].startswith("sqlalchemy")]) < 400
    assert not [it for it in found if "INSERT INTO server_logs" in it[1]]


@pytest.mark.skipif(find_programs() is None, reason="no PostgreSQL server to start")
def test_server_that_is_down_is_tried_again_and_no_line_is_lost(
    make_streamhub: MakeStreamHub,
) -> None:
    """For `retry_seconds`; the connection that the restart has ended costs no line either."""
    with start_postgres() as server:
        url = ServerUrl.parse(server.create("logs"), "the test's")
        place = replace(make_streamhub(), global_url=url)
        engine = ServerEngine(url)
        upgrade_server(engine)
        engine.close()
        limits = QueueLimits(linger_seconds=0.01, retry_seconds=60, close_seconds=30)
        handler = ServerLogHandler(place, limits=limits)
        logger = own_logger("restarted")
        logger.addHandler(handler)
        logger.info("before")
        handler.flush()
        server.stop()
        logger.info("while it is down")
        time.sleep(0.3)
        assert (handler.written, handler.dropped) == (1, 0)
        server.start()
        handler.flush()
        assert rows(place) == ["before", "while it is down"]
        server.kill()
        logger.info("lost with the server")
        handler._queue._limits = replace(limits, retry_seconds=0.1, close_seconds=0.1)
        handler.close()
        assert handler.dropped == 1


def test_no_secret_and_no_value_is_told_of_a_batch_that_fails(
    place: DataDir, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = start(close_seconds=0.2)
    with session_at(place) as session:
        session.execute(sa.text("DROP TABLE server_logs"))
    LOG.info("a value that is nobody's business")
    handler.close()
    told = capsys.readouterr().err
    assert "1 log lines were dropped: " in told
    assert "nobody's business" not in told
    assert "password" not in told


@pytest.mark.parametrize("limit", ["capacity", "batch_rows"])
def test_limit_below_one_is_refused_in_words(place: DataDir, limit: str) -> None:
    with pytest.raises(LogSettingError, match=f"{limit}: found 0; expected a number of lines"):
        ServerLogHandler(place, limits=QueueLimits(**{limit: 0}))


def test_open_log_writes_the_table_and_a_file_that_others_cannot_read(place: DataDir) -> None:
    logger = own_logger("both")
    with open_log(place, logger=logger, source="api", level="INFO") as log:
        logger.info("hello %s", "there")
        logger.debug("too low")
    assert logger.handlers == []
    assert log.database.written == 1
    assert rows(place, "source, message") == [("api", "hello there")]
    path = place.root / "logs" / "streamhub-orm.log"
    assert path.stat().st_mode & 0o777 & ~0o640 == 0
    assert path.parent.stat().st_mode & 0o777 == place.root.stat().st_mode & 0o777
    (line,) = path.read_text(encoding="utf-8").splitlines()
    assert line[10] == "T"
    assert line[23:] == "Z INFO both: hello there"


def test_open_log_rotates_and_keeps_the_mode(place: DataDir) -> None:
    mask = os.umask(0)
    try:
        logger = own_logger("rotating")
        with open_log(place, logger=logger, max_file_bytes=500, kept_files=2):
            for number in range(50):
                logger.info("line %d", number)
    finally:
        os.umask(mask)
    files = sorted((place.root / "logs").iterdir())
    assert [it.name for it in files] == [f"streamhub-orm.log{end}" for end in ("", ".1", ".2")]
    assert {it.stat().st_mode & 0o777 for it in files} == {0o640}
    assert len(rows(place)) == 50


def test_open_log_does_not_follow_a_planted_link(place: DataDir, tmp_path: Path) -> None:
    (place.root / "logs").mkdir()
    (place.root / "logs" / "api.log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        open_log(place, logger=own_logger("x"), file_name="api.log")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("name", ["../x.log", "a/b", "", ".", ".."])
def test_open_log_refuses_a_file_name_with_a_folder(place: DataDir, name: str) -> None:
    with pytest.raises(LogSettingError, match="without a folder"):
        open_log(place, logger=own_logger("x"), file_name=name)


class Dying:
    """Logs where it is collected; `ring` keeps it until the collector comes."""

    def __init__(self) -> None:
        self.ring = self

    def __del__(self) -> None:
        LOG.info("the last words")


def test_lines_of_the_handlers_own_thread_are_written_or_counted(
    place: DataDir, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collector runs any __del__ in the thread that happens to make garbage."""
    insert = table_at(place).insert

    def collect(table: object, connection: object, lines: Sequence[LogLine]) -> None:
        insert(table, connection, lines)
        gc.collect()

    gc.disable()
    monkeypatch.setattr(table_at(place), "insert", collect)
    handler = start(batch_rows=10, linger_seconds=0.01)
    try:
        for number in range(200):
            Dying()
            LOG.info("line %d", number)
        handler.flush()
        gc.collect()
    finally:
        gc.enable()
    monkeypatch.undo()
    handler.flush()
    handler.close()
    assert handler.dropped == 0
    assert handler.written == 400
    assert sorted(rows(place)) == sorted(
        [*(f"line {number}" for number in range(200)), *["the last words"] * 200]
    )


def test_a_line_that_the_writing_itself_causes_wakes_nobody(
    place: DataDir, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An audit hook that logs each connection would else be written for ever."""
    opened = table_at(place).opened

    @contextmanager
    def told(table: object) -> Iterator[object]:
        with opened(table) as connection:
            yield connection
        LOG.info("closed")

    monkeypatch.setattr(table_at(place), "opened", told)
    handler = start(linger_seconds=0.01)
    LOG.info("one")
    handler.flush()
    time.sleep(0.3)
    assert rows(place) == ["one"]
    handler.close()
    assert rows(place) == ["one", "closed"]
    assert (handler.written, handler.dropped) == (2, 1)


def test_a_line_waits_for_no_other_thread_that_logs(place: DataDir, start: Start) -> None:
    """The writing thread may log with the queue's lock in hand: it must not want the handler's."""
    handler = start()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        handler.acquire()
        held.set()
        done.wait(10)
        handler.release()

    other = threading.Thread(target=hold)
    other.start()
    held.wait(10)
    writer = threading.Thread(target=LOG.info, args=("not held up",))
    writer.start()
    writer.join(2)
    stuck = writer.is_alive()
    done.set()
    other.join()
    writer.join()
    assert not stuck


def test_workers_of_a_pool_lose_nothing_that_they_flushed_or_closed(place: DataDir) -> None:
    done = attack(place, "pools")
    assert (done.returncode, done.stderr) == (0, "")
    expected = [f"{end}-{task} {number}" for end in ("joined", "flushed") for task in range(8)
                for number in range(20)]  # fmt: skip
    assert sorted(rows(place)) == sorted(expected)
