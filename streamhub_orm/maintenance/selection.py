"""Databases that an operation is for: handled one by one, and backed up before a change."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from streamhub_orm.data_dir import require_app_name
from streamhub_orm.durable_files import remove_leftovers
from streamhub_orm.engine.backups import back_up, is_for_now, list_backups, mark_for_now
from streamhub_orm.engine.connections import translated
from streamhub_orm.errors import MissingDatabaseError, StreamHubError
from streamhub_orm.fleet import attempt
from streamhub_orm.migrations.global_database import look_at_global, reading_server
from streamhub_orm.migrations.states import FileState, look_at, unusable
from streamhub_orm.migrations.worlds import APP, GLOBAL
from streamhub_orm.registry import read_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import sqlalchemy as sa

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.migrations.worlds import World


@dataclass(frozen=True)
class Selection:
    """Some databases of an installation; by default all of them."""

    with_global: bool = True
    apps: tuple[str, ...] | None = None
    """Names of apps; None stands for every registered one."""


@dataclass(frozen=True)
class Database:
    """One database that was selected."""

    name: str
    """`global`, or the name of the app."""
    world: World
    path: Path | None
    """None where the app's name leads to no path that may be used, and for a server."""
    state: FileState
    """The state of the file before the operation."""


class Record(Protocol):
    """Record of the operation on one database."""

    error: str | None
    """Reason why the database cannot be used, or that ended the operation on it."""


AnyRecord = TypeVar("AnyRecord", bound=Record)


def handle_each(  # noqa: PLR0913 - the operation in its parts, and its two conditions
    place: DataDir,
    selection: Selection,
    begin: Callable[[Database], AnyRecord],
    operate: Callable[[Path, AnyRecord], None],
    *,
    on_server: Callable[[sa.Connection, AnyRecord], None],
    may_be_missing: bool = False,
    raises: bool = False,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Iterator[AnyRecord]:
    """Yield what became of each database selected, the global one first, then apps as registered.

    `begin` makes the record of one database and `operate` fills it, unless the database cannot be
    used; `on_server` does for a global database on a server, in a transaction that only reads. A
    `StreamHubError` from there is recorded as well, and the next database follows. Where an app's
    database `may_be_missing`, that is no error: the first session makes it. With `raises` an error
    is raised and not recorded, for a caller who asks for one database. `progress` is told how many
    are done, and of how many.

    A registry that cannot be read is the fault of the global database, which is then yielded alone
    with that error; where it was not selected, the error is raised. Raises
    `UnknownAppError` for an app that is not registered, before the first database is touched.
    """
    apps, fault = _find_apps(place, selection)
    chosen = [("global", GLOBAL)] if selection.with_global else []
    chosen += [(app, APP) for app in apps]
    for done, (name, world) in enumerate(chosen, start=1):
        database = _look(place, name, world)
        record = begin(database)
        error = database.state.error
        if may_be_missing and world is APP and isinstance(error, MissingDatabaseError):
            error = None
        elif error is None and world is GLOBAL and place.global_url is not None:
            error = attempt(name, partial(_operate_on_server, place, on_server, record)).error
        elif error is None and database.path is not None:
            error = attempt(name, partial(_operate, operate, database.path, record)).error
        if error is None and world is GLOBAL:
            error = fault
        if error is not None and raises:
            raise error
        if error is not None:
            record.error = str(error)
        yield record
        progress(done, len(chosen))


def _find_apps(place: DataDir, selection: Selection) -> tuple[Iterable[str], StreamHubError | None]:
    """Return the names of the apps that were selected; none, and why, for a broken registry."""
    if selection.apps == ():
        return (), None
    try:
        registry = read_registry(place)
    except StreamHubError as error:
        if selection.with_global:
            return (), error
        raise
    registry.require(selection.apps or ())
    return registry.ids if selection.apps is None else selection.apps, None


def _operate(
    operate: Callable[[Path, AnyRecord], None], path: Path, record: AnyRecord, _name: str
) -> None:
    operate(path, record)


def _operate_on_server(
    place: DataDir,
    operate: Callable[[sa.Connection, AnyRecord], None],
    record: AnyRecord,
    _name: str,
) -> None:
    with reading_server(place, "looking at it") as connection:
        operate(connection, record)


def _look(place: DataDir, name: str, world: World) -> Database:
    if world is GLOBAL and place.global_url is not None:
        return Database(name, world, None, look_at_global(place))
    found = attempt(name, partial(_path_of, place, world))
    if found.value is None:
        return Database(name, world, None, unusable(found.error))
    return Database(name, world, found.value, look_at(found.value, world))


def _path_of(place: DataDir, world: World, name: str) -> Path:
    if world is GLOBAL:
        return place.global_db
    require_app_name(name, f"a row of table apps in {place.global_name}")
    return place.app_db(name)


@dataclass(frozen=True)
class FirstBackup:
    """A verified backup of one file."""

    path: Path
    is_new: bool
    """True where this run made it; an equal one of an earlier run serves as well."""

    def drop(self) -> None:
        """Remove it, if this run made it: what it holds is in the file itself."""
        if self.is_new:
            self.path.unlink()

    def mark_for_now(self) -> None:
        """Mark one that this run made as one to drop, if need be by the next run."""
        if self.is_new:
            mark_for_now(self.path)


def back_up_first(path: Path) -> FirstBackup:
    """Clear away what killed runs left beside a database, and back it up.

    Until then the backup of a run that was killed just after it was made has a second name, and
    would not be taken for one. Raises what `back_up` raises.
    """
    with translated(path, "clearing what killed runs left beside it"):
        remove_leftovers(path.parent)
        known = [backup for backup in list_backups(path) if not is_for_now(backup)]
    backup = back_up(path)
    return FirstBackup(backup, backup not in known)
