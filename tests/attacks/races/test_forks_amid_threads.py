"""Forks while other threads of the process use the same `Databases`."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from streamhub_orm.init import make_installation
from tests.migrations.built import query
from tests.support import figures

if TYPE_CHECKING:
    from collections.abc import Sequence

CHECKOUT: Final = Path(__file__).parents[3]
FORKS: Final = 100
APPS: Final = 5

# Run in a process of its own: pytest must not be forked. It prints what each child did, and how
# many rows each app must hold.
PRELUDE = """
import asyncio, collections, json, os, signal, sqlite3, sys, threading, time
from pathlib import Path
import sqlalchemy as sa
from streamhub_orm import Databases
from streamhub_orm.errors import StreamHubError

data_dir = Path(sys.argv[1])
INSERT = sa.text("INSERT INTO vods (app_id, name) VALUES ((:n), :name)")

def add(databases, app, name):
    with databases.app_session(app) as session:
        session.execute(INSERT, {"n": session.info["app_id"], "name": name})

def in_child(work):
    'Fork; return what the work said, and how long it took.'
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            begun = time.monotonic()
            said = work() or "done"
        except StreamHubError as error:
            said = type(error).__name__
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, json.dumps([said, time.monotonic() - begun]).encode())
        orderly()
    os.close(writing)
    deadline = time.monotonic() + 5
    while not (ended := os.waitpid(child, os.WNOHANG)[0]) and time.monotonic() < deadline:
        time.sleep(0.005)
    if not ended:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    said, seconds = json.loads(os.read(reading, 4000) or '["nothing", 0]')
    os.close(reading)
    return said if ended else "hung after " + said, seconds

def orderly():
    os._exit(0)

"""

BUSY = """
FORKS, APPS = int(sys.argv[2]), int(sys.argv[3])
apps = [f"app-{number}" for number in range(APPS)]
databases = Databases(data_dir, max_open_apps=2)
written = collections.Counter()
stop, faults, rounds = threading.Event(), [], collections.Counter()

def use(number):
    own = collections.Counter()
    turn = number
    try:
        while not stop.is_set():
            turn += 1
            app = apps[turn % APPS]
            if number % 3 == 0:
                with databases.app_session(app, read_only=True) as session:
                    session.execute(sa.text("SELECT id, name FROM vods LIMIT 200")).all()
            elif number % 3 == 1:
                with databases.global_session(read_only=True) as session:
                    session.execute(sa.text("SELECT * FROM apps")).all()
                add(databases, app, f"thread {number} {turn}")
                own[app] += 1
            else:
                add(databases, app, f"thread {number} {turn}")
                own[app] += 1
            rounds[number] += 1
    except BaseException as error:
        faults.append(f"{type(error).__name__}: {error}")
    with lock:
        written.update(own)

def inherited(number):
    add(databases, apps[number % APPS], f"child {number}")
    return "wrote"

def new(number):
    with Databases(data_dir) as fresh:
        add(fresh, apps[number % APPS], f"child {number}")
    return "wrote"

def read_global(number):
    with databases.global_session(read_only=True) as session:
        assert session.scalar(sa.text("SELECT count(*) FROM apps")) == APPS + 1

def close(number):
    databases.close()

lock = threading.Lock()
threads = [threading.Thread(target=use, args=(number,)) for number in range(6)]
for thread in threads:
    thread.start()
while len(rounds) < len(threads) and not faults:
    time.sleep(0.01)
results, slowest = collections.Counter(), 0
kinds = [inherited, new, read_global, close]
for number in range(FORKS):
    kind = kinds[number % len(kinds)]
    if number % 8 > 3:  # the interpreter is taken down, and with it every object
        orderly = lambda: sys.exit(0)
    else:
        orderly = lambda: os._exit(0)
    said, seconds = in_child(lambda: kind(number))
    if said == "wrote":
        written[apps[number % APPS]] += 1
    results[f"{kind.__name__}: {said}"] += 1
    slowest = max(slowest, seconds)
    time.sleep(0.01)
before = dict(rounds)
time.sleep(0.5)
went_on = all(rounds[number] > before[number] for number in before)
stop.set()
for thread in threads:
    thread.join(20)
alive = [thread.name for thread in threads if thread.is_alive()]
if not alive:
    databases.close()
print(json.dumps({"results": results, "slowest": slowest, "faults": faults, "alive": alive,
                  "went_on": went_on, "written": written}), flush=True)
