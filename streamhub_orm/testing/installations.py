"""Installations of any age, built once for each kind and then copied, and a clock to set."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack

from streamhub_orm.data_dir import DataDir
from streamhub_orm.databases import Databases
from streamhub_orm.demo import ERAS, write_demo
from streamhub_orm.engine.database_files import in_wal_mode
from streamhub_orm.engine.engines import raw_connection
from streamhub_orm.errors import UnknownRevisionError
from streamhub_orm.init import DEFAULT_APP, make_installation
from streamhub_orm.migrations.revisions import database_in_memory
from streamhub_orm.migrations.worlds import APP, GLOBAL
from streamhub_orm.schema import types
from streamhub_orm.services import apps as app_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streamhub_orm.migrations.worlds import World

__all__ = ["ERAS", "Clock", "Kind", "Templates"]


class Kind(TypedDict, total=False):
    """What sort of installation: fresh, or of an era, whose apps and revisions are its own."""

    apps: Iterable[str]
    """Names of the apps of a fresh one; `live` by default."""
    era: str | None
    """One of `ERAS`: what the Node core of that time left, with rows, and never upgraded."""
    global_revision: str | None
    """Such as `g0009`: the global database stands there, as an older release left it."""
    app_revision: str | None
    """Such as `a0005`: each app.db stands there."""


class Templates:
    """Installations in a folder of their own; `copy` gives a test one to play with.

    One object serves a whole run of tests. What is asked for first is built then, which takes some
    hundredths of a second; a copy takes a thousandth or two.
    """

    def __init__(self, folder: Path) -> None:
        """Keep the templates in a folder, which exists and is empty."""
        self._folder = folder
        self._built: dict[tuple[object, ...], Path] = {}

    def copy(self, target: Path, **kind: Unpack[Kind]) -> DataDir:
        """Put an installation into a new folder and return where its files lie.

        A fresh one is at head and holds no row but its apps. Raises `UnknownRevisionError`, and
        ValueError for an unknown era.
        """
        asked: dict[str, Any] = {**kind, "apps": tuple(kind.get("apps", (DEFAULT_APP,)))}
        key = tuple(sorted(asked.items()))
        if key not in self._built:
            path = Path(mkdtemp(dir=self._folder)) / "streamhub"
            _build(path, **asked)
            self._built[key] = path
        template = self._built[key]
        shutil.copytree(template, target)
        place = DataDir.find(target)
        if kind.get("era") is not None:
            _name_paths_anew(place, template)
        return place


def _build(
    path: Path,
    apps: tuple[str, ...],
    era: str | None = None,
    global_revision: str | None = None,
    app_revision: str | None = None,
) -> None:
    if era is not None:
        if era not in ERAS:
            message = f"found the era {era!r}; expected one of {', '.join(ERAS)}"
            raise ValueError(message)
        write_demo(path, era)
        return
    place = make_installation(path)
    with Databases(path) as databases:
        for name in apps:
            if name != DEFAULT_APP:
                with databases.global_session() as session:
                    app_rows.create(session, place, name)
        if DEFAULT_APP not in apps:
            app_rows.delete(databases, DEFAULT_APP, purge=True)
    if app_revision is not None:
        for name in apps:
            _write_at(place.app_db(name), APP, app_revision)
    if global_revision is not None:
        _write_at(place.global_db, GLOBAL, global_revision)


def _write_at(path: Path, world: World, revision: str) -> None:
    """Put a database at a revision in the place of one at head, with the rows that still fit."""
    if not world.knows(revision):
        known = ", ".join(script.revision for script in world.history)
        raise UnknownRevisionError(revision, world.name, f"known are {known}")
    with database_in_memory(world, revision) as connection:
        older = in_wal_mode(raw_connection(connection).serialize())
    with closing(sqlite3.connect(path)) as head:
        kept = {table: _rows(head, table) for table in ("apps", "_streamhub_meta")}
    path.write_bytes(older)
    with closing(sqlite3.connect(path)) as made, made:
        for table, rows in kept.items():
            columns = {name for _, name, *_ in made.execute(f"PRAGMA table_info({table})")}
            for row in rows:
                fitting = {name: value for name, value in row.items() if name in columns}
                if fitting:
                    names, marks = ", ".join(fitting), ", ".join("?" * len(fitting))
                    made.execute(
                        f"INSERT INTO {table} ({names}) VALUES ({marks})",  # noqa: S608 - names of our own
                        tuple(fitting.values()),
                    )


def _rows(connection: sqlite3.Connection, table: str) -> list[dict[str, object]]:
    if not connection.execute(f"PRAGMA table_info({table})").fetchall():
        return []
    found = connection.execute(f"SELECT * FROM {table}")  # noqa: S608 - a name of our own
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]


def _name_paths_anew(place: DataDir, template: Path) -> None:
    """Let the records of a copy name its own files: the Node core wrote whole paths."""
    with closing(sqlite3.connect(place.global_db)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")
        if connection.execute("PRAGMA table_info(_streamhub_meta)").fetchall():
            connection.execute(
                "UPDATE _streamhub_meta SET value = replace(value, ?, ?)",
                (f"{template}/", f"{place.root}/"),
            )


class Clock:
    """A clock that stands still until it is set; all that this package calls the present is its.

    Not what SQLite itself writes, the `created_at` that a row takes by default, nor how long a lock
    is waited for. It counts from `with` to its end, for all threads of the process.
    """

    def __init__(self, now: datetime | None = None) -> None:
        """Show `now`, aware; by default the present."""
        self.now = types.utc_now() if now is None else now.astimezone(UTC)

    def __enter__(self) -> Self:
        """Take the place of the real clock."""
        self._before = types.present
        types.present = lambda: self.now
        return self

    def __exit__(self, *_: object) -> None:
        """Give the real one its place back."""
        types.present = self._before

    def set(self, now: datetime) -> None:
        """Show another time, aware."""
        self.now = now.astimezone(UTC)

    def tick(self, **how_far: float) -> None:
        """Move on, by what `timedelta` takes: `tick(minutes=15)`."""
        self.now += timedelta(**how_far)
