"""Optimize and purge beside others: one at a time, clients that go, locks, lost files, the end."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from streamhub_orm.engine.run_lock import run_lock
from tests.admin.conftest import Served, fill, query, run_sql, serving, wait_until, write_lock
from tests.support.installations.commands import run_command

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.testing.plugin import MakeStreamHub

OPTIMIZE: Final = "/api/v1/apps/{}/db/optimize"
SOON = 4
"""Seconds; whoever waited for a lock would take 5. Promised are 2, where nothing else runs."""
PURGE: Final = "/api/v1/apps/{}/db/purge"
VODS: Final = {"scope": "vods", "confirm": True}


def backups_of(path: Path) -> list[str]:
    return [it.name for it in path.parent.glob("app.db.bak-*")]


def begin_optimize(served: Served, app: str) -> socket.socket:
    """Ask for it over a socket, and return that once the database is backed up for it."""
    port = httpx.URL(served.url).port or 0
    client = socket.create_connection(("127.0.0.1", port), 10)
    head = f"POST {OPTIMIZE.format(app)} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
    client.sendall(f"{head}Authorization: Bearer {served.tokens['global']}\r\n\r\n".encode())
    wait_until(lambda: bool(backups_of(served.place.app_db(app))))
    return client


def test_second_optimize_or_purge_is_refused_in_words(served: Served, place: DataDir) -> None:
    path = place.app_db("live")
    with write_lock(path):
        first = begin_optimize(served, "live")
        for second in (OPTIMIZE, PURGE):
            answer = served.client().post(second.format("live"), json=VODS)
            assert answer.status_code == 409
            assert answer.json()["error"] == {
                "code": "maintenance_running",
                "message": "Its optimize is still running: only one can at a time.",
                "todo": "Wait until that has ended, then ask again.",
            }
            assert answer.headers["retry-after"] == "5"
        reading = served.client().get("/api/v1/apps/live/stats")
        assert reading.status_code == 200  # nothing else waits for it
    with closing(first):
        assert first.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert backups_of(path) == []
    assert served.client().post(OPTIMIZE.format("live")).status_code == 200


def test_client_that_goes_leaves_the_work_to_its_end(served: Served, place: DataDir) -> None:
    path = place.app_db("live")
    run_sql(path, "CREATE TABLE filler (x)")
    run_sql(path, "INSERT INTO filler VALUES (zeroblob(500000))")
    run_sql(path, "DROP TABLE filler")
    with write_lock(path):
        begin_optimize(served, "live").close()
        assert served.client().post(OPTIMIZE.format("live")).status_code == 409
    wait_until(lambda: not backups_of(path))
    assert query(path, "PRAGMA freelist_count") == [(0,)]
    wait_until(lambda: served.client().post(OPTIMIZE.format("live")).status_code == 200)


def test_optimizes_of_several_apps_wait_for_each_other(served: Served) -> None:
    client = served.client()  # one for all: each thread would make its own
    with ThreadPoolExecutor(3) as clients:
        paths = [OPTIMIZE.format(app) for app in ("live", "radio", "arena")]
        answers = list(clients.map(client.post, paths))
    assert [answer.status_code for answer in answers] == [200] * 3


def test_optimize_beside_an_upgrade_is_refused(served: Served, place: DataDir) -> None:
    with run_lock(place.lock_path):
        answer = served.client().post(OPTIMIZE.format("live"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "upgrade_running")
    assert str(os.getpid()) not in answer.text


@pytest.mark.slow
def test_locked_databases_are_busy_and_unchanged(served: Served, place: DataDir) -> None:
    """Both wait for SQLite's busy timeout, 5 s; readings do not."""
    run_sql(place.app_db("radio"), "INSERT INTO vods (app_id, name) VALUES (2, 'kept')")
    kept = query(place.app_db("radio"), "SELECT id FROM vods")
    with (
        write_lock(place.app_db("live")),
        write_lock(place.app_db("radio")),
        ThreadPoolExecutor(2) as clients,
    ):
        optimizing = clients.submit(served.client().post, OPTIMIZE.format("live"))
        purging = clients.submit(served.client().post, PURGE.format("radio"), json=VODS)
        for path in ("apps/live/sizes", "apps/live/stats", "apps/radio/db/health", "stats"):
            assert served.client().get(f"/api/v1/{path}").status_code == 200
        answers = [optimizing.result(), purging.result()]
    for answer in answers:
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "locked_database")
        assert answer.headers["retry-after"] == "5"
    steps = {it["name"]: it["result"] for it in answers[0].json()["data"]["steps"]}
    assert (steps["ANALYZE"], steps["VACUUM"]) == ("busy", "skipped")
    assert answers[1].json()["data"]["vodsDeleted"] == 0
    assert query(place.app_db("radio"), "SELECT id FROM vods") == kept
    assert served.client().post(PURGE.format("radio"), json=VODS).json()["data"]["vodsDeleted"] > 0


