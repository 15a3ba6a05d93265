"""`streamhub-db check`: structure, integrity, keys and settings; nothing is written."""

from __future__ import annotations

import shlex
import stat
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from streamhub_orm.data_dir import DataDir
from streamhub_orm.engine.connections import reading
from streamhub_orm.engine.integrity import broken_references, integrity_faults
from streamhub_orm.errors import SettingsModeError, StreamHubError
from streamhub_orm.fleet import walk
from streamhub_orm.legacy.importing import count_unmatched_rows
from streamhub_orm.migrations.adoption import adoptable_revision
from streamhub_orm.migrations.global_database import look_at_global, reading_server
from streamhub_orm.migrations.references import reference_structure
from streamhub_orm.migrations.states import FileState, State, look_at, look_at_app, unusable
from streamhub_orm.migrations.structure import compare, read_structure
from streamhub_orm.migrations.worlds import APP, GLOBAL
from streamhub_orm.registry import find_legacy_files, list_app_names, read_registry
from streamhub_orm.settings import effective_settings, load_app_config, load_secrets

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from streamhub_orm.legacy.accounts import RowCounts
    from streamhub_orm.migrations.worlds import World
    from streamhub_orm.registry import Registry


@dataclass
class FileCheck:
    """Findings in one file; empty lists are good."""

    name: str
    """`global`, or the name of the app."""
    path: Path | None
    state: State
    revision: str | None = None
    server: str | None = None
    """Server of the global database, without its password."""
    drift: list[str] = field(default_factory=list)
    """Differences from the structure that the history builds at the file's revision."""
    integrity: list[str] = field(default_factory=list)
    """Lines of integrity_check, unless it says ok; none of a server, which finds damage itself."""
    foreign_keys: list[str] = field(default_factory=list)
    """Rows that point to no row, a line for each pair of tables."""
    settings: list[str] = field(default_factory=list)
    """Faults of the app's config.yaml or, with the global database, of secrets.json."""
    extras: list[str] = field(default_factory=list)
    """Tables, columns and indices that are not ours; no fault."""
    unmatched: RowCounts | None = None
    """Legacy rows that are not in this app.db, where they were counted; no fault."""
    error: str | None = None

    @property
    def where(self) -> str:
        """The path of the file, or the server."""
        return self.server or str(self.path)

    @property
    def ok(self) -> bool:
        """True where nothing is wrong; a file that is behind or not adopted yet is not wrong."""
        faults = self.drift or self.integrity or self.foreign_keys or self.settings
        return not (faults or self.error)

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `check --json`."""
        path = None if self.path is None else str(self.path)
        return {**asdict(self), "path": path, "state": str(self.state), "ok": self.ok}


def check_installation(
    data_dir: Path | DataDir,
    *,
    legacy: bool = False,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Iterator[FileCheck]:
    """Yield the check of the global database and of each registered app.

    With `legacy`, the legacy rows of each app that is at head are counted anew, whatever is
    recorded of them. `progress` is told how many apps are done, and of how many.
    """
    place = DataDir.find(data_dir)
    found = check_global(place)
    found.settings = [str(fault) for fault in _faults_of_secrets(place)]
    yield found
    try:
        if found.error is not None and found.server is not None:
            return
        registry = read_registry(place)
    except StreamHubError:
        return  # the check of the global database has said so
    work = partial(_check_app, place, registry, legacy=legacy)
    for outcome in walk(registry.ids, work, progress):
        yield outcome.value or FileCheck(
            outcome.app, None, unusable(outcome.error).state, error=str(outcome.error)
        )


def _check_app(place: DataDir, registry: Registry, name: str, *, legacy: bool) -> FileCheck:
    path = place.app_db(name)
    found = look_at_app(path, name, recorded=registry.is_recorded(name))
    result = check_file(name, path, APP, found)
    result.settings = [str(fault) for fault in _faults_of_config(place, name)]
    if legacy and result.state is State.CURRENT:
        with reading(path) as connection:
            files = find_legacy_files(place, name)
            account = count_unmatched_rows(connection, files, use_record=False)
        result.unmatched = account.unmatched
    return result


def settings_faults(place: DataDir) -> Iterator[StreamHubError]:
    """Yield what is wrong with secrets.json and with the config.yaml of each registered app."""
    yield from _faults_of_secrets(place)
    try:
        names = list_app_names(place)
    except StreamHubError:
        return  # whoever looks at the global database says so
    for outcome in walk(names, partial(_faults_of_config, place)):
        yield from outcome.value or ()


def _faults_of_secrets(place: DataDir) -> list[StreamHubError]:
    return _faults_of(place.secrets, load_secrets, forbidden_mode=0o077)


def _faults_of_config(place: DataDir, name: str) -> list[StreamHubError]:
    def read(path: Path) -> object:
        return effective_settings(load_app_config(path), name)

    return _faults_of(place.app_folder(name) / "config.yaml", read, forbidden_mode=0o002)


def _faults_of(
    path: Path, read: Callable[[Path], object], *, forbidden_mode: int
) -> list[StreamHubError]:
    """Return what is wrong with a file of settings, which may be missing: its form, its mode."""
    faults: list[StreamHubError] = []
    try:
        read(path)
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & forbidden_mode:
            allowed = mode & ~forbidden_mode
            command = f"chmod {allowed:o} {shlex.quote(str(path))}"
            faults.append(SettingsModeError(path, f"{mode:04o}", f"{allowed:04o}", command))
    except FileNotFoundError:
        pass
    except StreamHubError as error:
        faults.append(error)
    return faults


def check_global(place: DataDir) -> FileCheck:
    """Check the global database, in its file or on its server."""
    if place.global_url is None:
        return check_file("global", place.global_db, GLOBAL)
    found = look_at_global(place)
    result = FileCheck("global", None, found.state, found.revision, str(place.global_url))
    if found.error is not None:
        result.error = str(found.error)
        return result
    from streamhub_orm.migrations.server_structure import differences_of  # noqa: PLC0415 - an extra
    from streamhub_orm.postgresql import measures  # noqa: PLC0415

    try:
        with reading_server(place, "checking it") as connection:
            result.extras = [f"table {name}" for name in measures.foreign_tables(connection)]
            if found.state is State.CURRENT:  # the models are those of head
                result.drift = differences_of(connection)
                result.foreign_keys = measures.dangling_references(connection)
    except StreamHubError as error:
        result.error = str(error)
    return result


def check_file(name: str, path: Path, world: World, found: FileState | None = None) -> FileCheck:
    """Check one file: structure, integrity_check and foreign_key_check."""
    found = found or look_at(path, world)
    result = FileCheck(name, path, found.state, found.revision)
    if found.error is not None:
        result.error = str(found.error)
        return result
    try:
        with reading(path) as connection:
            result.integrity = integrity_faults(connection)
            result.foreign_keys = broken_references(connection)
            _check_structure(connection, result, world, found)
    except StreamHubError as error:
        result.error = str(error)
    return result


def _check_structure(
    connection: sqlite3.Connection, result: FileCheck, world: World, found: FileState
) -> None:
    if found.state is State.UNADOPTED:
        assert result.path is not None  # noqa: S101 - it was just opened
        adoptable_revision(connection, world, result.path)
        return
    expected = reference_structure(world, found.revision)
    drift = compare(expected, read_structure(connection, world.foreign_tables))
    result.drift = drift.lines()
    result.extras = [extra for extra in drift.extras if extra not in world.known_extras]
