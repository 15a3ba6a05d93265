"""Worker processes: nothing they are given is lost, and none of them outlives its parent."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.upgrade.workers import WorkerDiedError, run_on_each

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamhub_orm.legacy.progress import Progress

CHECKOUT = Path(__file__).parents[2]
ITEMS = [f"item-{number:02}" for number in range(24)]


def length_and_process(item: str, _progress: Progress) -> tuple[int, int]:
    time.sleep(0.01)  # long enough for every process to get its share
    return len(item), os.getpid()


def die_on(victims: dict[str, int], item: str, _progress: Progress) -> str:
    if item in victims:
        os.kill(os.getpid(), victims[item])
    return item


def fail_on(victim: str, item: str, _progress: Progress) -> str:
    if item == victim:
        raise ValueError(item)
    return item


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_alive(process: int) -> bool:
    """Tell whether a process runs; one that ended and waits to be reaped does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_results_come_for_every_item_from_other_processes() -> None:
    """Each item is answered once, by one of as many processes as there are jobs."""
    found = list(run_on_each(length_and_process, ITEMS, jobs=3))
    assert sorted(item for item, _ in found) == ITEMS
    answers = [it for _, it in found if not isinstance(it, WorkerDiedError)]
    assert [length for length, _ in answers] == [7] * len(ITEMS)
    processes = {process for _, process in answers}
    assert len(processes) == 3
    assert os.getpid() not in processes
    assert not any(map(is_alive, processes))


def test_process_with_other_threads_does_the_work_itself() -> None:
    """A worker would inherit what they hold, and nobody there gives it back."""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        found = list(run_on_each(length_and_process, ITEMS, jobs=3))
    finally:
        stop.set()
        thread.join()
    assert found == [(item, (7, os.getpid())) for item in ITEMS]


def wait_for_others(folder: Path, item: str, _progress: Progress) -> str:
    """Take as long with the first item as all the others take, the one ahead of it included."""
    if item == ITEMS[0]:
        wait_until(lambda: len(list(folder.iterdir())) == len(ITEMS) - 1)
    (folder / item).touch()
    return item.upper()


def test_big_item_keeps_no_other_waiting(tmp_path: Path) -> None:
    """The others go on in their order; what was meant for the busy worker is done at the end."""
    found = list(run_on_each(partial(wait_for_others, tmp_path), ITEMS, jobs=2))
    assert [item for item, _ in found] == [ITEMS[1], *ITEMS[3:], ITEMS[2], ITEMS[0]]
    assert [result for _, result in found] == [item.upper() for item, _ in found]


@pytest.mark.parametrize(("items", "jobs"), [(ITEMS[:15], 4), (ITEMS, 1), ([], 4)])
def test_few_items_or_one_job_are_done_in_this_process(items: list[str], jobs: int) -> None:
    """Starting workers would take longer; the order is that of the items."""
    found = list(run_on_each(length_and_process, items, jobs=jobs))
    assert found == [(item, (7, os.getpid())) for item in items]


@pytest.mark.parametrize("victims", [ITEMS[:1], ITEMS[-1:], ITEMS[3:9], ITEMS])
def test_worker_that_dies_costs_only_the_item_it_had(victims: list[str]) -> None:
    """The item is named with the status of its process, and all the others are done."""
    work = partial(die_on, dict.fromkeys(victims, signal.SIGKILL))
    found = dict(run_on_each(work, ITEMS, jobs=2))
    assert sorted(found) == ITEMS
    for item, result in found.items():
        if item in victims:
            assert isinstance(result, WorkerDiedError)
            assert "status -9" in str(result)
        else:
            assert result == item


def note_under_a_timer(log: Path, item: str, _progress: Progress) -> str:
    """Note that the item is begun; a signal ends this process a few items later."""
    with log.open("a") as file:
        file.write(f"{item}\n")
    if signal.getitimer(signal.ITIMER_REAL)[0] == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # not pytest's own, which would raise
        instant = random.Random(item).uniform(0.0001, 0.003)  # noqa: S311 - not for secrets
        signal.setitimer(signal.ITIMER_REAL, instant)
    return item


def test_workers_that_are_killed_at_any_instant_cost_one_item_each(tmp_path: Path) -> None:
    """In the work, in an answer or on the way to the next item: none is lost, none done twice."""
    items = [f"item-{number:04}" for number in range(800)]
    log = tmp_path / "begun"
    found = list(run_on_each(partial(note_under_a_timer, log), items, jobs=3))
    assert Counter(item for item, _ in found) == Counter(items)
    died = {item: str(result) for item, result in found if isinstance(result, WorkerDiedError)}
    assert len(died) > 3
    assert all(f"status -{signal.SIGALRM}" in message for message in died.values())
    begun = log.read_text().split()
    assert len(begun) == len(set(begun))
    assert set(items).difference(died) <= set(begun)


