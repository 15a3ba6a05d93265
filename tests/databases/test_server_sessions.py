"""Sessions on a control plane keep the promises of those on a file."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from streamhub_orm import Databases, retrying
from streamhub_orm.app_db import Vod
from streamhub_orm.errors import (
    ControlPlaneBusyError,
    HiddenValueError,
    SessionEndedError,
    StoredValueError,
    StrayRowError,
    TransactionConflictError,
)
from streamhub_orm.global_db import App, MagicToken, Tenant, User
from streamhub_orm.postgresql import engine
from streamhub_orm.schema import utc_now
from streamhub_orm.services import tenants, users
from streamhub_orm.services.core import PointQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.orm import Session

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.testing.postgresql import PostgresServer

CHECKOUT = Path(__file__).parents[2]
SQLITE, POSTGRESQL = "sqlite", "postgresql"
BY_NAME = PointQuery(sa.select(User.id).where(User.email == sa.bindparam("email")), "email")
BY_FLAG = PointQuery(sa.select(App.id).where(App.id == sa.bindparam("id")), "id")
COUNT = sa.select(sa.func.count(Tenant.id))


@pytest.fixture
def databases(streamhub_place: DataDir, streamhub_global_url: str) -> Iterator[Databases]:
    with Databases(streamhub_place.root, global_url=streamhub_global_url) as opened:
        yield opened


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def on_each(streamhub_place: DataDir, request: pytest.FixtureRequest) -> Iterator[Databases]:
    """An installation whose global database is a file, and one where it is on a server."""
    on_server = request.param == POSTGRESQL
    url = request.getfixturevalue("streamhub_global_url") if on_server else None
    with Databases(streamhub_place.root, global_url=url) as opened:
        yield opened


def add(databases: Databases, tenant_id: str) -> None:
    with databases.global_session() as session:
        session.add(Tenant(id=tenant_id, name=tenant_id))


def rename(session: Session, name: str) -> None:
    session.execute(sa.update(Tenant).values(name=name))


def test_session_that_reads_sees_one_snapshot_and_cannot_write(on_each: Databases) -> None:
    """And what SQL refuses stays SQLAlchemy's error, on a server too."""
    with on_each.global_session(read_only=True) as session:
        assert session.scalar(COUNT) == 1
        add(on_each, "acme")
        assert session.scalar(COUNT) == 1
    for way in (
        lambda session: session.execute(sa.update(Tenant).values(name="x")),
        lambda session: session.add(Tenant(id="y", name="y")),
    ):
        with pytest.raises(sa.exc.DBAPIError, match=r"readonly|read-only"):
            on_each.global_session(read_only=True).run(way)
    with on_each.global_session(read_only=True) as session:
        assert set(session.scalars(sa.select(Tenant.id))) == {"platform", "acme"}
        assert session.get_one(Tenant, "platform").name == "Platform"


def test_two_that_change_one_row_conflict_and_the_second_leaves_nothing(
    databases: Databases,
) -> None:
    def work(session: Session) -> None:
        session.add(Tenant(id="gone", name="gone"))
        session.flush()
        databases.global_session().run(rename, "first")
        rename(session, "second")

    with pytest.raises(TransactionConflictError) as caught, databases.global_session() as session:
        work(session)
    assert caught.value.may_be_repeated
    assert databases.place.global_url is not None
    assert str(databases.place.global_url) in str(caught.value)
    with pytest.raises(SessionEndedError):
        session.scalar(COUNT)
    with databases.global_session(read_only=True) as session:
        assert session.execute(sa.select(Tenant.id, Tenant.name)).all() == [("platform", "first")]


def test_two_of_which_each_reads_what_the_other_writes_conflict_at_the_commit(
    databases: Databases,
) -> None:
    """Each would be right alone; together they would leave a state that neither has seen."""

    def count_and_add(session: Session, tenant_id: str) -> None:
        assert session.scalar(COUNT) == 1
        session.add(Tenant(id=tenant_id, name="x"))
        session.flush()

    def work() -> None:
        with databases.global_session() as session:
            count_and_add(session, "second")
            databases.global_session().run(count_and_add, "first")

    with pytest.raises(TransactionConflictError):
        work()
    with databases.global_session(read_only=True) as session:
        assert set(session.scalars(sa.select(Tenant.id))) == {"platform", "first"}


