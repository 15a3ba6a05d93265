"""A small installation of each of the five eras, as a server of that time left it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streamhub_orm.demo import ddl, ddl_run_time, rows
from streamhub_orm.demo.files import insert, new_database, set_markers, write_app_folder
from streamhub_orm.demo.node_head import fill_head_app, fill_head_global

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

APPS: Final = {"live": "Größe & Töne 🎥", "studio-2": "東京スタジオ"}
"""The apps of every era, in the order of their ids."""
GONE: Final = 9
"""The id of an app that was deleted while its rows stayed behind."""

MONOLITH_STEPS: Final = (*ddl.GLOBAL_STEPS[:4], *ddl.LEGACY_STEPS)
SPLIT_BACKUP_NAME: Final = "streamhub.db.bak-2025-02-03T10-11-12-345Z"


def monolith(root: Path) -> None:
    """Every row in one file, in the layout of the older documentation."""
    for name in APPS:
        write_app_folder(root / "apps" / name)
    # The number says 3 although step 4 is there: it is a hint that can be wrong.
    with new_database(root / "streamhub.db", MONOLITH_STEPS, user_version=3) as connection:
        fill_monolith(connection)


def vods_db(root: Path) -> None:
    """Newer recordings in `vods.db` of their app, whose ids start at 1 again."""
    with new_database(root / "data/streamhub.db", MONOLITH_STEPS, user_version=4) as connection:
        fill_monolith(connection)
    for app_id, name in enumerate(APPS, 1):
        write_app_folder(root / "apps" / name)
        write_vods_db(root / "apps" / name, app_id, old=name != "live")


def pre_tenancy(root: Path) -> None:
    """Start with files per app: two of them, at two different steps, before there were tenants."""
    with new_database(root / "data/streamhub.db", MONOLITH_STEPS, user_version=4) as connection:
        fill_monolith(connection)
    live, studio = (root / "apps" / name for name in APPS)
    write_app_folder(live)
    write_early_app(live, 1, first_id=1)
    write_app_folder(studio)
    with new_database(studio / "app.db", ddl.APP_STEPS[:5], user_version=5) as connection:
        insert(connection, "streams", rows.streams(range(20, 24), 2, "studio-2-late"))
        insert(connection, "vods", rows.vods(range(20, 26), 2, "studio-2-late"))
        set_markers(connection, vods_import_done="1")


def node_split(root: Path) -> None:
    """Split by the Node core: one app was copied, the other one's rows were forgotten."""
    path, backup = root / "data/streamhub.db", root / "data" / SPLIT_BACKUP_NAME
    with new_database(backup, MONOLITH_STEPS, user_version=4) as connection:
        fill_monolith(connection)
    backup.chmod(0o600)
    steps = (*MONOLITH_STEPS, *ddl.GLOBAL_STEPS[4:], ddl_run_time.TENANCY)
    with new_database(path, steps, user_version=8) as connection:
        fill_monolith(connection)
        set_markers(connection, per_app_split_done="1", per_app_split_backup=str(backup))
    live, studio = (root / "apps" / name for name in APPS)
    for folder in (live, studio):
        write_app_folder(folder)
    write_vods_db(live, 1)
    with new_database(live / "app.db", ddl.APP_STEPS, user_version=8) as connection:
        fill_split_app(connection, 1, "live")
    with new_database(studio / "app.db", ddl.APP_STEPS[:6], user_version=6) as connection:
        insert(connection, "ingress_auth", [rows.ingress(1, "studio-2", "studio-2")])
        set_markers(connection, vods_import_done="1", ingress_import_done="1")


def node_head(root: Path) -> None:
    """As the newest Node core leaves it: every table and every column added at run time."""
    steps = (*ddl.GLOBAL_STEPS, *ddl_run_time.ALL)
    with new_database(root / "data/streamhub.db", steps, user_version=8) as connection:
        fill_registry(connection, APPS)
        fill_head_global(connection)
        set_markers(connection, per_app_split_done="1")
    for app_id, name in enumerate(APPS, 1):
        write_app_folder(root / "apps" / name)
        with new_database(
            root / "apps" / name / "app.db", ddl.APP_STEPS, user_version=8
        ) as connection:
            fill_head_app(connection, app_id, name)


ERAS: Final[dict[str, Callable[[Path], None]]] = {
    "monolith": monolith,
    "vods_db": vods_db,
    "pre_tenancy": pre_tenancy,
    "node_split": node_split,
    "node_head": node_head,
}


def fill_registry(connection: sqlite3.Connection, apps: dict[str, str]) -> None:
    """Fill the tables that every era has: the registry, tokens and the log."""
    named = enumerate(apps.items(), 1)
    insert(connection, "apps", [rows.app(number, *names) for number, names in named])
    insert(connection, "api_tokens", [rows.token(1, None), rows.token(2, 1), rows.token(3, 2)])
    insert(
        connection, "server_logs", [rows.log(number, number % 3 or None) for number in range(1, 10)]
    )


def fill_monolith(connection: sqlite3.Connection) -> None:
    """Fill a global database that holds the rows of both apps, and of one deleted app."""
    fill_registry(connection, APPS)
    for app_id, name in enumerate(APPS, 1):
        first = 10 * app_id - 9
        insert(connection, "streams", rows.streams(range(first, first + 8), app_id, name))
        insert(connection, "vods", rows.vods(range(first, first + 10), app_id, name))
        insert(connection, "ingress_auth", [rows.ingress(n, name, name) for n in (1, 2)])
    insert(connection, "streams", [rows.stream(90, GONE, "closed")])
    insert(connection, "vods", rows.vods(range(90, 93), GONE, "closed"))
    insert(connection, "ingress_auth", [rows.ingress(1, "closed-club", "closed")])


def write_vods_db(folder: Path, app_id: int, *, old: bool = False) -> None:
    """Write a legacy `vods.db`, with or without the two columns that came later."""
    streams, vods = ddl.LEGACY_STEPS
    made = rows.vods(range(1, 13), app_id, f"{folder.name}-b")
    if old:
        vods = ddl.VODS_WITHOUT_JSON
        made = rows.without(made, "metatags_json", "snapshot_key")
    with new_database(folder / "vods.db", (streams, vods), user_version=2) as connection:
        insert(connection, "streams", rows.streams(range(1, 7), app_id, f"{folder.name}-b"))
        insert(connection, "vods", made)


def write_early_app(folder: Path, app_id: int, *, first_id: int) -> None:
    """Write an app.db of step 2 that holds copies of global rows, one of them changed since."""
    copies = rows.vods(range(first_id, first_id + 3), app_id, folder.name)
    with new_database(folder / "app.db", ddl.APP_STEPS[:2], user_version=2) as connection:
        streams = rows.streams(range(first_id, first_id + 2), app_id, folder.name)
        insert(connection, "streams", streams)
        insert(connection, "vods", [rows.changed(copies[0], status="failed"), *copies[1:]])


def fill_split_app(connection: sqlite3.Connection, app_id: int, name: str) -> None:
    """Fill an app.db whose rows were copied; recording 10 was deleted afterwards."""
    insert(connection, "streams", rows.streams(range(1, 9), app_id, name))
    insert(connection, "vods", rows.vods(range(1, 10), app_id, name))
    insert(connection, "vods", rows.vods(range(11, 13), app_id, f"{name}-b"))
    insert(connection, "ingress_auth", [rows.ingress(n, name, name) for n in (1, 2)])
    set_markers(connection, vods_import_done="1", ingress_import_done="1")
