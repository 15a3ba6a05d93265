"""Databases for the tests of this folder: at head, altered, or run through a script."""

from __future__ import annotations

import copy
import hashlib
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from alembic.config import Config

from streamhub_orm.engine.connections import reading
from streamhub_orm.engine.engines import raw_connection
from streamhub_orm.migrations.app_file import upgrade_app_file
from streamhub_orm.migrations.global_file import upgrade_global_file
from streamhub_orm.migrations.references import reference_structure, template
from streamhub_orm.migrations.revisions import database_in_memory
from streamhub_orm.migrations.structure import Drift, compare, read_structure
from streamhub_orm.migrations.worlds import APP, GLOBAL
from tests.support.installations.commands import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.migrations.upgrading import Upgraded
    from streamhub_orm.migrations.worlds import World
    from tests.support.installations.snapshot import Snapshot


SECTIONS: Final = {GLOBAL: "alembic", APP: "app"}
"""The section of alembic.ini, so the value of -n, of each world."""

EDITED: Final = {GLOBAL: "g0014", APP: "a0010"}
"""The revisions whose text the edits were written for; a later one adds nothing in their way."""


def upgrade_file(path: Path, world: World) -> Upgraded:
    """Bring a file of either world to head; nothing is imported."""
    return upgrade_global_file(path) if world is GLOBAL else upgrade_app_file(path, None)


def drift_of(path: Path, world: World, revision: str | None = None) -> Drift:
    """Compare a file with what the history builds."""
    with reading(path) as connection:
        found = read_structure(connection, world.foreign_tables)
    return compare(reference_structure(world, revision or world.head), found)


def drift_by(path: Path, world: World, *edits: tuple[str, str]) -> Drift:
    """Return what the drift check finds of such edits."""
    return drift_of(altered(path, world, *edits), world, EDITED[world])


def altered(path: Path, world: World, *edits: tuple[str, str]) -> Path:
    """Build a database whose statements are those of `EDITED`, but for the edits of their text."""
    with database_in_memory(world, EDITED[world]) as connection:
        query = "SELECT sql FROM sqlite_master WHERE sql NOT NULL AND name NOT LIKE 'sqlite_%'"
        script = ";\n".join(sql for (sql,) in raw_connection(connection).execute(query))
    for old, new in edits:
        assert old in script, old
        script = script.replace(old, new, 1)
    return executed(path, script)


def at_head(path: Path, world: World, script: str = "") -> Path:
    """Write a database at head and run a script on it."""
    path.write_bytes(template(world))
    return executed(path, script)


def executed(path: Path, script: str) -> Path:
    """Run a script on a file, which is made where it is missing."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.executescript(script)
    return path


def at_parity(snapshot: Snapshot) -> Snapshot:
    """Leave out the columns that later revisions of ours add: the downgrade takes them away."""
    kept = copy.deepcopy(snapshot)
    for database, world in ((kept.registry, GLOBAL), *((it, APP) for it in kept.app_dbs.values())):
        head, parity = (reference_structure(world, it).tables for it in (world.head, world.parity))
        for name, table in parity.items():
            for column in head[name].columns.keys() - table.columns.keys():
                for row in database.rows(name):
                    del row[column]
    return kept


def query(path: Path, statement: str) -> list[tuple[Any, ...]]:
    """Return the rows of a statement, read-only."""
    with reading(path) as connection:
        return connection.execute(statement).fetchall()


def configured(world: World, url: str | None = None, connection: object = None) -> Config:
    """Return the checkout's configuration, as a program sets it up."""
    config = Config(str(CHECKOUT / "alembic.ini"), ini_section=SECTIONS[world])
    if url is not None:
        config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    if connection is not None:
        config.attributes["connection"] = connection
    return config


def revision_of(path: Path) -> str:
    """Return the revision that a file stands at."""
    return str(query(path, "SELECT version_num FROM alembic_version")[0][0])


def bytes_of(folder: Path) -> dict[str, str]:
    """Digest every file of a folder that counts: no -shm, no empty -wal, no lock file."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not path.name.endswith(("-shm", ".lock"))
        and not (path.name.endswith("-wal") and path.stat().st_size == 0)
    }
