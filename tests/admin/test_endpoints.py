"""Each endpoint of the reference: path, answer, and that it is what the files and rows say."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.admin.conftest import APPS, LOG, SCRAPER, Served, query, run_sql

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir


def on_disk(path: Path) -> int:
    companions = [path, *(path.with_name(f"{path.name}{end}") for end in ("-wal", "-shm"))]
    return sum(it.stat().st_size for it in companions if it.exists())


def test_health_of_an_app_is_what_sqlite_says(served: Served, place: DataDir) -> None:
    path = place.app_db("live")
    found = served.client("live").get("/api/v1/apps/live/db/health").json()["data"]
    with closing(sqlite3.connect(path)) as connection:
        [pages] = connection.execute("PRAGMA page_count").fetchone()
        [unused] = connection.execute("PRAGMA freelist_count").fetchone()
        alone = dict(
            connection.execute(
                "SELECT m.name, sum(d.pgsize) FROM sqlite_master m JOIN dbstat d USING (name) "
                "WHERE m.type = 'table' GROUP BY m.name"
            )
        )
        rows = {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in alone
        }
    assert set(found) == {
        *("path", "sizeBytes", "walSizeBytes", "pageCount", "freelistCount"),
        *("fragmentationPct", "tables"),
    }
    assert (found["path"], found["sizeBytes"]) == (str(path), path.stat().st_size)
    assert (found["pageCount"], found["freelistCount"]) == (pages, unused)
    assert found["fragmentationPct"] == round(100 * unused / pages, 2)
    tables = {it["name"]: (it["rows"], it["bytes"]) for it in found["tables"]}
    assert tables["vods"] == (4, alone["vods"])
    assert {name: rows for name, (rows, _) in tables.items()} == {
        name: rows[name] for name in tables
    }


def test_health_of_the_global_database(served: Served, place: DataDir) -> None:
    found = served.client().get("/api/v1/system/db/health").json()["data"]
    assert found["path"] == str(place.global_db)
    rows = {it["name"]: it["rows"] for it in found["tables"]}
    assert rows["apps"] == len(APPS)


def test_sizes_of_an_app(served: Served, place: DataDir) -> None:
    expected = on_disk(place.app_db("live"))
    found = served.client("live").get("/api/v1/apps/live/sizes").json()
    assert found == {
        "data": {"app": "live", "dbSizeBytes": expected, "vodTotalBytes": 3000, "vodCount": 4}
    }


def test_stats_of_an_app_are_bare(served: Served, place: DataDir) -> None:
    """Lines of the last day count, in both formats of time, and those that name it in meta_json."""
    now = datetime.now(UTC)
    old = now - timedelta(hours=25)
    [[app_id]] = query(place.global_db, "SELECT id FROM apps WHERE name = 'live'")
    run_sql(
        place.global_db,
        LOG,
        (f"{now:%Y-%m-%dT%H:%M:%S}.000Z", "error", "system", app_id, None),
        (f"{now:%Y-%m-%d %H:%M:%S}", "info", "system", app_id, None),
        (f"{now:%Y-%m-%dT%H:%M:%S}.000Z", "error", "recording", None, '{"appName": "live"}'),
        (f"{now:%Y-%m-%dT%H:%M:%S}.000Z", "error", "recording", None, '{"appName": "radio"}'),
        (f"{now:%Y-%m-%dT%H:%M:%S}.000Z", "error", "recording", None, "{broken"),
        (f"{now:%Y-%m-%dT%H:%M:%S}.000Z", "debug", "system", app_id, None),
        (f"{old:%Y-%m-%dT%H:%M:%S}.000Z", "warn", "system", app_id, None),
        (f"{old:%Y-%m-%d %H:%M:%S}", "warn", "system", app_id, None),
    )
    found = served.client("live").get("/api/v1/apps/live/stats").json()
    assert abs(datetime.fromisoformat(found.pop("ts")) - now) < timedelta(minutes=1)
    assert found == {
        "app": "live",
        "live": {"rooms": 2, "activeStreams": 2},
        "vods": {
            "count": 4,
            "totalBytes": 3000,
            "byStatus": {"ready": 2, "recording": 1, "failed": 1},
        },
        "storage": {"appDbBytes": found["storage"]["appDbBytes"], "vodBytes": 3000},
        "ingress": {"total": 2, "active": 1},
        "events24h": {"error": 2, "warn": 0, "info": 1},
    }
    assert found["storage"]["appDbBytes"] >= place.app_db("live").stat().st_size


def test_stats_of_the_server_are_bare_and_for_any_token(served: Served, place: DataDir) -> None:
    found = served.client("radio").get("/api/v1/stats").json()
    assert found["counts"] == {"apps": 3, "rooms": 2, "activeStreams": 2, "unread": 0}
    storage = found["storage"]
    assert (storage["vodTotalBytes"], storage["vodCount"]) == (3007, 5)
    assert storage["totalDbSizeBytes"] == storage["dbSizeBytes"] + storage["appsDbSizeBytes"]
    assert storage["dbSizeBytes"] >= place.global_db.stat().st_size


def test_usage_of_a_tenant(served: Served) -> None:
    found = served.client().get("/api/v1/tenants/acme/usage").json()["data"]
    assert (found["tenantId"], found["plan"]) == ("acme", "pro")
    assert found["quotas"]["maxApps"] == 1
    assert found["usage"] == {
        "apps": 1,
        "concurrentStreams": 0,
        "recordingMinutesMonth": 0,
        "egressGbMonth": 0,
        "storageGb": 0,
    }
    assert found["recorded"] is None
    assert found["exceeded"] == ["maxApps"]
    missing = served.client().get("/api/v1/tenants/nobody/usage")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "unknown_tenant")


def test_optimize_gives_unused_pages_back(served: Served, place: DataDir) -> None:
    path = place.app_db("arena")
    vod = "INSERT INTO vods (app_id, name, metatags_json) VALUES (3, 'v', ?)"
    run_sql(path, vod, *[(f'"{"x" * 2000}"',)] * 500)
    run_sql(path, "DELETE FROM vods")
    answer = served.client().post("/api/v1/apps/arena/db/optimize")
    assert answer.status_code == 200, answer.text
    done = answer.json()["data"]
    assert set(done) == {"path", "steps", "before", "after", "reclaimedBytes"}
    assert [it["name"] for it in done["steps"]] == [
        *("PRAGMA optimize", "ANALYZE", "REINDEX", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"),
    ]
    assert done["before"]["freelistCount"] > 200
    assert done["after"]["freelistCount"] == 0
    assert done["after"]["sizeBytes"] == path.stat().st_size
    assert done["reclaimedBytes"] > 500_000
    assert not list(path.parent.glob("app.db.bak-*"))
    assert served.client().post("/api/v1/system/db/optimize").status_code == 404


def test_purge_deletes_what_the_scope_says(served: Served, place: DataDir) -> None:
    path = place.app_db("radio")
    recording = path.parent / "recordings" / "night.mp4"
    recording.parent.mkdir(exist_ok=True)
    recording.write_bytes(b"local")
    vod = "INSERT INTO vods (app_id, name, status, local_path) VALUES (2, 'v', 'ready', ?)"
    run_sql(path, vod, (str(recording),), (None,))
    run_sql(path, "INSERT INTO streams (app_id, stream_id, type) VALUES (2, 'r/a', 'rtmp')")
    run_sql(path, "INSERT INTO ingress_auth (ingress_id, app) VALUES ('wsi_1', 'radio')")
    client = served.client("radio")
    asked = {"scope": "vods", "confirm": True}
    done = client.post("/api/v1/apps/radio/db/purge", json=asked).json()["data"]
    assert done == {
        "scope": "vods",
        "vodsDeleted": 3,
        "streamsDeleted": 0,
        "logsDeleted": 0,
        "s3Deleted": 0,
        "localDeleted": 1,
        "kept": 0,
        "keptVods": [],
    }
    assert not recording.exists()
    everything = client.post("/api/v1/apps/radio/db/purge", json={"scope": "all", "confirm": True})
    assert everything.json()["data"]["streamsDeleted"] == 1
    assert query(path, "SELECT ingress_id FROM ingress_auth") == [("wsi_1",)]


def test_metrics_are_at_the_root_for_its_own_token(served: Served) -> None:
    def ask(token: str) -> httpx.Response:
        headers = [(b"Authorization", b"Bearer " + token.encode())]
        return httpx.get(f"{served.url}/metrics", headers=headers)

    answer = ask(SCRAPER)
    assert answer.status_code == 200
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert found["streamhub_active_streams",] == 2
    assert found["streamhub_upload_queue_depth",] == 1
    assert found["streamhub_vods", "recording"] == 1
    assert found["streamhub_apps", "acme"] == 1
    assert found["streamhub_apps", "platform"] == 2
    assert found["streamhub_tenant_quota", "apps", "acme"] == 1
    assert found["streamhub_tenant_usage", "concurrent_streams", "platform"] == 2
    assert found["streamhub_tenant_usage", "egress_gb_month", "acme"] == 0
    assert found["streamhub_unread_apps",] == 0
    for refused in ("scrape-me", "x", served.tokens["global"]):
        assert ask(refused).status_code == 401
