"""`purge`: objects and files first, then the rows that name them, and never more than was asked."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import yaml

from streamhub_orm.errors import SchemaOutdatedError, UnknownAppError
from streamhub_orm.maintenance import purge_vods
from streamhub_orm.maintenance.purge import Purge, Scope, purge
from streamhub_orm.settings import load_secrets, save_secrets
from streamhub_orm.storage.s3 import S3Store
from tests.maintenance.conftest import app_db, query, run_sql
from tests.support.installations.commands import CHECKOUT, run_in_process
from tests.support.installations.snapshot import fingerprint_files, load_database
from tests.support.object_stores.proxy import Faults, proxy_before

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.errors import StorageError
    from streamhub_orm.settings import S3Settings
    from streamhub_orm.storage import LocalStore, ObjectStore

VODS = 12
VOD = """
    INSERT INTO vods (id, app_id, name, status, file_key, s3_url, snapshot_key, local_path)
    VALUES (?, 1, ?, 'ready', ?, ?, ?, ?)"""
VARIANT = "INSERT INTO vod_variants (vod_id, format, file_key) VALUES (?, 'mp4', ?)"
RENDITION = """
    INSERT INTO vod_variants (vod_id, format, file_key, extra_json) VALUES (?, 'hls-h264', ?, ?)"""
SEGMENTS = ("hls/1/720p/seg_0000.ts", "hls/1/720p/seg_0001.ts")
TARGET = "INSERT INTO restream_targets (app, room, url, url_masked) VALUES ('live', 'r', 'u', 'm')"
LOG = "INSERT INTO server_logs (level, app_id, message) VALUES ('info', ?, 'm')"
INGRESS = "INSERT INTO ingress_auth (ingress_id, app) VALUES ('wsi_1', 'live')"
STREAM = "INSERT INTO streams (app_id, stream_id, type) VALUES (1, ?, 'rtmp')"


@pytest.fixture
def used(data_dir: Path) -> Path:
    """Return an installation whose app `live` has something of everything."""
    path = app_db(data_dir, "live")
    recordings = path.parent / "recordings"
    recordings.mkdir(exist_ok=True)
    vods = []
    for number in range(1, VODS + 1):
        file = recordings / f"{number}.mp4"
        file.write_bytes(b"local")
        keys = (f"rec/{number}.mp4", f"https://cdn/rec/{number}.mp4", f"snap/{number}.jpg")
        vods.append((number, f"vod {number}", *keys, str(file)))
    run_sql(path, VOD, vods)
    run_sql(path, VARIANT, [(n, f"rec/{n}-720.mp4") for n in range(1, VODS + 1)])
    run_sql(path, VARIANT, [(999, "rec/stray.mp4")])
    run_sql(path, TARGET)
    run_sql(path, INGRESS)
    run_sql(path, STREAM, [("r/a",), ("r/b",)])
    run_sql(data_dir / "data" / "streamhub.db", LOG, [(1,), (1,), (1,), (2,), (None,)])
    return data_dir


def object_keys() -> list[str]:
    names = [
        name
        for n in range(1, VODS + 1)
        for name in (f"rec/{n}.mp4", f"rec/{n}-720.mp4", f"snap/{n}.jpg")
    ]
    return [*names, "rec/stray.mp4"]


def fill(store: ObjectStore, tmp_path: Path) -> None:
    """Put every object that the rows name, and one that none does."""
    source = tmp_path / "object"
    source.write_bytes(b"x")
    for key in (*object_keys(), "rec/of-nobody.mp4"):
        store.put(source, key)


def left_in(store: ObjectStore) -> list[str]:
    return sorted(it.key for it in store.iter_objects())


def counts(path: Path) -> dict[str, int]:
    database = load_database(path)
    assert database is not None
    return {name: len(rows) for name, rows in database.tables.items() if rows}


def configure(data_dir: Path, settings: S3Settings, app: str = "live") -> None:
    """Write the store into the app's config.yaml and secrets.json, as an operator would."""
    section = {
        "prefix": "",
        "bucket": settings.bucket,
        "endpoint": settings.endpoint,
        "force_path_style": True,
        "access_key_env": "APP_LIVE_KEY",
        "secret_key_env": "APP_LIVE_SECRET",
    }
    config = data_dir / "apps" / app / "config.yaml"
    config.write_text(yaml.safe_dump({"s3": section}), encoding="utf-8")
    values = {"APP_LIVE_KEY": settings.access_key, "APP_LIVE_SECRET": settings.secret_key}
    secrets = data_dir / "data" / "secrets.json"
    save_secrets(secrets, {**load_secrets(secrets), **values})