os._exit(0)
"""


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    place = make_installation(tmp_path / "data")
    with closing(sqlite3.connect(place.global_db)) as connection, connection:
        names = [(f"app-{number}",) for number in range(APPS)]
        connection.executemany("INSERT INTO apps (name) VALUES (?)", names)
    return place.root


def run(data_dir: Path, script: str, arguments: Sequence[object] = ()) -> Any:  # noqa: ANN401 - JSON
    """Run a script that forks; return what it printed."""
    command = [sys.executable, "-c", PRELUDE + script, str(data_dir), *map(str, arguments)]
    done = subprocess.run(
        command, cwd=CHECKOUT, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return json.loads(done.stdout)


def rows(data_dir: Path, app: str) -> int:
    path = data_dir / "apps" / app / "app.db"
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    return int(query(path, "SELECT count(*) FROM vods")[0][0])


@pytest.mark.slow
def test_forks_under_busy_threads_work_or_are_refused_and_harm_nobody(data_dir: Path) -> None:
    """Every child ends within a second; every row that anybody was told of is there."""
    found = run(data_dir, BUSY, (FORKS, APPS))
    results = Counter(found["results"])
    figures.count("forks under 6 busy threads", results.total())
    said = {result.split(": ", 1)[1] for result in results}
    assert said <= {"wrote", "done", "ForkedAmidThreadsError", "ForkedInSessionError"}, results
    assert results.total() == FORKS
    assert found["slowest"] < 1, results
    assert (found["faults"], found["alive"], found["went_on"]) == ([], [], True)
    held = {f"app-{number}": rows(data_dir, f"app-{number}") for number in range(APPS)}
    assert held == found["written"]


IDLE = """
databases = Databases(data_dir)
stop = threading.Event()
threads = [threading.Thread(target=stop.wait) for _ in range(6)]
for thread in threads:
    thread.start()
add(databases, "app-0", "parent before")

def inherited():
    add(databases, "app-0", "inherited")
    databases.close()

def new():
    with Databases(data_dir) as fresh:
        add(fresh, "app-0", "new")

said = [in_child(inherited)[0], in_child(new)[0]]
add(databases, "app-0", "parent after")
databases.close()
stop.set()
print(json.dumps(said))
"""

ASYNCIO = """
from streamhub_orm.aio import AsyncDatabases

async def count(databases):
    session = databases.app_session("app-0", read_only=True)
    return await session.run(lambda it: it.scalar(sa.text("SELECT count(*) FROM vods")))

async def child():
    try:
        await asyncio.wait_for(count(used), 2)
    finally:
        await used.close()

async def parent():
    await count(used)
    said = await asyncio.to_thread(in_child, lambda: asyncio.run(child()))
    assert await count(used) == 0
    await used.close()
    return said[0]

unused, used = AsyncDatabases(data_dir), AsyncDatabases(data_dir)
said = [in_child(lambda: asyncio.run(count(unused)) and None)[0], asyncio.run(parent())]
print(json.dumps(said))
"""

# The thread is inside SQLite, and holds a mutex of it, when the process forks.
INSIDE_SQLITE = """
import contextlib, logging
from streamhub_orm.services.log_handler import ServerLogHandler
from streamhub_orm.data_dir import DataDir
from streamhub_orm.upgrade import upgrade_installation

LONG = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
databases = Databases(data_dir)
log = ServerLogHandler(DataDir.find(data_dir))

def stay_inside():
    with databases.app_session("app-0", read_only=True) as session:
        raw = session.connection().connection.driver_connection
        inside.append(raw)
        with contextlib.suppress(sqlite3.OperationalError):
            raw.execute(LONG).fetchone()

inside = []
thread = threading.Thread(target=stay_inside)
thread.start()
while not inside:
    time.sleep(0.01)
time.sleep(0.2)

def drop():
    global databases
    databases = None

def write_log():
    log.emit(logging.makeLogRecord({"msg": "x"}))
    assert log.dropped == 1
    log.flush()

orderly = lambda: sys.exit(0)
said = [in_child(work)[0] for work in (
    lambda: add(databases, "app-1", "x"),
    lambda: add(Databases(data_dir), "app-1", "x"),
    lambda: upgrade_installation(data_dir) and None,
    drop, write_log, lambda: inside[0].close(),
)]
inside[0].interrupt()
thread.join()
add(databases, "app-0", "parent after")
databases.close()
log.close()
print(json.dumps(said))
"""


def test_child_of_a_process_whose_threads_are_idle_works(data_dir: Path) -> None:
    """Its own connections, and those of a new object, are as durable as the parent's."""
    assert run(data_dir, IDLE) == ["done", "done"]
    assert rows(data_dir, "app-0") == 4


def test_child_is_refused_the_parents_event_loop(data_dir: Path) -> None:
    """One that was not used yet has neither loop nor threads, and works."""
    assert run(data_dir, ASYNCIO) == ["done", "ForkedAmidThreadsError"]


def test_child_of_a_fork_inside_sqlite_touches_nothing_of_it(data_dir: Path) -> None:
    """Neither work nor the end of the interpreter waits for what nobody will give back."""
    refused = ["ForkedAmidThreadsError"] * 3
    assert run(data_dir, INSIDE_SQLITE) == [*refused, "done", "done", "done"]
    assert rows(data_dir, "app-0") == 1
