"""Programs that log and end in every way: `python -m tests.services.log_attacks NAME DIR`."""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from streamhub_orm import Databases
from streamhub_orm.data_dir import DataDir
from streamhub_orm.global_db import Tenant
from streamhub_orm.services.log_handler import ServerLogHandler, open_log

if TYPE_CHECKING:
    from collections.abc import Callable

LINES = 3000
LOG = logging.getLogger("attack")


def handler_at(place: DataDir) -> ServerLogHandler:
    handler = ServerLogHandler(place)
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    return handler


def log_lines(who: str, count: int = LINES) -> None:
    for number in range(count):
        LOG.info("%s %d", who, number)


def end_orderly(place: DataDir) -> None:
    """End without a word to the handler; even a line of the very end arrives."""
    handler_at(place)
    atexit.register(LOG.info, "the last line")
    log_lines("orderly")


def end_by_an_error(place: DataDir) -> None:
    handler_at(place)
    log_lines("error")
    sys.exit(3)


def killed_after_close(place: DataDir) -> None:
    handler = handler_at(place)
    log_lines("killed")
    handler.close()
    os.kill(os.getpid(), signal.SIGKILL)


def killed_after_flush(place: DataDir) -> None:
    handler = handler_at(place)
    log_lines("killed")
    handler.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def first_line_at_the_end(place: DataDir) -> None:
    """No thread may be running yet, and newer Pythons start none any more."""
    handler_at(place)
    atexit.register(log_lines, "late", 10)


def forks(place: DataDir) -> None:
    """Fork thirty times in the middle of the writing, with a session of the same file beside it."""
    handler = handler_at(place)
    with Databases(place.root) as databases:
        for number in range(30):
            log_lines(f"parent-{number}", 100)
            child = os.fork()
            if child == 0:
                log_lines(f"child-{number}", 100)
                with databases.global_session() as session:
                    session.add(Tenant(id=f"t{number}", name="x"))
                handler.flush()
                os._exit(0 if handler.dropped == 0 else 1)
            with databases.global_session() as session:
                session.add(Tenant(id=f"p{number}", name="x"))
            _, status = os.waitpid(child, 0)
            if status:
                sys.exit(4)


def forks_amid_threads(place: DataDir) -> None:
    """Other threads log and the database is locked now and then while children come and go."""
    handler = handler_at(place)
    stop = threading.Event()

    def chatter(name: str) -> None:
        number = 0
        while not stop.is_set():
            LOG.info("%s %d", name, number)
            number += 1
            time.sleep(0.0005)

    threads = [threading.Thread(target=chatter, args=(f"thread-{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    for number in range(20):
        child = os.fork()
        if child == 0:
            log_lines(f"child-{number}", 20)
            handler.flush()
            os._exit(0 if handler.dropped == 0 else 1)
        _, status = os.waitpid(child, 0)
        if status:
            stop.set()
            sys.exit(4)
    stop.set()
    for thread in threads:
        thread.join()


def multiprocessing_children(place: DataDir) -> None:
    """Such children end without atexit, and call nothing."""
    handler_at(place)
    log_lines("parent", 10)
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=log_lines, args=(f"child-{n}", 50)) for n in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    sys.exit(max(child.exitcode or 0 for child in children))


def log_and_flush(who: str, count: int) -> None:
    log_lines(who, count)
    LOG.handlers[0].flush()


def pools(place: DataDir) -> None:
    """One that is joined, and one whose `with` ends its workers by SIGTERM."""
    handler_at(place)
    context = multiprocessing.get_context("fork")
    pool = context.Pool(2)
    pool.starmap(log_lines, [(f"joined-{task}", 20) for task in range(8)])
    pool.close()
    pool.join()
    with context.Pool(2) as pool:
        pool.starmap(log_and_flush, [(f"flushed-{task}", 20) for task in range(8)], chunksize=1)


def everything_logged(place: DataDir) -> None:
    """The root logger at its lowest level, SQLAlchemy's own lines among them."""
    with open_log(place, level=logging.DEBUG), Databases(place.root) as databases:
        for name in ("", "sqlalchemy.engine", "sqlalchemy.pool", "streamhub_orm"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        for number in range(20):
            logging.getLogger("attack").info("line %d", number)
            with databases.global_session() as session:
                session.connection().exec_driver_sql("SELECT 1")
            time.sleep(0.05)


ATTACKS: dict[str, Callable[[DataDir], None]] = {
    attack.__name__: attack
    for attack in (
        end_orderly,
        end_by_an_error,
        killed_after_close,
        killed_after_flush,
        first_line_at_the_end,
        forks,
        forks_amid_threads,
        multiprocessing_children,
        pools,
        everything_logged,
    )
}

if __name__ == "__main__":
    ATTACKS[sys.argv[1]](DataDir.find(Path(sys.argv[2])))
