"""Ctrl-C waits for the file at hand, once."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.upgrade.interrupts import Interrupts
from streamhub_orm.upgrade.workers import run_on_each

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _handler_of_python() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_first_interrupt_is_raised_between_two_files() -> None:
    """Work that is under way is not broken off."""
    with Interrupts() as interrupts:
        interrupts.stop_if_any()
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupts.stop_if_any()


def test_first_interrupt_is_acknowledged_with_what_it_waits_for() -> None:
    told: list[list[str]] = []
    with Interrupts(told.append) as interrupts:
        interrupts.at_hand = ["live", "radio"]
        signal.raise_signal(signal.SIGINT)
    assert told == [["live", "radio"]]


def _sleep_but_for_the_first(item: str, _progress: object) -> str:
    if item != "0":
        time.sleep(60)
    return item


@pytest.mark.parametrize("is_closing", [False, True])
def test_second_interrupt_ends_workers_within_a_second(*, is_closing: bool) -> None:
    """Whether it comes while they work, or while the first one waits for them."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    told: list[list[str]] = []
    items = [str(number) for number in range(16)]
    outcomes = run_on_each(
        _sleep_but_for_the_first, items, jobs=2, at_hand=told.append, breaks_off=lambda: True
    )
    try:
        assert next(outcomes) == ("0", "0")
        assert len(told[-1]) == 2
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        started = time.monotonic()
        end = outcomes.close if is_closing else partial(next, outcomes)
        with pytest.raises(KeyboardInterrupt):
            end()
        assert time.monotonic() - started < 1
        assert multiprocessing.active_children() == []
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_second_interrupt_is_raised_at_once() -> None:
    """Who presses again does not want to wait."""
    with Interrupts():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_handler_of_python_is_back_afterwards() -> None:
    """Whether an interrupt came or not."""
    for times in (0, 1):
        with Interrupts():
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_handler_of_the_program_stays() -> None:
    """A service that calls `upgrade()` decides for itself."""

    def own(_number: int, _frame: object) -> None:
        pass

    signal.signal(signal.SIGINT, own)
    with Interrupts():
        assert signal.getsignal(signal.SIGINT) is own
    assert signal.getsignal(signal.SIGINT) is own


def test_other_threads_hold_nothing() -> None:
    """Only the main thread may set a handler; elsewhere the upgrade just runs."""
    failed: list[BaseException] = []

    def work() -> None:
        try:
            with Interrupts() as interrupts:
                interrupts.stop_if_any()
        except BaseException as error:  # noqa: BLE001 - for the main thread
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failed == []
