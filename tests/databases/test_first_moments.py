"""Short sessions of several threads run one after the other; a long one keeps nobody back."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from streamhub_orm import Databases
from streamhub_orm.databases.first_moments import FirstMoments
from streamhub_orm.errors import UnknownAppError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases.conftest import MakeFresh

LONG = 30.0


@pytest.fixture
def other() -> Iterator[ThreadPoolExecutor]:
    """One other thread."""
    with ThreadPoolExecutor(1) as thread:
        yield thread


def test_session_waits_for_the_first_moment_of_another_thread(other: ThreadPoolExecutor) -> None:
    moments = FirstMoments(LONG)
    moment = moments.begin()
    waiting = other.submit(moments.begin)
    with pytest.raises(TimeoutError):
        waiting.result(0.05)
    moments.end(moment)
    assert waiting.result(LONG) is not None


def test_session_that_takes_long_is_not_waited_for(other: ThreadPoolExecutor) -> None:
    """Its end takes nothing from those that came after it."""
    moments = FirstMoments(0.001)
    long = moments.begin()
    assert long is not None
    second = other.submit(moments.begin).result(LONG)
    assert second is not None
    moments.end(long)  # the moment is the other thread's now
    with ThreadPoolExecutor(1) as third:
        assert third.submit(moments.begin).result(LONG) is not None  # after 1 ms, from the second
    other.submit(moments.end, second).result(LONG)


def test_who_waits_begins_without_a_turn_where_others_have_it_all_the_time(
    other: ThreadPoolExecutor,
) -> None:
    """Each moment is another one, and short: nobody is slow, and nobody waits without end."""
    moments = FirstMoments(0.01)
    held = [moments.begin()]
    waiting = other.submit(moments.begin)
    deadline = monotonic() + LONG
    while not waiting.done() and monotonic() < deadline:
        moments._last = object()  # as if another session had begun meanwhile
    assert waiting.result(LONG) is None
    moments.end(held[0])


def test_statement_that_computes_lets_others_begin_before_it_ends(
    other: ThreadPoolExecutor,
) -> None:
    """On a machine of many processors they compute side by side."""
    moments = FirstMoments(LONG)
    with closing(sqlite3.connect(":memory:", check_same_thread=False)) as connection:
        moments.watch(connection)
        begun: list[object] = []
        waiting = []

        def in_the_midst(number: int) -> int:
            if number == 1:
                waiting.append(other.submit(moments.begin))
            elif number == 50_000:
                begun.append(waiting[0].result(LONG))
            return number

        connection.create_function("seen", 1, in_the_midst)
        moment = moments.begin()
        assert moment is not None
        (total,) = connection.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) "
            "SELECT count(seen(i)) FROM n"
        ).fetchone()
        moments.end(moment)
    assert total == 50_000
    assert len(begun) == 1


def test_short_statement_keeps_its_moment(other: ThreadPoolExecutor) -> None:
    moments = FirstMoments(LONG)
    with closing(sqlite3.connect(":memory:")) as connection:
        moments.watch(connection)
        moment = moments.begin()
        connection.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) "
            "SELECT i FROM n"
        ).fetchall()
        waiting = other.submit(moments.begin)
        with pytest.raises(TimeoutError):
            waiting.result(0.05)
        moments.end(moment)
        assert waiting.result(LONG) is not None


def test_block_within_a_block_does_not_wait_for_its_own_thread() -> None:
    moments = FirstMoments(LONG)
    outer = moments.begin()
    assert outer is not None
    inner = moments.begin()
    moments.end(inner)
    moments.end(outer)
    assert moments.begin() is not None


def test_block_may_end_in_another_thread(other: ThreadPoolExecutor) -> None:
    """As those of a generator do that a server runs in a pool."""
    moments = FirstMoments(LONG)
    other.submit(moments.end, moments.begin()).result(LONG)
    assert other.submit(moments.begin).result(LONG) is not None


def test_session_that_could_not_begin_keeps_nobody_back(
    make_fresh: MakeFresh, other: ThreadPoolExecutor
) -> None:
    """The next one of another thread begins at once, and is the one in its first moment."""
    with Databases(make_fresh([])) as databases:
        with pytest.raises(UnknownAppError), databases.app_session("nope"):
            pass
        moments = databases._apps.moments
        assert moments is not None
        moment = other.submit(moments.begin).result(LONG)
        assert moment is not None
        moments.end(moment)


def test_sessions_of_all_databases_share_one_moment_and_waiting_for_each_other_ends(
    make_fresh: MakeFresh, other: ThreadPoolExecutor
) -> None:
    """A session that waits for a thread, which waits for it, goes on."""
    with Databases(make_fresh()) as databases:
        begun = Event()

        def read() -> None:
            with databases.global_session(read_only=True):
                begun.set()

        with databases.app_session("live", read_only=True):
            reading = other.submit(read)
            assert begun.wait(LONG)
        reading.result(LONG)
        assert databases._apps.moments is databases._global.moments
