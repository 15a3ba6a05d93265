"""Benchmarks of the global database on a server, against psycopg that runs the same SQL.

The floor holds one connection, and has its statements prepared as ours are. The server runs on this
machine, so a round trip takes microseconds; over a network what takes one round trip more loses.
"""

from __future__ import annotations

import atexit
import hashlib
import random
import time
from contextlib import ExitStack, closing
from functools import cache, partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from benchmarks.contest import Benchmark, Contest, Line, timed
from benchmarks.nodes import play
from streamhub_orm import Databases
from streamhub_orm.data_dir import DataDir
from streamhub_orm.migrations.server import upgrade_server
from streamhub_orm.postgresql.engine import ServerEngine
from streamhub_orm.registry import open_registry
from streamhub_orm.server_url import ServerUrl
from streamhub_orm.services import quotas, tokens
from streamhub_orm.testing.postgresql import start_postgres

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import psycopg

    from benchmarks.contest import Sample
    from benchmarks.scale import Scale
    from streamhub_orm.testing.postgresql import PostgresServer

_SETTINGS: Final = ("max_connections=300", "shared_buffers=256MB", "max_wal_size=4GB")
_NUMBERS: Final = count(1)
_CPU: Final = "  … processor time of the client"
_ADDRESS: Final = "10.1.2.3"
_TENANT: Final = "acme"
_BY_HASH: Final = """
    SELECT api_tokens.id, api_tokens.name, api_tokens.tenant_id, scope, allowed_ips_json,
           last_used_at, revoked, apps.name
    FROM api_tokens LEFT OUTER JOIN apps ON apps.id = api_tokens.app_id
    WHERE token_hash = %s ORDER BY revoked DESC, api_tokens.id"""
_APP: Final = "SELECT id FROM apps WHERE name = %s"
_QUOTA: Final = (
    "SELECT * FROM tenants WHERE id = %s",
    """SELECT max_apps, max_concurrent_streams, max_recording_minutes_month, max_egress_gb_month,
              max_storage_gb
       FROM quotas WHERE tenant_id = %s""",
    "SELECT count(*) FROM apps WHERE tenant_id = %s",
)


@cache
def _server() -> PostgresServer:
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(start_postgres(options=_SETTINGS))


def _control_plane(folder: Path, apps: int) -> DataDir:
    """Make a node's folder and a database with so many apps of one tenant."""
    name = f"benchmark_{next(_NUMBERS)}"
    url = ServerUrl.parse(_server().create(name), "the benchmark's")
    with closing(ServerEngine(url)) as engine:
        upgrade_server(engine)
    with _server().connect(name) as connection:
        connection.execute(
            "INSERT INTO tenants (id, name, plan) VALUES (%s, 'Acme', 'free')", (_TENANT,)
        )
        connection.execute(
            "INSERT INTO quotas (tenant_id, max_apps) VALUES (%s, 2000000)", (_TENANT,)
        )
        connection.execute(
            "INSERT INTO apps (name, tenant_id) "
            "SELECT 'app-' || i, %s FROM generate_series(1, %s) i",
            (_TENANT, apps),
        )
        connection.execute("ANALYZE")
    (folder / name / "apps").mkdir(parents=True)
    return DataDir.find(folder / name, url)


def _databases(place: DataDir) -> Databases:
    assert place.global_url is not None  # noqa: S101 - made so
    url = place.global_url.url.render_as_string(hide_password=False)
    return Databases(place.root, global_url=url)


def _held(place: DataDir) -> psycopg.Connection[Any]:
    assert place.global_url is not None  # noqa: S101 - made so
    return _server().connect(str(place.global_url.url.database))


def _second_time(work: Callable[[], None]) -> Sample:
    """Measure with every cache warm; `cpu` is this process's own time, which waits for nobody."""
    work()
    began = time.process_time()
    sample = timed(work)
    return sample | {"cpu": time.process_time() - began}


