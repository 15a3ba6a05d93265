"""One installation whose apps are each in the state of another era.

Its Node core was stopped while it converted the installation: the global database has got its
tables up to step 7 and the tenancy columns but no split marker, and it still holds the monolith's
rows; of the apps, some have not been looked at since years and others are at the newest step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streamhub_orm.demo import ddl, ddl_run_time, rows
from streamhub_orm.demo.eras import (
    MONOLITH_STEPS,
    fill_registry,
    fill_split_app,
    write_early_app,
    write_vods_db,
)
from streamhub_orm.demo.files import insert, new_database, write_app_folder
from streamhub_orm.demo.node_head import fill_head_app

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

LIVE, RADIO, ARCHIVE, STUDIO, ARENA, CINEMA, WEBCAM = range(1, 8)

APPS: Final = {
    "live": ("Größe & Töne 🎥", "monolith: every row lies in the global database"),
    "radio": ("Радио Волна", "vods.db whose ids collide with those of global rows"),
    "archive-2019": ("Archiv 2019", "vods.db of a time before metatags_json and snapshot_key"),
    "studio": ("東京スタジオ", "app.db at step 2, before tenancy; some rows are global too"),
    "arena": ("Arena «Süd»", "split by the Node core, which left rows of its vods.db behind"),
    "cinema": ("Ciné Été", "Node head: app.db with every table, nothing left to import"),
    "webcam": ("Webcam", "a zero-byte app.db, as an interrupted open leaves one"),
}
"""Display name and story of each app, in the order of their ids."""

UNREGISTERED: Final = "old-test"
GONE: Final = 99
_GLOBAL_ROWS: Final = ((RADIO, "radio", 1), (STUDIO, "studio", 31), (LIVE, "live", 41))
"""Id, name and first row's id of the apps whose rows the global database still holds."""


def write_mixed(root: Path) -> None:
    """Write the installation into `root`."""
    steps = (*MONOLITH_STEPS, *ddl.GLOBAL_STEPS[4:7], ddl_run_time.TENANCY)
    with new_database(root / "data/streamhub.db", steps, user_version=7) as connection:
        _fill_global(connection)
    folders = {name: root / "apps" / name for name in (*APPS, UNREGISTERED)}
    for folder in folders.values():
        write_app_folder(folder)
    write_vods_db(folders["radio"], RADIO)
    write_vods_db(folders["archive-2019"], ARCHIVE, old=True)
    write_early_app(folders["studio"], STUDIO, first_id=31)
    write_vods_db(folders["arena"], ARENA)
    with new_database(folders["arena"] / "app.db", ddl.APP_STEPS, user_version=8) as connection:
        fill_split_app(connection, ARENA, "arena")
    with new_database(folders["cinema"] / "app.db", ddl.APP_STEPS, user_version=8) as connection:
        fill_head_app(connection, CINEMA, "cinema")
    (folders["webcam"] / "app.db").touch()
    path = folders[UNREGISTERED] / "app.db"
    with new_database(path, ddl.APP_STEPS[:3], user_version=3) as connection:
        insert(connection, "vods", rows.vods(range(1, 3), 1, UNREGISTERED))


def _fill_global(connection: sqlite3.Connection) -> None:
    fill_registry(connection, {name: title for name, (title, _) in APPS.items()})
    for app_id, name, first in _GLOBAL_ROWS:
        insert(connection, "streams", rows.streams(range(first, first + 5), app_id, name))
        insert(connection, "vods", rows.vods(range(first, first + 6), app_id, name))
    for name in APPS:
        insert(connection, "ingress_auth", [rows.ingress(n, name, name) for n in (1, 2)])
    insert(connection, "streams", [rows.stream(90, GONE, "closed")])
    insert(connection, "vods", rows.vods(range(90, 92), GONE, "closed"))
    insert(connection, "ingress_auth", [rows.ingress(1, "closed-club", "closed")])