def test_bad_databases_are_named_without_their_paths(make_streamhub: MakeStreamHub) -> None:
    """Lost, damaged, no database at all; the others are answered, and sums leave them out."""
    place = make_streamhub(apps=("live", "radio", "arena", "tv-2"))
    given = fill(place)
    (place.app_db("live")).unlink()
    run_sql(place.global_db, "INSERT INTO apps (name) VALUES ('fresh-one'), ('No App')")
    place.app_db("arena").write_bytes(b"no database " * 500)
    with serving(place, place.root.parent, given) as served:
        client = served.client()
        for app, status, code in (
            ("live", 503, "app_database_lost"),
            ("arena", 503, "not_a_database"),
        ):
            for method, path in (
                ("GET", f"/api/v1/apps/{app}/db/health"),
                ("GET", f"/api/v1/apps/{app}/sizes"),
                ("GET", f"/api/v1/apps/{app}/stats"),
                ("POST", OPTIMIZE.format(app)),
                ("POST", PURGE.format(app)),
            ):
                answer = client.request(method, path, json=VODS)
                found = (answer.status_code, answer.json()["error"]["code"])
                assert found == (status, code), path
                assert str(place.root) not in answer.text
        assert not place.app_db("live").exists()
        logs = client.post(PURGE.format("live"), json={"scope": "logs", "confirm": True})
        assert logs.status_code == 200
        assert client.get("/api/v1/apps/fresh-one/db/health").status_code == 404
        assert client.get("/api/v1/apps/fresh-one/sizes").json()["data"]["dbSizeBytes"] == 0
        counts = client.get("/api/v1/stats").json()["counts"]
        assert (counts["apps"], counts["unread"]) == (6, 3)
        usage = client.get("/api/v1/tenants/platform/usage").json()["data"]
        assert "No App" in usage["unread"]
        assert client.post(OPTIMIZE.format("tv-2")).status_code == 200
    written = served.errors.read_text()
    assert f"GET '/api/v1/apps/arena/sizes': {place.app_db('arena')}: found" in written
    assert "Traceback" not in written


def test_ctrl_c_amid_an_optimize_leaves_a_whole_file_and_no_lock(
    make_streamhub: MakeStreamHub,
) -> None:
    place = make_streamhub(apps=("live", "radio", "arena"))
    path = place.app_db("live")
    with serving(place, place.root.parent, fill(place)) as served:
        rows = query(path, "SELECT * FROM vods")
        with write_lock(path):
            client = begin_optimize(served, "live")
            seconds = served.end(signal.SIGINT)
            client.close()
        assert seconds < SOON
        assert served.process.returncode == 1
    assert "optimize of live was cut off" in served.errors.read_text()
    assert query(path, "SELECT * FROM vods") == rows
    assert query(path, "PRAGMA quick_check") == [("ok",)]
    with closing(sqlite3.connect(path, timeout=0)) as connection:
        connection.execute("BEGIN IMMEDIATE")
    done = run_command("--data-dir", place.root, "--json", "optimize", "--app", "live")
    assert done.status == 0, done


def test_locked_global_database_holds_nobody_up(make_streamhub: MakeStreamHub) -> None:
    """The last use of a token is written by and by: neither a request nor the end waits for it."""
    place = make_streamhub(apps=("live", "radio", "arena"))
    with serving(place, place.root.parent, fill(place)) as served:
        with write_lock(place.global_db):
            begun = time.monotonic()
            for bearer in ("global", "live", "here"):
                assert served.client(bearer).get("/api/v1/stats").status_code == 200
            assert time.monotonic() - begun < SOON
            assert served.end() < SOON
        assert served.process.returncode == 0


def test_end_amid_a_slow_upload_is_told_without_a_traceback(
    make_streamhub: MakeStreamHub,
) -> None:
    place = make_streamhub(apps=("live", "radio", "arena"))
    with serving(place, place.root.parent, fill(place)) as served:
        port = httpx.URL(served.url).port or 0
        head = f"POST {PURGE.format('live')} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n"
        with socket.create_connection(("127.0.0.1", port)) as slow:
            bearer = f"Authorization: Bearer {served.tokens['global']}\r\n\r\n"
            slow.sendall((head + bearer).encode())
            time.sleep(0.2)
            assert served.end(signal.SIGTERM) < SOON
    assert "Traceback" not in served.errors.read_text()


def test_end_of_an_idle_server_with_open_connections(make_streamhub: MakeStreamHub) -> None:
    place = make_streamhub(apps=("live", "radio", "arena"))
    with serving(place, place.root.parent, fill(place)) as served:
        assert served.client().get("/api/v1/stats").status_code == 200
        port = httpx.URL(served.url).port or 0
        with socket.create_connection(("127.0.0.1", port)) as silent:
            silent.sendall(b"POST / HTTP/1.1\r\n")
            time.sleep(0.05)
            assert served.end(signal.SIGTERM) < SOON
        assert served.process.returncode == 0
    assert served.errors.read_text() == ""