def _token(folder: Path, scale: Scale) -> Contest:
    place = _control_plane(folder, scale.fleet)
    with _databases(place) as databases, databases.global_session() as session:
        issued = [
            tokens.issue(session, f"token {n}", app="app-1", allowed_ips=["10.0.0.0/8"]).plaintext
            for n in range(scale.fleet)
        ]
    with _held(place) as connection:
        connection.execute("UPDATE api_tokens SET last_used_at = now() + interval '1 h'")
        connection.execute("ANALYZE")
    chosen = random.Random(5)  # noqa: S311 - the same tokens in every run
    asked = [chosen.choice(issued) for _ in range(scale.lookups)]

    def floor() -> Sample:
        hashes = [hashlib.sha256(token.encode()).hexdigest() for token in asked]
        with _held(place) as connection:

            def look_up() -> None:
                for token_hash in hashes:
                    connection.execute(_BY_HASH, (token_hash,)).fetchone()

            return _second_time(look_up)

    def in_one_session() -> Sample:
        with _databases(place) as databases, databases.global_session(read_only=True) as session:

            def verify() -> None:
                for token in asked:
                    assert tokens.verify(session, token, address=_ADDRESS, app="app-1")  # noqa: S101

            return _second_time(verify)

    def in_a_session_each() -> Sample:
        with _databases(place) as databases:

            def check() -> None:
                for token in asked:
                    assert tokens.check_request(databases, token, address=_ADDRESS, app="app-1")  # noqa: S101

            return _second_time(check)

    against = partial(Line, floor="floor", unit="µs", per=scale.lookups)
    cpu = partial(against, _CPU, figure="cpu", floor_figure="cpu")
    return Contest(
        {"floor": floor, "verify": in_one_session, "request": in_a_session_each},
        [
            against("server: token verify", "verify", goal=2),
            cpu("verify"),
            against("  a session each", "request", goal=2),
            cpu("request"),
        ],
        work=scale.lookups,
    )


def _app(folder: Path, scale: Scale) -> Contest:
    few, many = (_control_plane(folder, apps) for apps in scale.registered)
    chosen = random.Random(6)  # noqa: S311 - the same apps in every run

    def names(apps: int) -> list[str]:
        return [f"app-{chosen.randint(1, apps)}" for _ in range(scale.lookups)]

    asked_few, asked_many = map(names, scale.registered)

    def floor() -> Sample:
        with _held(few) as connection:

            def look_up() -> None:
                for name in asked_few:
                    connection.execute(_APP, (name,)).fetchone()

            return _second_time(look_up)

    def ours(place: DataDir, asked: list[str]) -> Sample:
        with closing(open_registry(place)) as registry:

            def look_up() -> None:
                for name in asked:
                    assert registry.find_id(name) is not None  # noqa: S101

            return _second_time(look_up)

    line = partial(Line, unit="µs", per=scale.lookups)
    return Contest(
        {
            "floor": floor,
            "few": lambda: ours(few, asked_few),
            "many": lambda: ours(many, asked_many),
        },
        [
            line("server: app look-up", "few", "floor", goal=2),
            line(_CPU, "few", "floor", figure="cpu", floor_figure="cpu"),
            line(f"  of {scale.registered[1]:,}", "many", "few", goal=1.2),
        ],
        work=scale.lookups,
    )


def _quota(folder: Path, scale: Scale) -> Contest:
    place = _control_plane(folder, scale.fleet)
    checks = scale.lookups // 10

    def floor() -> Sample:
        with _held(place) as connection:

            def check() -> None:
                for _ in range(checks):
                    connection.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
                    for query in _QUOTA:
                        connection.execute(query, (_TENANT,)).fetchone()
                    connection.execute("COMMIT")

            return _second_time(check)

    def ours() -> Sample:
        with _databases(place) as databases:

            def check() -> None:
                for _ in range(checks):
                    with databases.global_session() as session:
                        quotas.decide(databases, session, _TENANT, quotas.Metric.APPS, 1)

            return _second_time(check)

    line = partial(Line, unit="µs", per=checks)
    return Contest(
        {"floor": floor, "decide": ours},
        [
            line("server: quota check", "decide", "floor", goal=1.5),
            line(
                "  … processor time of the client",
                "decide",
                "floor",
                figure="cpu",
                floor_figure="cpu",
            ),
        ],
        work=checks,
    )


def _nodes(folder: Path, scale: Scale) -> Contest:
    place = _control_plane(folder, scale.fleet)
    with _databases(place) as databases:
        line = partial(Line, ours="nodes")
        with databases.global_session():
            pass
    return Contest(
        {"nodes": lambda: play(_server(), place, scale)},
        [
            line("look-ups a second that all nodes made", figure="rate", unit="1/s"),
            line("  its median", figure="look_up_median", unit="µs"),
            line("  its 99th percentile", figure="look_up_p99", unit="µs"),
            line("  the server's processor time", figure="server_per_look_up", unit="µs"),
            line("heartbeat, median", figure="heartbeat_median", unit="µs"),
            line("  its 99th percentile", figure="heartbeat_p99", unit="µs"),
            line("  conflicts", figure="conflicts", unit=""),
            line("processors that the server used", figure="server_share", unit=""),
        ],
        work=scale.nodes,
    )


BENCHMARKS: Final = (
    Benchmark("server-token", "control plane", "one API token checked, on a server", _token),
    Benchmark("server-app", "control plane", "one app by its name, on a server", _app),
    Benchmark("server-quota", "control plane", "one quota checked, on a server", _quota),
    Benchmark("server-nodes", "control plane", "many nodes on one server", _nodes),
)