def test_worker_whose_work_raises_costs_only_the_item_it_had(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """An error that the work lets through ends its process; its traceback goes to stderr."""
    found = dict(run_on_each(partial(fail_on, ITEMS[5]), ITEMS, jobs=2))
    assert isinstance(found[ITEMS[5]], WorkerDiedError)
    assert sum(result == item for item, result in found.items()) == len(ITEMS) - 1
    assert "ValueError: item-05" in capfd.readouterr().err


def kill_and_wait(process: int) -> str:
    """Kill the worker from the parent while it waits for its next item."""
    os.kill(process, signal.SIGKILL)
    wait_until(lambda: not is_alive(process))
    return "answered, then killed"


class LastWord:
    """A result whose arrival in the parent is the end of the worker that sent it."""

    def __reduce__(self) -> tuple[object, ...]:
        return kill_and_wait, (os.getpid(),)


def answer_then_die_on(victim: str, item: str, _progress: Progress) -> object:
    return LastWord() if item == victim else item


def test_worker_that_dies_between_two_items_costs_at_most_the_next() -> None:
    """What it answered counts, and the run goes on with a new worker."""
    found = dict(run_on_each(partial(answer_then_die_on, ITEMS[4]), ITEMS, jobs=2))
    assert sorted(found) == ITEMS
    assert found[ITEMS[4]] == "answered, then killed"
    assert sum(isinstance(result, WorkerDiedError) for result in found.values()) <= 1


def note(folder: Path, item: str, _progress: Progress) -> str:
    (folder / item).touch()
    time.sleep(0 if item == ITEMS[0] else 0.5)
    (folder / item).rename(folder / f"{item}.done")
    return item


def test_interrupt_between_items_ends_those_begun_and_begins_no_other(tmp_path: Path) -> None:
    """When the run is stopped, workers finish what they are at, and are gone afterwards."""
    outcomes = run_on_each(partial(note, tmp_path), ITEMS, jobs=2)
    next(outcomes)
    with pytest.raises(KeyboardInterrupt):
        outcomes.throw(KeyboardInterrupt)
    begun = sorted(entry.name for entry in tmp_path.iterdir())
    done = [f"{item}.done" for item in ITEMS]
    assert begun in (done[:2], done[:3])  # the first worker may have gone on to the third
    time.sleep(0.1)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == begun


RUN = """
import os, signal, sys, time
from pathlib import Path
from streamhub_orm.upgrade.workers import run_on_each

# A suite that a shell has started in the background passes on that SIGINT is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
folder = Path(sys.argv[1])

def work(item, progress):
    (folder / f"{item}.{os.getpid()}").touch()
    time.sleep(0.2)
    (folder / f"{item}.{os.getpid()}").rename(folder / f"{item}.{os.getpid()}.done")
    return item

try:
    for _ in run_on_each(work, [str(number) for number in range(400)], jobs=3):
        pass
except KeyboardInterrupt:
    sys.exit(130)
"""


def start_run(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", RUN, str(folder)]
    process = subprocess.Popen(command, cwd=CHECKOUT, start_new_session=True)
    wait_until(lambda: len(list(folder.iterdir())) > 3)
    return process


def workers_of(folder: Path) -> set[int]:
    return {int(entry.name.split(".")[1]) for entry in folder.iterdir()}


def test_workers_end_when_only_their_parent_is_killed(tmp_path: Path) -> None:
    """SIGKILL leaves the parent no word: its pipes end, and each worker stops after its item."""
    process = start_run(tmp_path)
    workers = workers_of(tmp_path)
    assert len(workers) == 3
    process.kill()
    process.wait()
    wait_until(lambda: not any(map(is_alive, workers)))
    assert all(entry.name.endswith(".done") for entry in tmp_path.iterdir())
    assert len(list(tmp_path.iterdir())) < 400


def test_workers_finish_their_item_when_the_terminal_sends_an_interrupt(tmp_path: Path) -> None:
    """Ctrl-C reaches the whole group: the parent stops, no item is left half done."""
    process = start_run(tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(30) == 130
    assert not any(map(is_alive, workers_of(tmp_path)))
    names = [entry.name for entry in tmp_path.iterdir()]
    assert all(name.endswith(".done") for name in names)
    assert len(names) < 400


STILLBORN = """
import os
from streamhub_orm.upgrade.workers import WorkerDiedError, run_on_each

os.register_at_fork(after_in_child=lambda: os._exit(9))
items = [str(number) for number in range(24)]
found = list(run_on_each(lambda item, progress: item, items, jobs=2))
assert sorted(int(item) for item, _ in found) == list(range(24)), found
assert all(isinstance(it, WorkerDiedError) and "status 9" in str(it) for _, it in found)
"""


def test_workers_that_cannot_even_begin_cost_an_item_each_and_come_to_an_end() -> None:
    """A machine without memory for a process: every item is named, none is tried for ever."""
    done = subprocess.run(
        [sys.executable, "-c", STILLBORN],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(30)
def test_run_that_is_to_go_on_no_more_ends_whoever_had_begun_nothing() -> None:
    """Its workers are told by what follows; one whose next item was taken back hears nothing."""
    for stop in range(1, 25):
        ended: list[str] = []
        each = run_on_each(
            lambda item, _: item,
            ITEMS,
            jobs=4,
            goes_on=lambda: len(ended) < stop,  # noqa: B023
        )
        for item, outcome in each:
            assert outcome == item
            ended.append(item)
        assert stop <= len(ended) <= stop + 8  # one at hand and one ahead for each worker
        assert len(set(ended)) == len(ended)