def test_function_is_run_again_until_it_is_done_or_twelve_times(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "_MOST_CONFLICTS", 4)
    calls: list[str] = []

    def work(session: Session, conflicts: int) -> str:
        session.connection()
        assert session.scalar(COUNT) == 1
        calls.append("x")
        if len(calls) <= conflicts:
            databases.global_session().run(rename, str(len(calls)))
        rename(session, "done")
        return "done"

    assert databases.global_session().run(work, 2) == "done"
    assert len(calls) == 3
    calls.clear()
    with pytest.raises(TransactionConflictError):
        databases.global_session().run(work, 99)
    assert len(calls) == 4
    with databases.global_session(read_only=True) as session:
        assert session.scalar(sa.select(Tenant.name)) == "4"


def test_functions_that_lock_each_other_out_are_both_done(databases: Databases) -> None:
    """The server ends one of two that wait for each other; it is done again."""
    for tenant_id in ("a", "b"):
        add(databases, tenant_id)
    gate, calls = threading.Barrier(2), []

    def work(session: Session, first: str, second: str) -> None:
        calls.append(first)
        for tenant_id in (first, second):
            changed = sa.update(Tenant).where(Tenant.id == tenant_id)
            session.execute(changed.values(plan=Tenant.plan + first))
            if len(calls) <= 2 and tenant_id == first:
                gate.wait(10)

    run = databases.global_session
    with ThreadPoolExecutor(2) as threads:
        for job in [threads.submit(run().run, work, *it) for it in ("ab", "ba")]:
            job.result(20)
    assert len(calls) > 2
    with databases.global_session(read_only=True) as session:
        plans = session.scalars(sa.select(Tenant.plan).where(Tenant.id.in_(["a", "b"]))).all()
    assert [sorted(str(plan)[-2:]) for plan in plans] == [["a", "b"], ["a", "b"]]


def test_sessions_of_one_turn_wait_and_see_what_the_last_one_wrote(on_each: Databases) -> None:
    """Of another turn they do not wait for each other on a server."""

    def work(number: int) -> None:
        with on_each.global_session(turn="count") as session:
            count = session.scalar(COUNT)
            session.add(Tenant(id=f"t{number}", name=str(count)))

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(6)))
    with on_each.global_session(read_only=True) as session:
        names = session.scalars(sa.select(Tenant.name).where(Tenant.id != "platform")).all()
    assert sorted(names) == ["1", "2", "3", "4", "5", "6"]


def test_turn_is_given_up_with_the_session_however_it_ends(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_LOCK_TIMEOUT", "-c lock_timeout=100ms")
    with Databases(databases.place.root, global_url=url_of(databases)) as impatient:
        with impatient.global_session(turn="one"), impatient.global_session(turn="other"):
            with (
                pytest.raises(ControlPlaneBusyError, match="lock_timeout") as caught,
                impatient.global_session(turn="one"),
            ):
                pytest.fail("two have one turn")
            assert caught.value.may_be_repeated
        with pytest.raises(KeyError), impatient.global_session(turn="one"):
            raise KeyError
        with impatient.global_session(turn="one") as session:
            assert session.scalar(COUNT) == 1


def url_of(databases: Databases) -> str:
    assert databases.place.global_url is not None
    return databases.place.global_url.url.render_as_string(hide_password=False)


WAYS: dict[str, Callable[[Session, Any], object]] = {
    "row": lambda session, it: session.add(Tenant(id="x", name=it)),
    "insert": lambda session, it: session.execute(sa.insert(Tenant).values(id="x", name=it)),
    "many": lambda session, it: session.execute(
        sa.insert(Tenant), [{"id": "x", "name": "x"}, {"id": "y", "name": it}]
    ),
    "update": lambda session, it: session.execute(sa.update(Tenant).values(name=it)),
    "query": lambda session, it: session.scalar(sa.select(Tenant.id).where(Tenant.name == it)),
    "point query": BY_NAME.first,
}
SECRETS = ("hash-of-a-token", "ann@private.example")
HALF = "half a pair \ud83d"


@pytest.mark.parametrize("way", WAYS)
def test_half_a_surrogate_pair_is_refused_unshown_on_both(on_each: Databases, way: str) -> None:
    with pytest.raises(HiddenValueError) as caught:
        on_each.global_session().run(WAYS[way], HALF)
    assert "half a pair " not in f"{caught.value!s}{caught.value!r}"
    with on_each.global_session(read_only=True) as session:
        assert session.scalar(COUNT) == 1


@pytest.mark.parametrize("way", WAYS)
def test_nul_is_refused_unshown_on_a_server(databases: Databases, way: str) -> None:
    with pytest.raises(HiddenValueError, match="NUL") as caught:
        databases.global_session().run(WAYS[way], "secret\0")
    assert "secret" not in f"{caught.value!s}{caught.value!r}"
    with databases.global_session(read_only=True) as session:
        assert session.scalar(COUNT) == 1


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**40])
def test_number_beyond_64_bits_is_refused_on_both(on_each: Databases, number: int) -> None:
    for way in (
        lambda session: session.add(App(id=number, name="tv-9")),
        lambda session: session.scalar(sa.select(App.id).where(App.id == number)),
        lambda session: BY_FLAG.first(session, number),
    ):
        with pytest.raises(StoredValueError):
            on_each.global_session().run(way)


