"""`Threads`: what runs beside what, and what is left when somebody does not wait for the end."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.admin.threads import Change, Threads
from streamhub_orm.errors import DatabasesClosedError, MaintenanceRunningError, UnforeseenError

if TYPE_CHECKING:
    from streamhub_orm import Databases


class Gate:
    """A function that waits until it is let through, and counts its calls."""

    def __init__(self) -> None:
        self.calls = 0
        self.most = 0
        self.open = threading.Event()
        self.begun = threading.Event()
        self._inside = 0
        self._lock = threading.Lock()

    def __call__(self) -> int:
        with self._lock:
            self.calls += 1
            self._inside += 1
            self.most = max(self.most, self._inside)
        self.begun.set()
        assert self.open.wait(20)
        with self._lock:
            self._inside -= 1
        return self.calls


async def begun(gate: Gate) -> None:
    assert await asyncio.to_thread(gate.begun.wait, 20)


def test_task_that_is_cancelled_leaves_its_change_and_the_turn_until_that_ends() -> None:
    async def story() -> None:
        threads, gate = Threads(), Gate()
        task = asyncio.create_task(threads.change(Change.OPTIMIZE, "live", gate))
        await begun(gate)
        started = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - started < 1
        with pytest.raises(MaintenanceRunningError, match="its optimize still running"):
            await threads.change(Change.PURGE, "live", gate)
        gate.open.set()
        while True:
            try:
                await threads.change(Change.PURGE, "live", gate)
            except MaintenanceRunningError:
                await asyncio.sleep(0.01)
            else:
                break
        assert gate.calls == 2

    asyncio.run(asyncio.wait_for(story(), 30))


def test_task_that_is_cancelled_before_its_turn_does_its_change_all_the_same() -> None:
    """An optimize that waits for another app's; nobody else is kept from that database for ever."""

    async def story() -> None:
        threads, gate, second = Threads(), Gate(), Gate()
        second.open.set()
        first = asyncio.create_task(threads.change(Change.OPTIMIZE, "live", gate))
        await begun(gate)
        waiting = asyncio.create_task(threads.change(Change.OPTIMIZE, "radio", second))
        await asyncio.sleep(0.01)
        assert not second.begun.is_set()
        waiting.cancel()
        gate.open.set()
        assert await first == 1
        await begun(second)
        await asyncio.sleep(0.05)
        assert await threads.change(Change.OPTIMIZE, "radio", second) == 2

    asyncio.run(asyncio.wait_for(story(), 30))


def test_readings_of_one_key_are_one_and_others_are_a_few_at_once() -> None:
    async def story() -> None:
        threads, gate = Threads(), Gate()
        same = [asyncio.create_task(threads.read(gate, key="stats")) for _ in range(20)]
        await begun(gate)
        same[0].cancel()  # the others get it all the same
        with pytest.raises(asyncio.CancelledError):
            await same[0]
        gate.open.set()
        assert await asyncio.gather(*same[1:]) == [1] * 19
        assert await threads.read(gate, key="stats") == 2

        crowd = Gate()
        tasks = [asyncio.create_task(threads.read(crowd)) for _ in range(20)]
        await begun(crowd)
        await asyncio.sleep(0.05)
        crowd.open.set()
        await asyncio.gather(*tasks)
        assert (crowd.calls, crowd.most) == (20, 4)

    asyncio.run(asyncio.wait_for(story(), 30))


def test_end_is_bounded_and_answers_who_waits(streamhub: Databases) -> None:
    """A purge, which works in sessions, ends at its next statement; what waits for SQLite not."""

    async def story() -> None:
        threads, gate = Threads(), Gate()
        purges = threading.Event()

        def purge() -> None:
            while True:
                with streamhub.app_session("live") as session:
                    session.connection().exec_driver_sql("SELECT 1")
                purges.set()

        optimizing = asyncio.create_task(threads.change(Change.OPTIMIZE, "live", gate))
        purging = asyncio.create_task(threads.change(Change.PURGE, "radio", purge))
        reading = asyncio.create_task(threads.read(gate))
        await begun(gate)
        assert await asyncio.to_thread(purges.wait, 20)
        started = time.monotonic()
        await threads.close(0.3)
        assert time.monotonic() - started < 1
        assert threads.cut_off == ["optimize of live"]
        for task in (optimizing, purging, reading):
            with pytest.raises(DatabasesClosedError):
                await task
        with pytest.raises(DatabasesClosedError):
            await threads.read(gate)
        await threads.close(20)
        gate.open.set()

    asyncio.run(asyncio.wait_for(story(), 30))


def test_what_nobody_foresaw_is_an_error_of_the_tree() -> None:
    def fault() -> None:
        message = "a bug"
        raise RuntimeError(message)

    async def story() -> None:
        with pytest.raises(UnforeseenError, match="RuntimeError: a bug"):
            await Threads().read(fault)

    asyncio.run(story())


def test_checks_wait_for_no_reading_and_notes_for_nobody() -> None:
    async def story() -> None:
        threads, gate, noted = Threads(), Gate(), Gate()
        readings = [asyncio.create_task(threads.read(gate)) for _ in range(10)]
        for _ in range(5):
            threads.note("touch 1", noted)
        threads.note("touch 2", noted)
        await begun(gate)
        assert await asyncio.wait_for(threads.check(lambda: "checked"), 5) == "checked"
        await begun(noted)
        noted.open.set()
        gate.open.set()
        await asyncio.gather(*readings)
        await asyncio.sleep(0.1)
        assert (noted.calls, noted.most) == (2, 1)

    asyncio.run(asyncio.wait_for(story(), 30))
