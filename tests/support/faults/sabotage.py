"""Products that break a promise, to prove that the harness sees it."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm import durable_files, init
from streamhub_orm.engine import backups, connections, engines
from streamhub_orm.legacy import bookkeeping
from streamhub_orm.migrations import app_file, global_file
from streamhub_orm.upgrade import leftovers, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def statement_by_statement() -> None:
    """No transaction around a migration: each statement commits by itself."""
    engines.ImmediateDialect.do_begin = lambda _, __: None


def publish_in_place() -> None:
    """A finished file is copied onto its name instead of being linked there."""

    def publish(temporary: Path, target: Path, **_: object) -> None:
        shutil.copyfile(temporary, target)

    for module in (backups, app_file, init):
        module.publish = publish  # type: ignore[attr-defined]


def write_without_backup() -> None:
    """The backup is said to be there, and is made when all is done."""
    for module in (app_file, global_file, run):
        module.back_up = lambda path, **_: path  # type: ignore[attr-defined]


def mark_first() -> None:
    """The split is marked as done before the apps have their rows."""
    record = bookkeeping.record_split_backup

    def record_and_mark(path: Path, backup: Path, **options: Any) -> None:  # noqa: ANN401
        record(path, backup, **options)
        bookkeeping.mark_split_done(path)

    run.record_split_backup = record_and_mark  # type: ignore[attr-defined]


def keep_leftovers() -> None:
    """What a killed run left is never removed."""
    leftovers.remove_leftovers = lambda _: None  # type: ignore[attr-defined]


def rewrite_at_every_run() -> None:
    """A run that finds nothing to do writes all the same."""
    look = run.look_at_everything

    def look_and_write(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        plan = look(*arguments, **options)
        with _writing(plan.place.global_db) as connection:
            connection.execute("UPDATE apps SET updated_at = datetime('now', '+1 day')")
        return plan

    run.look_at_everything = look_and_write


@contextmanager
def _writing(path: Path) -> Iterator[Any]:
    connection = connections.open_for_migration(path)
    try:
        yield connection
    finally:
        connection.close()
        durable_files.sync(path)


SABOTAGES: Final[dict[str, Callable[[], None]]] = {
    it.__name__: it
    for it in (
        statement_by_statement,
        publish_in_place,
        write_without_backup,
        mark_first,
        keep_leftovers,
        rewrite_at_every_run,
    )
}