def test_purge_of_vods_deletes_objects_files_and_rows_and_nothing_else(
    used: Path, object_store: ObjectStore, tmp_path: Path
) -> None:
    fill(object_store, tmp_path)
    path = app_db(used, "live")
    before = counts(path)
    done = purge(used, "live", Scope.VODS, store=object_store)
    assert done.ok
    assert done.deleted["vods"] == VODS
    assert done.deleted["vod_variants"] == VODS + 1
    assert done.deleted["objects"] == len(object_keys())
    assert left_in(object_store) == ["rec/of-nobody.mp4"]
    assert list((path.parent / "recordings").iterdir()) == []
    del before["vods"], before["vod_variants"]
    assert counts(path) == before
    assert len(query(used / "data" / "streamhub.db", "SELECT * FROM server_logs")) == 5


def test_purge_backs_up_first(used: Path, local_store: LocalStore) -> None:
    before = load_database(app_db(used, "live"))
    done = purge(used, "live", Scope.ALL, store=local_store)
    assert [path.name.partition(".bak-")[0] for path in done.backups] == ["app.db", "streamhub.db"]
    assert load_database(done.backups[0]) == before


def test_purge_of_logs_deletes_the_lines_of_this_app_only(used: Path) -> None:
    rows = counts(app_db(used, "live"))
    done = purge(used, "live", Scope.LOGS)
    assert (done.ok, done.deleted["server_logs"]) == (True, 3)
    left = query(used / "data" / "streamhub.db", "SELECT app_id FROM server_logs")
    assert sorted(left, key=str) == [(2,), (None,)]
    assert counts(app_db(used, "live")) == rows


def test_purge_of_logs_deletes_lines_that_only_name_the_app(used: Path) -> None:
    """Schema reference, logs: recording, restream, hls and broadcast have no app_id.

    One whose JSON is malformed names nobody, and stops nothing.
    """
    path = used / "data" / "streamhub.db"
    line = "INSERT INTO server_logs (level, source, message, meta_json) VALUES ('info', ?, 'm', ?)"
    names = ('{"appName":"live"}', '{"appName":"radio"}', '{"appName":"live"', '{"app":"live"}')
    run_sql(path, line, [("hls", meta) for meta in (*names, None)])
    planned = purge(used, "live", Scope.LOGS, dry_run=True)
    done = purge(used, "live", Scope.LOGS)
    assert planned.deleted["server_logs"] == done.deleted["server_logs"] == 4
    left = query(path, "SELECT meta_json FROM server_logs WHERE source = 'hls' ORDER BY id")
    assert [meta for (meta,) in left] == [*names[1:], None]


def test_purge_of_all_keeps_the_app_its_config_credentials_and_markers(
    used: Path, local_store: LocalStore
) -> None:
    done = purge(used, "live", Scope.ALL, store=local_store)
    assert done.ok
    assert done.deleted["streams"] == 2
    assert done.deleted["server_logs"] == 3
    left = {"_streamhub_meta", "alembic_version", "ingress_auth", "restream_targets"}
    assert set(counts(app_db(used, "live"))) - {"sqlite_sequence"} == left
    assert run_in_process("--data-dir", used, "check").status == 0
    assert "Nothing to do" in run_in_process("--data-dir", used, "upgrade").stdout


def test_dry_run_counts_what_goes_and_touches_nothing(used: Path, local_store: LocalStore) -> None:
    before = fingerprint_files(used)
    planned = purge(used, "live", Scope.ALL, dry_run=True)
    assert fingerprint_files(used) == before
    assert planned.deleted == purge(used, "live", Scope.ALL, store=local_store).deleted


def test_second_purge_changes_nothing_more(used: Path, local_store: LocalStore) -> None:
    purge(used, "live", Scope.ALL, store=local_store)
    before = fingerprint_files(used)
    again = purge(used, "live", Scope.ALL, store=local_store)
    assert (again.ok, sum(again.deleted.values()), again.backups) == (True, 0, [])
    assert fingerprint_files(used) == before


def test_purge_in_batches_misses_none(
    used: Path, local_store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge_vods, "BATCH", 5)
    fill(local_store, tmp_path)
    done = purge(used, "live", Scope.VODS, store=local_store)
    assert (done.ok, done.deleted["vods"]) == (True, VODS)
    assert left_in(local_store) == ["rec/of-nobody.mp4"]


