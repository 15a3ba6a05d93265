"""The cache of databases: opened once, evicted only when idle, the least recently used first."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from streamhub_orm import Databases
from streamhub_orm.app_db import Vod
from streamhub_orm.databases import Counters
from streamhub_orm.databases import cache as databases_cache
from streamhub_orm.databases.cache import DatabaseCache
from streamhub_orm.databases.open_database import OpenDatabase
from streamhub_orm.databases.opener import ReadyFile
from streamhub_orm.engine import forks
from streamhub_orm.engine.backups import list_backups
from streamhub_orm.engine.engines import FileEngine
from streamhub_orm.errors import (
    AppsInUseError,
    ConnectionsInUseError,
    DatabasesClosedError,
    MissingDatabaseError,
)
from streamhub_orm.migrations.states import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import MakeInstallation
    from tests.databases.conftest import MakeFresh

THREADS = 16


class Opener:
    """Opens a real file per name, and remembers which names were opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened: list[str] = []
        self.engine = FileEngine()
        self.databases: list[OpenDatabase] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, name: str) -> OpenDatabase:
        self.opened.append(name)
        assert self.gate.wait(30)
        path = self.folder / f"{name}.db"
        if name.startswith("bad"):
            raise missing(path)
        path.touch()
        database = OpenDatabase(self.engine, ReadyFile(path, {}, migrated=False))
        self.databases.append(database)
        return database


@pytest.fixture
def opener(tmp_path: Path) -> Iterator[Opener]:
    opener = Opener(tmp_path)
    yield opener
    for database in opener.databases:
        database.close()


@contextmanager
def connected(database: OpenDatabase) -> Iterator[sa.Connection]:
    connection = database.take(read_only=False)
    assert connection is not None
    try:
        yield connection
    finally:
        database.give_back(connection)


def touch(cache: DatabaseCache[OpenDatabase], *names: str) -> None:
    for name in names:
        with cache.lease(name) as database, connected(database) as connection, connection.begin():
            connection.execute(sa.text("SELECT 1"))


def is_open(database: OpenDatabase) -> bool:
    return any(it.path == database.path for it in forks._open)


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_open_by_many_threads_at_once_upgrades_and_backs_up_once(
    make_installation: MakeInstallation,
) -> None:
    """Sixteen threads that ask for an unadopted app share one open, one backup, one migration."""
    found = make_installation("node_head")
    app = next(name for name in found.apps if found.app_db(name).is_file())
    start = threading.Barrier(THREADS)
    with Databases(found.data_dir) as databases:

        def count(_: int) -> int:
            start.wait(30)
            with databases.app_session(app, read_only=True) as session:
                return session.scalar(sa.select(sa.func.count(Vod.id))) or 0

        with ThreadPoolExecutor(THREADS) as threads:
            counts = list(threads.map(count, range(THREADS)))
        assert (databases.counters.misses, databases.counters.hits) == (1, THREADS - 1)
    assert len(set(counts)) == 1
    assert len(list_backups(found.app_db(app))) == 1


def test_open_of_many_apps_by_many_threads_opens_each_once(make_fresh: MakeFresh) -> None:
    """Different apps open side by side, though only one migration runs at a time."""
    apps = [f"app-{number}" for number in range(6)]
    with Databases(make_fresh(apps)) as databases:

        def write(number: int) -> None:
            with databases.app_session(apps[number % 6]) as session:
                session.add(Vod(name=str(number)))

        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(write, range(48)))
        assert databases.counters.misses == 6
        for app in apps:
            with databases.app_session(app, read_only=True) as session:
                assert session.scalar(sa.select(sa.func.count(Vod.id))) == 8


