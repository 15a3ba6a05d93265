"""Benchmark of the way to a server: a promotion, against COPY of the same rows and nothing else."""

from __future__ import annotations

import atexit
import itertools
import shutil
import sqlite3
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks.contest import Benchmark, Contest, Line, timed
from benchmarks.installations import make_fleet
from streamhub_orm.migrations.server import upgrade_server
from streamhub_orm.postgresql.engine import ServerEngine
from streamhub_orm.promotion.promote import promote
from streamhub_orm.server_url import ServerUrl
from streamhub_orm.testing.postgresql import start_postgres

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.contest import Sample
    from benchmarks.scale import Scale
    from streamhub_orm.testing.postgresql import PostgresServer

_SETTINGS: Final = (
    *("fsync=on", "synchronous_commit=on", "full_page_writes=on"),
    *("shared_buffers=512MB", "max_wal_size=8GB"),
)
_TEMPLATE: Final = "at_head"
_NUMBERS: Final = itertools.count(1)
_APPS: Final = """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
    INSERT INTO apps (id, name, display_name, settings_json)
    SELECT i, printf('app-%07d', i), 'App ' || i, CASE i % 10 WHEN 0 THEN '{"color":"red"}' END
    FROM n"""
_LOGS: Final = """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
    INSERT INTO server_logs (ts, level, source, app_id, message, meta_json)
    SELECT strftime('%Y-%m-%dT%H:%M:%S.137Z', '2026-01-01', i || ' seconds'),
           CASE i % 5 WHEN 0 THEN 'warn' ELSE 'info' END, 'egress', 1 + i * 7919 % ?,
           'the egress EG_' || printf('%08x', i * 2654435761 % 4294967296) || ' has ended',
           json_object('viewers', i % 900, 'room', 'room-' || i % 500)
    FROM n"""


def _promotion(folder: Path, scale: Scale) -> Contest:
    prepared, root = folder / "prepared", folder / "installation"
    make_fleet(prepared, 1)
    rows = scale.logs_promoted + scale.apps_promoted
    with closing(sqlite3.connect(prepared / "data/streamhub.db")) as connection, connection:
        connection.execute("DELETE FROM apps")
        connection.execute(_APPS, (scale.apps_promoted,))
        connection.execute(_LOGS, (scale.logs_promoted, scale.apps_promoted))
    stack = ExitStack()
    atexit.register(stack.close)
    server = stack.enter_context(start_postgres(options=_SETTINGS))
    with closing(ServerEngine(ServerUrl.parse(server.create(_TEMPLATE), "the template"))) as engine:
        upgrade_server(engine)
    line = partial(Line, floor="copy", unit="µs/row", per=rows)
    title = f"promote {scale.logs_promoted:,} log lines, {scale.apps_promoted:,} apps"
    return Contest(
        {
            "copy": lambda: _copy(prepared, server),
            "ours": lambda: _promote(prepared, root, server),
        },
        [line(title, "ours", goal=2)],
        work=rows,
    )


def _copy(prepared: Path, server: PostgresServer) -> Sample:
    """Read both tables and COPY their rows as they are, in one transaction."""
    name = f"copy_{next(_NUMBERS)}"
    server.create(name, template=_TEMPLATE)

    def work() -> None:
        with (
            closing(sqlite3.connect(prepared / "data/streamhub.db")) as file,
            closing(server.connect(name)) as connection,
            connection.transaction(),
            connection.cursor() as cursor,
        ):
            for table in ("apps", "server_logs"):
                found = file.execute(f"SELECT * FROM {table} ORDER BY id")  # noqa: S608 - constants
                columns = ", ".join(column[0] for column in found.description)
                with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                    for row in found:
                        copy.write_row(row)

    sample = timed(work)
    server.drop(name)
    return sample


def _promote(prepared: Path, root: Path, server: PostgresServer) -> Sample:
    """Promote a copy of the installation, backup and all."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(prepared, root)
    name = f"promoted_{next(_NUMBERS)}"
    url = ServerUrl.parse(server.create(name, template=_TEMPLATE), "the benchmark's")
    sample = timed(lambda: promote(root, url))
    server.drop(name)
    return sample


BENCHMARKS: Final = (
    Benchmark("promote", "services", "the global database to PostgreSQL", _promotion),
)