def test_vod_whose_object_cannot_be_deleted_keeps_its_row_and_the_others_go(
    used: Path, local_store: LocalStore, tmp_path: Path
) -> None:
    """A key that no store takes is the fault of this one recording."""
    fill(local_store, tmp_path)
    run_sql(app_db(used, "live"), "UPDATE vods SET file_key = '../escape.mp4' WHERE id = 3")
    done = purge(used, "live", Scope.VODS, store=local_store)
    assert (done.ok, done.kept, done.error) == (False, 1, None)
    (kept,) = done.kept_vods
    assert (kept.id, kept.name) == (3, "vod 3")
    assert "../escape.mp4" in kept.reason
    assert query(app_db(used, "live"), "SELECT id FROM vods") == [(3,)]
    assert query(app_db(used, "live"), "SELECT vod_id FROM vod_variants") == [(3,)]
    assert (used / "apps" / "live" / "recordings" / "3.mp4").exists()


def test_local_file_outside_of_the_app_keeps_its_row(
    used: Path, local_store: LocalStore, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    run_sql(app_db(used, "live"), "UPDATE vods SET local_path = ? WHERE id = 2", [(str(precious),)])
    done = purge(used, "live", Scope.VODS, store=local_store)
    assert [vod.id for vod in done.kept_vods] == [2]
    assert precious.exists()


def test_vod_that_changes_while_its_objects_go_keeps_its_row(
    used: Path, local_store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variant that came meanwhile names an object that is still there; the next run takes it."""
    fill(local_store, tmp_path)
    delete_many = local_store.delete_many

    def delete_slowly(keys: list[str]) -> dict[str, StorageError]:
        failed = delete_many(keys)
        run_sql(app_db(used, "live"), VARIANT, [(4, "rec/4-1080.mp4")])
        return failed

    with monkeypatch.context() as patch:
        patch.setattr(local_store, "delete_many", delete_slowly)
        patch.setattr(purge_vods, "BATCH", VODS)
        done = purge(used, "live", Scope.VODS, store=local_store)
    assert [vod.id for vod in done.kept_vods] == [4]
    assert "changed meanwhile" in done.kept_vods[0].reason
    assert purge(used, "live", Scope.VODS, store=local_store).ok
    assert "vods" not in counts(app_db(used, "live"))


def test_without_a_store_uploaded_recordings_stay_and_local_ones_go(used: Path) -> None:
    run_sql(app_db(used, "live"), "UPDATE vods SET s3_url = NULL WHERE id > 1")
    done = purge(used, "live", Scope.VODS)
    assert [(vod.id, vod.name) for vod in done.kept_vods] == [(1, "vod 1"), (13, "variant 13")]
    assert "names no bucket" in done.kept_vods[0].reason
    assert query(app_db(used, "live"), "SELECT id FROM vods") == [(1,)]


def test_command_finds_the_store_in_the_config_of_the_app(
    used: Path, s3_settings: S3Settings, s3_store: S3Store, tmp_path: Path
) -> None:
    fill(s3_store, tmp_path)
    configure(used, s3_settings)
    command = ("--data-dir", used, "purge", "live", "--scope", "vods")
    refused = run_in_process(*command)
    assert (refused.status, "--yes" in refused.stderr) == (2, True)
    planned = run_in_process(*command, "--dry-run", "--json").report
    done = run_in_process(*command, "--yes", "--json")
    assert (done.status, done.report["deleted"]) == (0, planned["deleted"])
    assert left_in(s3_store) == ["rec/of-nobody.mp4"]
    assert s3_settings.secret_key not in done.stdout + done.stderr


@pytest.mark.parametrize("fault", ["wrong key", "missing bucket", "nothing listens"])
def test_store_that_does_nothing_leaves_every_row_and_is_named(
    used: Path, s3_settings: S3Settings, fault: str
) -> None:
    settings = {
        "wrong key": replace(s3_settings, secret_key="made-up-credential"),  # noqa: S106
        "missing bucket": replace(s3_settings, bucket="no-such-bucket"),
        "nothing listens": replace(s3_settings, endpoint="http://127.0.0.1:9"),
    }[fault]
    configure(used, settings)
    before = counts(app_db(used, "live"))
    outcome = run_in_process(
        "--data-dir", used, "--json", "purge", "live", "--scope", "vods", "--yes"
    )
    assert outcome.status == 1
    assert outcome.report["ok"] is False
    assert outcome.report["kept"] == VODS
    assert "were not tried" in outcome.report["error"]
    assert "made-up-credential" not in outcome.stdout + outcome.stderr
    assert counts(app_db(used, "live")) == before
    assert len(list((app_db(used, "live").parent / "recordings").iterdir())) == VODS


def test_missing_secret_is_a_refusal_before_anything_is_touched(
    used: Path, s3_settings: S3Settings
) -> None:
    configure(used, s3_settings)
    (used / "data" / "secrets.json").write_text("{}", encoding="utf-8")
    before = fingerprint_files(used)
    outcome = run_in_process("--data-dir", used, "purge", "live", "--scope", "all", "--yes")
    assert outcome.status == 3
    assert "APP_LIVE_KEY" in outcome.stderr
    assert fingerprint_files(used) == before


def test_store_that_vanishes_half_way_is_finished_by_the_next_run(
    used: Path,
    s3_settings: S3Settings,
    s3_store: S3Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows go only with their objects, whatever moment the store goes away at."""
    monkeypatch.setattr(purge_vods, "BATCH", 2)
    fill(s3_store, tmp_path)
    assert s3_settings.endpoint is not None
    faults = Faults(vanish_after_upload=6000)
    with (
        proxy_before(s3_settings.endpoint, faults) as proxy,
        S3Store(replace(s3_settings, endpoint=proxy.endpoint), read_seconds=2) as store,
    ):
        broken = purge(used, "live", Scope.VODS, store=store)
    assert not broken.ok
    assert 0 < broken.deleted["vods"] < VODS
    assert_rows_have_objects(used, s3_store)
    assert purge(used, "live", Scope.VODS, store=s3_store).ok
    assert left_in(s3_store) == ["rec/of-nobody.mp4"]


def test_store_that_never_answers_is_asked_once(
    used: Path, s3_settings: S3Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three attempts of 8 s are within the 30 s that the documents promise, six are not."""
    assert s3_settings.endpoint is not None
    with (
        proxy_before(s3_settings.endpoint, Faults(swallow=True)) as proxy,
        S3Store(replace(s3_settings, endpoint=proxy.endpoint), read_seconds=0.2) as store,
    ):
        monkeypatch.setattr(store, "head", None)
        done = purge(used, "live", Scope.VODS, store=store)
    assert "no answer in time" in str(done.error)
    assert "were not tried" in str(done.error)
    assert query(app_db(used, "live"), "SELECT count(*) FROM vods") == [(VODS,)]


def assert_rows_have_objects(data_dir: Path, store: ObjectStore) -> None:
    """Fail where an object is there that no row names any more."""
    named = query(
        app_db(data_dir, "live"),
        "SELECT file_key FROM vods UNION SELECT snapshot_key FROM vods "
        "UNION SELECT file_key FROM vod_variants",
    )
    assert set(left_in(store)) - {"rec/of-nobody.mp4"} <= {key for (key,) in named}


@pytest.mark.parametrize("number", [1, 8, 20, 37])
def test_purge_killed_between_objects_is_finished_by_the_next_run(
    used: Path, local_store: LocalStore, tmp_path: Path, number: int
) -> None:
    """SIGKILL before the n-th object goes: rows of whatever still exists are there."""
    fill(local_store, tmp_path)
    script = f"""
import os, signal
from pathlib import Path
from streamhub_orm.maintenance import purge_vods
from streamhub_orm.maintenance.purge import Scope, purge
from streamhub_orm.storage import LocalStore

class Killed(LocalStore):
    seen = 0
    def delete(self, key):
        Killed.seen += 1
        if Killed.seen == {number}:
            os.kill(os.getpid(), signal.SIGKILL)
        super().delete(key)

purge_vods.BATCH = 3
purge(Path({str(used)!r}), "live", Scope.ALL, store=Killed(Path({str(local_store.folder)!r})))
"""
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert_rows_have_objects(used, local_store)
    assert purge(used, "live", Scope.ALL, store=local_store).ok
    assert left_in(local_store) == ["rec/of-nobody.mp4"]
    assert "vods" not in counts(app_db(used, "live"))


def test_purge_of_an_unknown_or_outdated_app_is_refused(used: Path) -> None:
    with pytest.raises(UnknownAppError):
        purge(used, "nobody", Scope.ALL)
    downgraded = run_in_process("--data-dir", used, "downgrade", "a0008", "--app", "live")
    assert downgraded.status == 0
    before = fingerprint_files(used)
    with pytest.raises(SchemaOutdatedError):
        purge(used, "live", Scope.ALL)
    assert fingerprint_files(used) == before


def test_fault_after_recordings_are_gone_does_not_claim_that_nothing_was_touched(
    used: Path, local_store: LocalStore, tmp_path: Path
) -> None:
    """The log is locked by the time its turn comes: status 1, and the next run does the rest."""
    fill(local_store, tmp_path)
    with closing(sqlite3.connect(used / "data/streamhub.db", isolation_level=None)) as server:
        server.execute("BEGIN IMMEDIATE")
        done = purge(used, "live", Scope.ALL, store=local_store)
    assert (done.ok, done.deleted["vods"], done.deleted["server_logs"]) == (False, VODS, 0)
    assert "streamhub.db: found" in str(done.error)
    assert "write lock" in str(done.error)
    again = purge(used, "live", Scope.ALL, store=local_store)
    assert (again.ok, again.deleted["server_logs"]) == (True, 3)


def test_purge_names_only_so_many_recordings_that_stay(
    used: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamhub_orm.maintenance.purge.LISTED", 2)
    done: Purge = purge(used, "live", Scope.VODS)
    assert (done.kept, len(done.kept_vods)) == (VODS + 1, 2)
    outcome = run_in_process("--data-dir", used, "purge", "live", "--scope", "vods", "--yes")
    assert f"kept {VODS - 1} more VODs" in outcome.stderr


def test_segments_of_a_rendition_and_local_snapshots_go_with_the_recording(
    used: Path, local_store: LocalStore, tmp_path: Path
) -> None:
    """Schema reference, S3: `extra_json.segmentKeys`, and `snapshots/<base>.jpg`."""
    fill(local_store, tmp_path)
    for key in (*SEGMENTS, "hls/1/720p/index.m3u8"):
        local_store.put(tmp_path / "object", key)
    extra = json.dumps({"segmentKeys": SEGMENTS})
    run_sql(app_db(used, "live"), RENDITION, [(1, "hls/1/720p/index.m3u8", extra)])
    snapshots = app_db(used, "live").parent / "snapshots"
    snapshots.mkdir(exist_ok=True)
    for name in ("1.jpg", "1_0001.jpg"):
        (snapshots / name).write_bytes(b"x")

    planned = purge(used, "live", Scope.VODS, dry_run=True)
    done = purge(used, "live", Scope.VODS, store=local_store)

    assert (done.ok, done.deleted) == (True, planned.deleted)
    assert left_in(local_store) == ["rec/of-nobody.mp4"]
    # Periodic snapshots stay: no row names them.
    assert [it.name for it in snapshots.iterdir()] == ["1_0001.jpg"]


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ("{", "extra_json of its variants"),
        ("7", "extra_json of its variants"),
        ('{"segmentKeys": "seg.ts"}', "extra_json of its variants"),
        ('{"segmentKeys": ["seg.ts", 5]}', "extra_json of its variants"),
        ('{"segmentKeys": ["../../other/seg.ts"]}', "its object ../../other/seg.ts"),
    ],
)
def test_segments_that_nobody_can_name_keep_their_recording_alone(
    used: Path, local_store: LocalStore, tmp_path: Path, extra: str, told: str
) -> None:
    """Metatags that are malformed are no hindrance to others."""
    fill(local_store, tmp_path)
    run_sql(app_db(used, "live"), RENDITION, [(3, "hls/3/index.m3u8", extra)])
    run_sql(app_db(used, "live"), "UPDATE vods SET metatags_json = '{' WHERE id = 4")
    done = purge(used, "live", Scope.VODS, store=local_store)
    assert [(vod.id, vod.name) for vod in done.kept_vods] == [(3, "vod 3")]
    assert told in done.kept_vods[0].reason
    assert query(app_db(used, "live"), "SELECT id FROM vods") == [(3,)]


@pytest.mark.parametrize("extra", [None, "{}", '{"segmentKeys": null}', '{"other": 1}', "[]"])
def test_variant_without_segments_is_no_hindrance(
    used: Path, local_store: LocalStore, extra: str | None
) -> None:
    run_sql(app_db(used, "live"), RENDITION, [(3, "hls/3/index.m3u8", extra)])
    assert purge(used, "live", Scope.VODS, store=local_store).ok
