"""Write the dumps of this release: `python -m tests.support.frozen.freeze`, once, when it is made.

A release's dumps are never written again.
"""

from __future__ import annotations

import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from streamhub_orm import __version__
from streamhub_orm.engine.engines import raw_connection
from streamhub_orm.migrations.revisions import database_in_memory
from streamhub_orm.migrations.worlds import APP, GLOBAL
from streamhub_orm.upgrade import upgrade_installation
from tests.support.installations import Options, build_installation

if TYPE_CHECKING:
    from streamhub_orm.migrations.worlds import World

FOLDER: Final = Path(__file__).parent
RELEASE: Final = FOLDER / f"release-{__version__}"
"""An installation at this release's head, with rows in every kind of table."""
HEADS: Final = FOLDER / f"heads-{__version__}"
"""What the two histories of this release build, each dump at the revision that it names."""


def freeze_release(target: Path) -> None:
    """Write the dumps of an installation at head, as if it lay in /data."""
    with TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data_dir"
        options = Options(killed_writers=False)
        build_installation(data_dir, era="node_head", apps=2, rows=10, options=options)
        report = upgrade_installation(data_dir, jobs=1)
        if report.failed:
            raise RuntimeError(report.error)
        for path in sorted(data_dir.rglob("*.db")):
            with closing(sqlite3.connect(path)) as connection:
                text = _dump(connection).replace(str(data_dir), "/data")
            _write(target / path.relative_to(data_dir).with_suffix(".sql"), text)


def thaw(source: Path, data_dir: Path) -> None:
    """Build an installation from its dumps."""
    for dump in sorted(source.rglob("*.sql")):
        path = data_dir / dump.relative_to(source).with_suffix(".db")
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(dump.read_bytes().decode("utf-8"))


def dump_at(world: World, revision: str) -> str:
    """Return the dump of an empty database, with the time of its making left out."""
    with database_in_memory(world, revision) as connection:
        text = _dump(raw_connection(connection))
    return re.sub(r"'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d'", "'(now)'", text)


def revision_in(dump: str) -> str:
    """Return the revision that a dump stands at."""
    return dump.partition('INSERT INTO "alembic_version" VALUES(\'')[2].partition("'")[0]


def _dump(connection: sqlite3.Connection) -> str:
    """Return the SQL that builds a database again, its `user_version` included."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    return "\n".join([*connection.iterdump(), f"PRAGMA user_version = {version};", ""])


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")


if __name__ == "__main__":
    if RELEASE.exists():
        sys.exit(f"{RELEASE} is there already; a release is frozen once")
    freeze_release(RELEASE)
    for made in (GLOBAL, APP):
        _write(HEADS / f"{made.name}.sql", dump_at(made, made.head))