def test_failed_open_reaches_all_who_wait_and_is_not_kept(opener: Opener) -> None:
    """Every waiter gets the error; the next lease tries again."""
    cache = DatabaseCache(opener, 2)
    opener.gate.clear()

    def lease(_: int) -> str:
        try:
            touch(cache, "bad")
        except MissingDatabaseError as error:
            return str(error.path.name)
        return "opened"

    with ThreadPoolExecutor(4) as threads:
        outcomes = threads.map(lease, range(4))
        wait_until(lambda: opener.opened)
        time.sleep(0.05)
        opener.gate.set()
        assert list(outcomes) == ["bad.db"] * 4
    assert len(cache) == 0
    failures = len(opener.opened)
    with pytest.raises(MissingDatabaseError):
        touch(cache, "bad")
    assert len(opener.opened) == failures + 1
    touch(cache, "one", "two")
    assert len(cache) == 2


def test_full_cache_evicts_the_idle_engine_that_was_used_longest_ago(opener: Opener) -> None:
    """Using an engine again makes it the most recent; the evicted one is closed."""
    cache = DatabaseCache(opener, 2)
    with cache.lease("one") as first:
        pass
    with cache.lease("two") as second:
        pass
    touch(cache, "one", "two", "one")
    assert is_open(first)
    assert is_open(second)
    touch(cache, "three")
    assert is_open(first)
    assert not is_open(second)
    touch(cache, "one", "two")
    assert opener.opened == ["one", "two", "three", "two"]
    assert len(cache) == 2
    assert cache.counters == Counters(open=2, hits=4, misses=4, evictions=2)


def test_engine_in_use_survives_eviction(opener: Opener) -> None:
    """The oldest engine is in use, so the one after it has to go; then it is still the same."""
    cache = DatabaseCache(opener, 2)
    with cache.lease("one") as first, connected(first) as connection, connection.begin():
        touch(cache, "two", "three", "four")
        assert connection.scalar(sa.text("SELECT 1")) == 1
        assert is_open(first)
        with cache.lease("one") as again:
            assert again is first
    assert opener.opened == ["one", "two", "three", "four"]
    assert len(cache) == 2


def test_lease_waits_while_every_engine_is_in_use_and_takes_the_first_given_back(
    opener: Opener,
) -> None:
    """The limit is never exceeded: the third app opens when one of the two is given back."""
    cache = DatabaseCache(opener, 2)
    with ThreadPoolExecutor(1) as threads, ExitStack() as held:
        held.enter_context(cache.lease("one"))
        second = ExitStack()
        second.enter_context(cache.lease("two"))
        waiting = threads.submit(touch, cache, "three")
        wait_until(lambda: cache.counters.waits)
        assert opener.opened == ["one", "two"]
        assert not waiting.done()
        second.close()
        waiting.result(30)
    assert opener.opened == ["one", "two", "three"]
    assert cache.counters == Counters(open=2, misses=3, evictions=1, waits=1)


def test_lease_gives_up_in_words_when_no_engine_is_given_back(
    opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the app, the limit and what to change; the cache goes on afterwards."""
    monkeypatch.setattr(databases_cache, "_WAIT_SECONDS", 0.1)
    cache = DatabaseCache(opener, 1)
    with cache.lease("one"), pytest.raises(AppsInUseError, match="max_open_apps") as refused:
        touch(cache, "two")
    assert (refused.value.name, refused.value.limit) == ("two", 1)
    touch(cache, "two")
    assert opener.opened == ["one", "two"]


def test_leases_by_many_threads_never_exceed_the_limit(opener: Opener) -> None:
    """Sixteen threads over nine apps with room for three: each gets its own app's engine."""
    cache = DatabaseCache(opener, 3)
    excess: list[int] = []

    def use(number: int) -> str:
        name = f"app{number % 9}"
        with cache.lease(name) as database, connected(database) as connection:
            if len(cache) > 3:
                excess.append(len(cache))
            return str(connection.exec_driver_sql("PRAGMA database_list").all()[0][2])

    with ThreadPoolExecutor(THREADS) as threads:
        outcomes = list(threads.map(use, range(270)))
    assert outcomes == [f"{opener.folder}/app{number % 9}.db" for number in range(270)]
    assert excess == []
    assert len(cache) == 3


def test_close_lets_an_engine_in_use_end_its_work(opener: Opener) -> None:
    """What is leased can be finished; nothing new can be leased, and nothing stays open."""
    cache = DatabaseCache(opener, 2)
    with cache.lease("one") as database:
        with connected(database) as connection, connection.begin():
            cache.close()
            assert connection.scalar(sa.text("SELECT 1")) == 1
        assert not is_open(database)
        with pytest.raises(DatabasesClosedError):
            touch(cache, "one")
    assert len(cache) == 0


def test_close_while_an_app_is_being_opened_closes_it_too(opener: Opener) -> None:
    """An open that ends after close() raises, and leaves nothing open; who waits is told too."""
    cache = DatabaseCache(opener, 2)
    opener.gate.clear()
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(touch, cache, "one") for _ in range(2)]
        wait_until(lambda: opener.opened)
        cache.close()
        opener.gate.set()
        for future in waiting:
            with pytest.raises(DatabasesClosedError):
                future.result(30)
    assert opener.opened == ["one"]


