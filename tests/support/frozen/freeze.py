"""Write the dumps of this release: `python -m tests.support.frozen.freeze`, once, when it is made.

A release's dumps are never written again. `--eras` writes those of the Node core's five eras.
"""

from __future__ import annotations

import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from streamhub_orm import __version__
from streamhub_orm.migrations.references import template
from streamhub_orm.migrations.worlds import APP, GLOBAL
from streamhub_orm.upgrade import upgrade_installation
from tests.support.frozen.dumps import FOLDER, dump_connection, freeze_installation
from tests.support.installations import Options, build_installation
from tests.support.installations.facts import ERAS

if TYPE_CHECKING:
    from streamhub_orm.migrations.worlds import World


def build_release(data_dir: Path) -> None:
    """Make an installation at this release's head that holds rows in every kind of table."""
    options = Options(killed_writers=False)
    build_installation(data_dir, era="node_head", apps=2, rows=10, options=options)
    report = upgrade_installation(data_dir, jobs=1)
    if report.failed:
        raise RuntimeError(report.error)


def freeze_release(target: Path) -> None:
    """Write the dumps of an installation at head."""
    with TemporaryDirectory() as folder:
        build_release(Path(folder) / "data_dir")
        freeze_installation(Path(folder) / "data_dir", target)


def dump_head(world: World) -> str:
    """Return the dump of an empty database at head, with the time of its making left out."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(template(world))
        return re.sub(r"'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d'", "'(now)'", dump_connection(connection))


def freeze_heads(target: Path) -> None:
    """Write what the two histories of this release build."""
    target.mkdir()
    for world in (GLOBAL, APP):
        dump = target / f"{world.name}.sql"
        dump.write_text(dump_head(world), encoding="utf-8", newline="")


def freeze_eras(target: Path) -> None:
    """Write the dumps of each era, into a folder of its own."""
    options = Options(killed_writers=False)
    for era in ERAS:
        with TemporaryDirectory() as folder:
            data_dir = Path(folder) / "data_dir"
            build_installation(data_dir, era=era, apps=2, rows=10, options=options)
            freeze_installation(data_dir, target / era)


def main() -> None:
    """Freeze this release, or the eras; what is frozen already stays as it is."""
    if "--eras" in sys.argv[1:]:
        freeze_eras(FOLDER)
        return
    target = FOLDER / f"release-{__version__}"
    if target.exists():
        sys.exit(f"{target} is there already; a release is frozen once")
    freeze_release(target)
    freeze_heads(FOLDER / f"heads-{__version__}")


if __name__ == "__main__":
    main()
