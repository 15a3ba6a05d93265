"""Which databases of an installation an operation is for, and where each lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamhub_orm.data_dir import require_app_name
from streamhub_orm.errors import StreamHubError
from streamhub_orm.migrations.states import FileState, State, look_at
from streamhub_orm.migrations.worlds import APP, GLOBAL
from streamhub_orm.registry import read_registry

if TYPE_CHECKING:
    from collections.abc import Iterator
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
    path: Path | None = None
    """None where the app's name leads to no path that may be used."""
    error: StreamHubError | None = None

    def look(self) -> FileState:
        """Find the state of the file; one that cannot be used is in it with its error."""
        if self.path is None:
            return FileState(State.BROKEN, error=self.error)
        return look_at(self.path, self.world)


def iter_databases(place: DataDir, selection: Selection) -> Iterator[Database]:
    """Yield what was selected, the global database first, then apps in the registry's order.

    A registry that cannot be read is the fault of the global database: where that was selected
    too, it is yielded alone, and whoever looks at it finds out. Otherwise its `DatabaseFileError`
    is raised, and `UnknownAppError` for a name that is not registered.
    """
    if selection.with_global:
        yield Database("global", GLOBAL, place.global_db)
    if selection.apps == ():
        return
    try:
        registry = read_registry(place.global_db)
    except StreamHubError:
        if selection.with_global:
            return
        raise
    registry.require(selection.apps or ())
    for name in registry.ids if selection.apps is None else selection.apps:
        yield _app_database(place, name)


def _app_database(place: DataDir, name: str) -> Database:
    try:
        require_app_name(name, f"a row of table apps in {place.global_db}")
        return Database(name, APP, place.app_db(name))
    except StreamHubError as error:
        return Database(name, APP, error=error)
