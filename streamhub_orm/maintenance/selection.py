"""Databases that an operation is for, handled one by one: one that fails stops no other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from streamhub_orm.data_dir import require_app_name
from streamhub_orm.errors import MissingDatabaseError, StreamHubError
from streamhub_orm.migrations.states import FileState, State, look_at
from streamhub_orm.migrations.worlds import APP, GLOBAL
from streamhub_orm.registry import read_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

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
    """None where the app's name leads to no path that may be used."""
    state: FileState
    """The state of the file before the operation."""


class Outcome(Protocol):
    """Record of the operation on one database."""

    error: str | None
    """Why the database cannot be used, or what ended the operation on it."""


AnyOutcome = TypeVar("AnyOutcome", bound=Outcome)


def handle_each(  # noqa: PLR0913 - the operation in two halves, and its two conditions
    place: DataDir,
    selection: Selection,
    begin: Callable[[Database], AnyOutcome],
    operate: Callable[[Path, AnyOutcome], None],
    *,
    may_be_missing: bool = False,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Iterator[AnyOutcome]:
    """Yield what became of each database selected, the global one first, then apps as registered.

    `begin` makes the record of one database and `operate` fills it, unless the database cannot be
    used. A `StreamHubError` from there is recorded as well, and the next database follows. Where an
    app's database `may_be_missing`, that is no error: the first session makes it. `progress` is
    told how many are done, and of how many.

    A registry that cannot be read is a fault of the global database, which is then yielded alone
    with its error; where it was not selected, the `DatabaseFileError` is raised. Raises
    `UnknownAppError` for an app that is not registered.
    """
    names = _app_names(place, selection)  # before the first database is touched
    total = selection.with_global + len(names)
    databases = _look_at_each(place, names, with_global=selection.with_global)
    for done, database in enumerate(databases, start=1):
        outcome = begin(database)
        error = database.state.error
        is_expected = may_be_missing and database.world is APP
        if isinstance(error, MissingDatabaseError) and is_expected:
            error = None
        elif error is None and database.path is not None:
            try:
                operate(database.path, outcome)
            except StreamHubError as raised:
                error = raised
        if error is not None:
            outcome.error = str(error)
        yield outcome
        progress(done, total)


def _look_at_each(place: DataDir, names: Iterable[str], *, with_global: bool) -> Iterator[Database]:
    if with_global:
        path = place.global_db
        yield Database("global", GLOBAL, path, look_at(path, GLOBAL))
    for name in names:
        yield _app_database(place, name)


def _app_names(place: DataDir, selection: Selection) -> tuple[str, ...]:
    if selection.apps == ():
        return ()
    try:
        registry = read_registry(place.global_db)
    except StreamHubError:
        if selection.with_global:
            return ()
        raise
    registry.require(selection.apps or ())
    return tuple(registry.ids) if selection.apps is None else selection.apps


def _app_database(place: DataDir, name: str) -> Database:
    try:
        require_app_name(name, f"a row of table apps in {place.global_db}")
        path = place.app_db(name)
    except StreamHubError as error:
        return Database(name, APP, None, FileState(State.BROKEN, error=error))
    return Database(name, APP, path, look_at(path, APP))