def test_close_wakes_those_who_wait_for_an_engine(opener: Opener) -> None:
    """A lease that waits for room ends at once when the cache is closed."""
    cache = DatabaseCache(opener, 1)
    with ThreadPoolExecutor(1) as threads, cache.lease("one"):
        waiting = threads.submit(touch, cache, "two")
        wait_until(lambda: cache.counters.waits)
        cache.close()
        with pytest.raises(DatabasesClosedError):
            waiting.result(30)


def test_descriptors_stay_flat_over_more_apps_than_may_be_open(make_fresh: MakeFresh) -> None:
    """Touching thirty apps with room for four leaves no more open than after eight."""
    apps = [f"app-{number:02}" for number in range(30)]
    opened = []
    with Databases(make_fresh(apps), max_open_apps=4) as databases:
        for app in apps:
            with databases.app_session(app) as session:
                session.add(Vod(name="x"))
            opened.append(len(list(Path("/proc/self/fd").iterdir())))
        assert databases.counters.evictions == 26
    assert max(opened[8:]) <= max(opened[4:8])


def test_lease_waits_while_as_many_are_out_as_the_limit_on_files_allows(opener: Opener) -> None:
    """Even an app that is open is waited for, since its connection would be one too many."""
    cache = DatabaseCache(opener, 5, most_leases=2)
    touch(cache, "one")
    with ThreadPoolExecutor(1) as threads, ExitStack() as held:
        held.enter_context(cache.lease("one"))
        second = ExitStack()
        second.enter_context(cache.lease("two"))
        waiting = threads.submit(touch, cache, "one")
        wait_until(lambda: cache.counters.waits)
        assert not waiting.done()
        second.close()
        waiting.result(30)


def test_lease_gives_up_in_words_when_no_session_ends(
    opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says how many sessions are out; the cache goes on afterwards."""
    monkeypatch.setattr(databases_cache, "_WAIT_SECONDS", 0.1)
    cache = DatabaseCache(opener, 5, most_leases=1)
    with cache.lease("one"), pytest.raises(ConnectionsInUseError, match="all of the 1 sessions"):
        touch(cache, "two")
    touch(cache, "two")


def test_hit_is_found_without_waiting_and_nothing_is_opened(opener: Opener) -> None:
    """What is not open is not found; what is open is leased, so it is not evicted."""
    cache = DatabaseCache(opener, 1)
    assert cache.find("one") is None
    assert opener.opened == []
    touch(cache, "one")
    slot = cache.find("one")
    assert slot is not None
    assert not cache.evict("one")
    cache.release(slot)
    assert cache.evict("one")
    assert not is_open(slot.database)
    assert cache.counters.open == 0


def test_evicted_databases_leave_nothing_for_the_collector(opener: Opener) -> None:
    """No reference cycle keeps them, so memory stays flat however many apps are touched."""
    cache = DatabaseCache(opener, 1)
    opener.databases = []
    gc.collect()
    gc.disable()
    try:
        gone: list[Callable[[], object]] = []
        for number in range(20):
            with cache.lease(f"app{number}") as database, connected(database) as connection:
                gone += [weakref.ref(database), weakref.ref(connection)]
            opener.databases.clear()
        del database, connection
        assert [it() for it in gone[:-2]] == [None] * 38
    finally:
        gc.enable()