def test_values_of_a_unique_violation_are_in_no_text_of_the_error(on_each: Databases) -> None:
    """The server tells them as DETAIL: a token's hash, or an e-mail address."""
    link = {"token_hash": SECRETS[0], "email": SECRETS[1]}
    values = {**link, "created_at": utc_now(), "expires_at": utc_now()}

    def add_twice(session: Session) -> None:
        for _ in range(2):
            session.execute(sa.insert(MagicToken).values(**values))

    with pytest.raises(sa.exc.IntegrityError) as caught:
        on_each.global_session().run(add_twice)
    error = caught.value
    shown = "".join(traceback.format_exception(error))
    for text in (str(error), repr(error), str(error.orig), repr(error.orig), shown):
        assert not [secret for secret in SECRETS if secret in text]


def test_stray_rows_are_refused_there_too(databases: Databases) -> None:
    with pytest.raises(StrayRowError), databases.global_session() as session:
        session.add(Vod(name="x"))


def test_what_a_session_loaded_can_be_read_after_its_end(databases: Databases) -> None:
    with databases.global_session() as session:
        ann = users.create(session, "ann@example.org", name="Ann")
        team = tenants.create(session, "Team", ann.id)
    assert (ann.email, team.name) == ("ann@example.org", "Team")


FORK = """
import os, sys
import sqlalchemy as sa
from streamhub_orm import Databases
from streamhub_orm.global_db import Tenant

PID = sa.text("SELECT pg_backend_pid()")
databases = Databases(sys.argv[1])
ask = lambda: databases.global_session().run(lambda session: session.scalar(PID))
add = lambda name: databases.global_session().run(
    lambda session: session.add(Tenant(id=name, name=name)))
before = ask()
read, write = os.pipe()
child = os.fork()
if not child:
    add("child")
    os.write(write, str(ask()).encode())
    databases.close()
    sys.exit(0)
add("parent")
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert ask() == before, "the child has closed the parent's connection"
assert int(os.read(read, 20)) != before, "the child has the parent's connection"
databases.close()
"""


def test_child_after_fork_has_connections_of_its_own(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMHUB_GLOBAL_URL", url_of(databases))
    command = [sys.executable, "-W", "error", "-c", FORK, str(databases.place.root)]
    done = subprocess.run(
        command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    with databases.global_session(read_only=True) as session:
        assert set(session.scalars(sa.select(Tenant.id))) == {"platform", "parent", "child"}


def test_connections_of_a_process_are_bounded_and_given_back(
    databases: Databases, postgres: PostgresServer
) -> None:
    def read(_: int) -> int:
        with databases.global_session(read_only=True) as session:
            return session.scalar(COUNT) or 0

    with ThreadPoolExecutor(24) as threads:
        assert set(threads.map(read, range(400))) == {1}
    assert databases.place.global_url is not None
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
    with postgres.connect() as connection:
        name = databases.place.global_url.url.database
        (count,) = connection.execute(query, (name,)).fetchone() or (None,)
    assert isinstance(count, int)
    assert 1 <= count <= engine.READY_CONNECTIONS


def test_no_text_of_the_databases_shows_the_password(databases: Databases) -> None:
    password = re.search(r":([^:@/]+)@", url_of(databases))
    assert password is not None
    url = databases.place.global_url
    for text in (repr(databases), repr(databases.place), repr(url), str(url)):
        assert password[1] not in text
