"""The data of the benchmarks: fleets and old installations, written by plain SQL."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.demo import write_demo

if TYPE_CHECKING:
    from collections.abc import Iterable

_STREAM_SHARE: Final = 5
"""One of so many rows is a stream, the others are recordings: a stream leaves several."""
_MARKERS: Final = ("global_import_done", "ingress_import_done", "vods_import_done")

_APPS: Final = "INSERT INTO apps (name, display_name) VALUES (?, ?)"
# Ids that the media server makes are random, times grow with the row's number. Fibonacci hashing
# modulo 2^32 scatters them; a wider modulus leaves a few ascending runs, which an index takes like
# sorted keys. A stream's key is `<room>/<participant>`, as the Node core makes it.
_ROWS: Final = """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows),
         rows(i, app_id, room, random) AS (
             SELECT i, 1 + (i - 1) % :apps, printf('room-%d', i * 7919 % 500),
                    printf('%08x%04x', i * 2654435761 % 4294967296, i % 65536)
             FROM n)"""
_STREAMS: Final = f"""
    INSERT INTO streams (id, app_id, stream_id, type, room, participant, status, started_at,
                         ended_at, last_stats_json)
    {_ROWS}
    SELECT i, app_id, room || '/PA_' || random, 'whip', room, 'PA_' || random, 'ended',
           datetime('2024-03-01', i || ' minutes'), datetime('2024-03-01', (i + 90) || ' minutes'),
           json_object('viewers', i % 900, 'bitrate', 2500000)
    FROM rows"""  # noqa: S608 - both texts are ours
_VODS: Final = f"""
    INSERT INTO vods (id, app_id, stream_id, room, name, file_key, s3_url, public_url, size_bytes,
                      duration_s, width, height, format, status, started_at, ended_at,
                      metatags_json, snapshot_key)
    {_ROWS}
    SELECT i, app_id, room || '/PA_' || random, room, printf('evening %d', i),
           printf('recordings/%07d.mp4', i),
           printf('s3://recordings/recordings/%07d.mp4', i),
           printf('https://cdn.example/recordings/%07d.mp4', i), 300000000 + 4096 * i,
           5400.25 + i % 600, 1920, 1080, 'mp4',
           CASE i % 50 WHEN 0 THEN 'failed' ELSE 'ready' END,
           strftime('%Y-%m-%dT%H:%M:%S.137Z', '2024-03-01', i || ' minutes'),
           strftime('%Y-%m-%dT%H:%M:%S.137Z', '2024-03-01', (i + 90) || ' minutes'),
           json_object('egressId', 'EG_' || random, 'title', 'evening'),
           printf('snapshots/%07d.jpg', i)
    FROM rows"""  # noqa: S608 - both texts are ours


def names(count: int) -> list[str]:
    """Return the names of a fleet, in the order of their ids."""
    return [f"app-{number:05d}" for number in range(1, count + 1)]


def make_fleet(root: Path, count: int, *, rows: int = 0, behind: bool = False) -> None:
    """Write a split installation of so many apps, at head or one revision behind.

    Every app.db is a copy of the first: what is in it does not matter here, its size does.
    """
    _streamhub_db(root, "init")
    live = root / "apps/live"
    if behind:
        _streamhub_db(root, "downgrade", _app_revision(-2), "--app", "live")
        for backup in live.glob("app.db.bak-*"):
            backup.unlink()
    with closing(_open(live / "app.db")) as connection, connection:
        _fill(connection, rows, apps=1)
        connection.executemany(
            "INSERT OR REPLACE INTO _streamhub_meta (key, value) VALUES (?, '1')",
            [(marker,) for marker in _MARKERS],
        )
    with closing(_open(root / "data/streamhub.db")) as connection, connection:
        connection.execute("DELETE FROM apps")
        connection.executemany(_APPS, [(name, name) for name in names(count)])
        connection.execute(
            "INSERT INTO _streamhub_meta (key, value) "
            "SELECT 'streamhub_orm_app_db:' || id, name FROM apps WHERE true ON CONFLICT DO NOTHING"
        )
    for name in names(count):
        (root / "apps" / name).mkdir(mode=0o700)
        shutil.copy(live / "app.db", root / "apps" / name / "app.db")
    shutil.rmtree(live)
    os.sync()


def forget_apps(root: Path) -> None:
    """Take it out of the global database that the apps had a database, or they would be lost."""
    with closing(_open(root / "data/streamhub.db")) as connection, connection:
        connection.execute("DELETE FROM _streamhub_meta WHERE key GLOB 'streamhub_orm_app_db:*'")


def leave_rows_in_global(root: Path, rows: int, apps: int) -> None:
    """Give the global database of a fleet streams and vods of the monolith era, left behind."""
    schema = _monolith_schema()
    with closing(_open(root / "data/streamhub.db")) as connection, connection:
        for statement in schema["table"]:
            if any(f"TABLE {name} " in statement for name in ("streams", "vods")):
                connection.execute(statement)
        _fill(connection, rows, apps=apps)
    os.sync()


def leave_vods_db(root: Path, apps: int, rows: int) -> None:
    """Give each app of a monolith a vods.db with so many rows of its own."""
    first = root / "vods.db"
    schema = _monolith_schema()
    with closing(_open(first)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        for statement in schema["table"]:
            if any(f"TABLE {name} " in statement for name in ("streams", "vods")):
                connection.execute(statement)
        with connection:
            _fill(connection, rows, apps=1)
            connection.execute("UPDATE vods SET name = 'of vods.db ' || id")
            connection.execute("UPDATE streams SET stream_id = 'vods/' || stream_id")
    for name in names(apps):
        folder = root / "apps" / name
        folder.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(first, folder / "vods.db")
    first.unlink()
    os.sync()


def _monolith_schema() -> dict[str, list[str]]:
    with TemporaryDirectory() as scratch:
        write_demo(Path(scratch), "monolith")
        return schema_of(Path(scratch) / "streamhub.db")


def make_monolith(root: Path, apps: int, rows_per_app: int) -> None:
    """Write an installation that still holds every row in its global database."""
    schema = _monolith_schema()
    (root / "data").mkdir(parents=True)
    (root / "apps").mkdir()
    with closing(_open(root / "data/streamhub.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        for statement in (*schema["table"], *schema["index"]):
            connection.execute(statement)
        with connection:
            connection.executemany(_APPS, [(name, name) for name in names(apps)])
            _fill(connection, apps * rows_per_app, apps=apps)
            connection.execute("PRAGMA user_version = 4")
    os.sync()


def last_step(scratch: Path) -> dict[str, Any]:
    """Return the statements of the app history's last revision, and its name.

    They make what an app.db at head has and one of the revision before lacks, and drop indices that
    it has no more.
    """
    _streamhub_db(scratch, "init")
    path = scratch / "apps/live/app.db"
    at_head = schema_of(path)
    _streamhub_db(scratch, "downgrade", _app_revision(-2), "--app", "live")
    before = schema_of(path)
    gone = {kind: set(before[kind]) - set(at_head[kind]) for kind in before}
    if any(gone[kind] for kind in gone if kind != "index"):
        message = "the last revision changes a table: the floor knows additions and lost indices"
        raise NotImplementedError(message)
    statements = [f"DROP INDEX {sql.split()[2]}" for sql in gone["index"]]
    statements += [sql for kind in at_head for sql in at_head[kind] if sql not in before[kind]]
    return {"statements": statements, "revision": _app_revision(-1)}


@cache
def _app_revision(position: int) -> str:
    history = _streamhub_db(None, "history")["items"]
    return str([step["revision"] for step in history if step["history"] == "app"][position])


def head_schema(scratch: Path) -> dict[str, list[str]]:
    """Return the schema of a new app.db at head."""
    _streamhub_db(scratch, "init")
    return schema_of(scratch / "apps/live/app.db")


def schema_of(path: Path) -> dict[str, list[str]]:
    """Return the statements that make the tables and the indices of a database."""
    query = "SELECT type, sql FROM sqlite_master WHERE sql NOT NULL AND name NOT LIKE 'sqlite_%'"
    with closing(_open(path)) as connection:
        found = connection.execute(query).fetchall()
    return {kind: [sql for type_, sql in found if type_ == kind] for kind in ("table", "index")}


def restore(prepared: Path, root: Path) -> None:
    """Put a prepared installation back, and wait until it is on the disk.

    Without the wait the first fsync of the measured run would pay for the copy. The page cache is
    left as it is: the files of every contestant are in it.
    """
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(prepared, root)
    os.sync()


def _fill(connection: sqlite3.Connection, rows: int, *, apps: int) -> None:
    streams = rows // _STREAM_SHARE
    for statement, count in ((_STREAMS, streams), (_VODS, rows - streams)):
        if count:
            connection.execute(statement, {"rows": count, "apps": apps})


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path)


def _streamhub_db(root: Path | None, *arguments: str) -> Any:  # noqa: ANN401 - JSON
    place: Iterable[str] = () if root is None else ("--data-dir", str(root))
    command = [sys.executable, "-m", "streamhub_orm", "--json", *place, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own command
    return json.loads(done.stdout)
