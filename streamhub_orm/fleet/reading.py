"""Reading something from every app.db: a file at a time, or several at once."""

from __future__ import annotations

import os
import sqlite3
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from streamhub_orm.engine.connections import open_read_only, translated
from streamhub_orm.errors import SchemaOutdatedError
from streamhub_orm.fleet.walking import Outcome, attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir

T = TypeVar("T")

_BATCH: Final = 16
"""Apps that a thread reads before it hands its results over, which costs as much as a read."""


@dataclass(frozen=True)
class Reading(Outcome[T]):
    """Result of reading one app: a value, an error, or that it has no database yet."""

    missing: bool = False
    """No file, a zero-byte one, or one without a table: an open or an upgrade will make it."""


def read_apps(
    place: DataDir,
    names: Iterable[str],
    read: Callable[[sqlite3.Connection], T],
    *,
    jobs: int | None = None,
) -> Iterator[Reading[T]]:
    """Yield, in the order of `names`, what `read` returns for each app's database.

    Each file is opened read-only, given to `read`, and closed; nothing is created or upgraded. An
    app that cannot be read yields its error, and the others follow. `jobs` threads read at once;
    then `read` must be safe to call from several. By default one: a short read is spent mostly in
    opening the file, where threads gain nothing; they help where each read takes SQLite long.
    Memory and open files stay the same however many apps there are.
    """
    read_one = partial(_read_app, place, read)
    if jobs is None or jobs == 1:
        yield from map(read_one, names)
        return
    with ThreadPoolExecutor(jobs, thread_name_prefix="streamhub-fleet") as pool:
        yield from _in_order(pool, 2 * jobs, read_one, iter(names))


def _in_order(
    pool: ThreadPoolExecutor,
    window: int,
    read_one: Callable[[str], Reading[T]],
    names: Iterator[str],
) -> Iterator[Reading[T]]:
    """Keep a window of batches under way; a caller that stops early waits for these only."""
    under_way: deque[Future[list[Reading[T]]]] = deque()
    while batch := list(islice(names, _BATCH)):
        under_way.append(pool.submit(_read_batch, read_one, batch))
        if len(under_way) >= window:
            yield from under_way.popleft().result()
    while under_way:
        yield from under_way.popleft().result()


def _read_batch(read_one: Callable[[str], Reading[T]], names: list[str]) -> list[Reading[T]]:
    return [read_one(name) for name in names]


def _read_app(place: DataDir, read: Callable[[sqlite3.Connection], T], name: str) -> Reading[T]:
    outcome = attempt(name, partial(_read_file, place, read))
    return outcome.value or Reading(name, error=outcome.error)


def _read_file(place: DataDir, read: Callable[[sqlite3.Connection], T], name: str) -> Reading[T]:
    path = place.app_db(name)
    if _is_missing(path):
        return Reading(name, missing=True)
    with translated(path, "reading"), closing(open_read_only(path)) as connection:
        try:
            return Reading(name, read(connection))
        except sqlite3.OperationalError as error:
            if not str(error).startswith(("no such table", "no such column")):
                raise
            if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None:
                return Reading(name, missing=True)
            raise SchemaOutdatedError(
                path,
                f"{error}",
                "the tables and columns of this release",
                "Run `streamhub-db upgrade`.",
            ) from error


def _is_missing(path: Path) -> bool:
    try:
        return os.stat(path).st_size == 0  # noqa: PTH116 - Path.stat() costs twice as much
    except FileNotFoundError:
        return True
