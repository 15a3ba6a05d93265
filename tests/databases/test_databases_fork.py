"""Fork: parent and child both go on with the `Databases` that was made before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.migrations.built import query

if TYPE_CHECKING:
    from tests.databases.conftest import MakeFresh

CHECKOUT = Path(__file__).parents[2]

# Run in a process of its own: pytest's threads must not be forked. `tell` and `wait` put the steps
# of parent and child in order.
PRELUDE = """
import os, sys, threading
from pathlib import Path
import sqlalchemy as sa
from streamhub_orm import Databases

to_child, to_parent = os.pipe(), os.pipe()
tell = lambda pipe: os.write(pipe[1], b"x")
wait = lambda pipe: os.read(pipe[0], 1)
INSERT = sa.text("INSERT INTO vods (app_id, name) VALUES (1, :name)")
data_dir = Path(sys.argv[1])
databases = Databases(data_dir)

def add(name, app="live"):
    with databases.app_session(app) as session:
        session.execute(INSERT, {"name": name})

def end(child):
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

"""


def run_forking(data_dir: Path, script: str) -> list[str]:
    """Run a script that forks; return the names of the VODs that are there afterwards."""
    command = [sys.executable, "-W", "error", "-c", PRELUDE + script, str(data_dir)]
    done = subprocess.run(
        command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    path = data_dir / "apps" / "live" / "app.db"
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    return sorted(name for (name,) in query(path, "SELECT name FROM vods"))


IN_TURN = """
add("parent before")
child = os.fork()
if not child:
    add("child")
    databases.close()
    os._exit(0)
end(child)
add("parent after")
databases.close()
"""

CHILD_CLOSES_FIRST = """
add("parent before")
child = os.fork()
if not child:
    add("child")
    databases.close()
    tell(to_parent)
    os._exit(0)
wait(to_parent)
add("parent while the child ends")
end(child)
add("parent after")
databases.close()
"""

AT_ONCE = """
add("parent before")
child = os.fork()
name = "parent" if child else "child"
for number in range(40):
    add(f"{name} {number:02}")
databases.close()
if not child:
    os._exit(0)
end(child)
"""

NOT_OPENED_BEFORE = """
child = os.fork()
if not child:
    add("child")
    with databases.global_session() as session:
        assert session.scalar(sa.text("SELECT count(*) FROM apps"))
    databases.close()
    os._exit(0)
end(child)
add("parent")
databases.close()
"""

PARENT_CLOSES_FIRST = """
add("parent before")
child = os.fork()
if not child:
    add("child one")
    tell(to_parent)
    wait(to_child)
    add("child two")
    databases.close()
    os._exit(0)
wait(to_parent)
databases.close()
tell(to_child)
end(child)
"""

NEW_IN_THE_CHILD = """
add("parent before")
child = os.fork()
if not child:
    databases = Databases(data_dir)
    add("child one")
    tell(to_parent)
    wait(to_child)
    add("child two")
    os._exit(0)
wait(to_parent)
databases.close()
tell(to_child)
end(child)
"""

LEFT_BY_THE_CHILD = """
from streamhub_orm.errors import ForkedInSessionError

add("parent before")
try:
    with databases.app_session("live") as session:
        session.execute(INSERT, {"name": "parent"})
        child = os.fork()
        if not child and sys.argv[2:]:
            raise KeyError
except ForkedInSessionError:
    assert not child and not sys.argv[2:]
except KeyError:
    assert not child
else:
    assert child
if not child:
    with databases.app_session("tv-2") as session:
        session.execute(sa.text("INSERT INTO vods (app_id, name) VALUES (2, 'child')"))
    try:
        with Databases(data_dir).app_session("live") as session:
            session.execute(INSERT, {"name": "child"})
    except ForkedInSessionError:
        sys.exit(0)
    os._exit(1)
end(child)
add("parent after")
databases.close()
"""

SESSION_OPEN_AT_FORK = """
from streamhub_orm.app_db import Vod
from streamhub_orm.errors import ForkedInSessionError
from streamhub_orm.services import vods

add("parent before")
with databases.app_session("live", read_only=True) as reading:
    reading.execute(sa.text("SELECT count(*) FROM vods"))
    child = os.fork()
    if not child:
        for use in (
            lambda: add("child"),
            lambda: reading.execute(sa.text("SELECT count(*) FROM vods")),
            lambda: reading.get(Vod, 1),
            lambda: vods.get(reading, 1),
        ):
            try:
                use()
            except ForkedInSessionError as error:
                assert "app 'live'" in str(error)
                assert "start a new process" in error.todo
            else:
                os._exit(1)
        os._exit(0)
    end(child)
add("parent after")
databases.close()
"""

LOCK_HELD_AT_FORK = """
def hold():
    with databases._apps._changed:
        tell(to_parent)
        wait(to_child)

add("parent before")
holder = threading.Thread(target=hold)
holder.start()
wait(to_parent)
child = os.fork()
if not child:
    add("child")
    databases.close()
    os._exit(0)
end(child)
tell(to_child)
holder.join()
add("parent after")
databases.close()
"""


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (IN_TURN, ["child", "parent after", "parent before"]),
        (
            CHILD_CLOSES_FIRST,
            ["child", "parent after", "parent before", "parent while the child ends"],
        ),
        (NOT_OPENED_BEFORE, ["child", "parent"]),
        (LOCK_HELD_AT_FORK, ["child", "parent after", "parent before"]),
    ],
    ids=["in turn", "child closes first", "not opened before", "lock held at fork"],
)
def test_child_and_parent_both_write_after_a_fork(
    make_fresh: MakeFresh, script: str, expected: list[str]
) -> None:
    """Each has connections of its own, so nothing of either is lost."""
    assert run_forking(make_fresh(), script) == expected


def test_child_and_parent_that_write_at_once_lose_nothing(make_fresh: MakeFresh) -> None:
    """Both write forty rows side by side, waiting for each other's lock."""
    names = run_forking(make_fresh(), AT_ONCE)
    assert len(names) == 81


def test_child_keeps_its_rows_when_the_parent_closes_first(make_fresh: MakeFresh) -> None:
    """The parent's close leaves the -wal that the child writes to."""
    names = run_forking(make_fresh(), PARENT_CLOSES_FIRST)
    assert names == ["child one", "child two", "parent before"]


def test_new_databases_in_a_child_keep_their_rows_when_the_parent_closes_first(
    make_fresh: MakeFresh,
) -> None:
    """What the child inherited is closed whoever opens next; left open it made locks void."""
    names = run_forking(make_fresh(), NEW_IN_THE_CHILD)
    assert names == ["child one", "child two", "parent before"]


@pytest.mark.parametrize("fails", [False, True], ids=["at its end", "by an error"])
def test_child_that_leaves_the_parents_session_neither_commits_nor_ends_it(
    make_fresh: MakeFresh, *, fails: bool
) -> None:
    """The row is the parent's to commit; other databases work, this one in no new object either."""
    data_dir = make_fresh(["tv-2"])
    names = run_forking(data_dir, LEFT_BY_THE_CHILD.replace("sys.argv[2:]", str(fails)))
    assert names == ["parent", "parent after", "parent before"]
    assert query(data_dir / "apps" / "tv-2" / "app.db", "SELECT name FROM vods") == [("child",)]


def test_child_is_refused_where_a_session_was_open_at_the_fork(make_fresh: MakeFresh) -> None:
    """What it wrote there could be lost, so it is told; the parent goes on."""
    names = run_forking(make_fresh(), SESSION_OPEN_AT_FORK)
    assert names == ["parent after", "parent before"]
