"""`streamhub-db backup`, as an operator and a timer use it."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pyrage
import pytest

from streamhub_orm.readable import in_bytes
from tests.support.installations.commands import run_in_process
from tests.support.installations.snapshot import fingerprint_files, load_snapshot
from tests.support.object_stores.proxy import Faults, proxy_before

if TYPE_CHECKING:
    from streamhub_orm.settings import S3Settings
    from streamhub_orm.testing.seaweedfs import SeaweedFS
    from tests.conftest import MakeInstallation
    from tests.support.installations import Installation


@pytest.fixture
def installation(
    make_installation: MakeInstallation, monkeypatch: pytest.MonkeyPatch
) -> Installation:
    """An installation, with no BACKUP_* variable of the machine's in the way."""
    for name in ("DATA_DIR", "LOCAL_DIR", "RETENTION_DAYS", "S3_BUCKET"):
        monkeypatch.delenv(f"BACKUP_{name}", raising=False)
    found = make_installation("node_split", rows=8)
    found.global_path.with_name("secrets.json").write_text('{"KEY": "canary-in-secrets"}')
    return found


@pytest.fixture
def bucket(s3_settings: S3Settings, monkeypatch: pytest.MonkeyPatch) -> S3Settings:
    """A real bucket, named by the variables of the field."""
    for name, value in (
        ("BUCKET", s3_settings.bucket),
        ("ENDPOINT", str(s3_settings.endpoint)),
        ("ACCESS_KEY_ID", s3_settings.access_key),
        ("SECRET_ACCESS_KEY", s3_settings.secret_key),
    ):
        monkeypatch.setenv(f"BACKUP_S3_{name}", value)
    return s3_settings


def lose_file(path: Path) -> None:
    path.write_bytes(b"ruined")
    path.with_name("app.db-wal").unlink(missing_ok=True)


def listed_in(installation: Installation) -> list[dict[str, object]]:
    found = backup(installation, "list")["backups"]
    assert isinstance(found, list)
    return found


def backup(installation: Installation, *words: str | Path) -> dict[str, object]:
    outcome = run_in_process("--data-dir", installation.data_dir, "--json", "backup", *words)
    assert outcome.status == 0, outcome
    return outcome.report


def test_backup_is_listed_verified_and_restored(installation: Installation) -> None:
    """The folder is backups/ in the installation, and `latest` is the newest."""
    before = load_snapshot(installation.data_dir)
    created = backup(installation, "create")
    assert (created["ok"], created["complete"], created["stored"]) == (True, True, None)
    assert str(created["archive"]).startswith(str(installation.data_dir / "backups"))
    (listed,) = listed_in(installation)
    assert (listed["place"], listed["bytes"]) == ("local", created["bytes"])
    words = run_in_process("--data-dir", installation.data_dir, "backup", "list").stdout
    row, totals = words.splitlines()[1:]
    size = in_bytes(int(str(listed["bytes"])))
    assert row == f"local\t{listed['name']}\t0 min ago\t{size}\tyes"
    assert totals.startswith(f"1 backup, {size}; ")
    assert backup(installation, "verify")["faults"] == []
    lose_file(installation.app_db("live"))
    restored = backup(installation, "restore", "latest")
    after = load_snapshot(installation.data_dir)
    assert {k: v.tables for k, v in after.app_dbs.items()} == {
        k: v.tables for k, v in before.app_dbs.items()
    }
    undone = backup(installation, "undo", str(restored["set_aside"]))
    assert installation.app_db("live").read_bytes() == b"ruined"
    assert undone["files"] == restored["files"]


def test_restore_brings_to_head_when_asked(installation: Installation) -> None:
    name = backup(installation, "create")["archive"]
    assert backup(installation, "restore", str(name), "--upgrade")["failed"] == 0
    status = run_in_process("--data-dir", installation.data_dir, "--json", "status").report
    assert status["split_done"] is True
    assert {app["state"] for app in status["apps"]} == {"current"}


def test_backup_travels_through_a_bucket_to_another_machine(
    installation: Installation, bucket: S3Settings, tmp_path: Path
) -> None:
    created = backup(installation, "create")
    assert f"/{bucket.bucket}/streamhub-backups/streamhub-backup-" in str(created["stored"])
    places = {each["place"] for each in listed_in(installation)}
    assert places == {"local", "s3"}
    expected = load_snapshot(installation.data_dir).registry.tables
    shutil.rmtree(installation.data_dir)
    done = run_in_process(
        "--data-dir", tmp_path / "elsewhere", "backup", "restore", "latest", "--from", "s3"
    )
    assert done.status == 0, done
    assert load_snapshot(tmp_path / "elsewhere").registry.tables == expected


def test_bucket_with_wrong_keys_fails_in_words_and_the_local_backup_stays(
    installation: Installation, bucket: S3Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKUP_S3_SECRET_ACCESS_KEY", "canary-wrong")
    outcome = run_in_process("--data-dir", installation.data_dir, "--json", "backup", "create")
    assert outcome.status == 1
    assert (outcome.report["ok"], outcome.report["complete"]) == (False, True)
    assert bucket.bucket in outcome.report["error"]
    assert "canary" not in outcome.stdout + outcome.stderr
    assert len(list((installation.data_dir / "backups").glob("*.tar.gz"))) == 1


def test_missing_bucket_fails_in_words(
    installation: Installation, bucket: S3Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKUP_S3_BUCKET", "no-such-bucket")
    outcome = run_in_process("--data-dir", installation.data_dir, "backup", "create")
    assert outcome.status == 1
    assert "no-such-bucket: found no such bucket" in outcome.stderr


def test_bucket_that_vanishes_within_the_upload_holds_no_half_archive(
    installation: Installation, bucket: S3Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The local backup stays, and the next run stores its own."""
    with proxy_before(str(bucket.endpoint), Faults(vanish_after_upload=4_000)) as proxy:
        monkeypatch.setenv("BACKUP_S3_ENDPOINT", proxy.endpoint)
        outcome = run_in_process("--data-dir", installation.data_dir, "backup", "create")
    assert outcome.status == 1
    assert "not stored in the bucket" in outcome.stderr
    monkeypatch.setenv("BACKUP_S3_ENDPOINT", str(bucket.endpoint))
    assert [each["place"] for each in listed_in(installation)] == ["local"]
    backup(installation, "create")
    assert [each["place"] for each in listed_in(installation)] == ["local", "local", "s3"]


def test_truncated_download_restores_nothing(
    installation: Installation, bucket: S3Settings, seaweedfs: SeaweedFS
) -> None:
    """The object is replaced by its first half, as a broken copy between buckets leaves it."""
    from streamhub_orm.storage import open_s3_store  # noqa: PLC0415 - boto3 is slow to import

    created = backup(installation, "create")
    path = installation.data_dir / "half"
    archive = str(created["archive"])
    with open(archive, "rb") as whole:  # noqa: PTH123
        path.write_bytes(whole.read()[:2000])
    with open_s3_store(bucket) as store:
        key = str(created["stored"]).partition(bucket.bucket + "/")[2]
        store.put(path, key)
    path.unlink()
    before = fingerprint_files(installation.data_dir)
    outcome = run_in_process(
        "--data-dir", installation.data_dir, "backup", "restore", "latest", "--from", "s3"
    )
    assert outcome.status == 3
    assert "Nothing was touched" in outcome.stderr
    assert fingerprint_files(installation.data_dir) == before


def test_pruning_by_a_timer_keeps_the_good_one_in_both_places(
    installation: Installation, bucket: S3Settings
) -> None:
    for _ in range(3):
        backup(installation, "create")
    done = backup(installation, "prune", "--keep", "1", "--keep-days", "0")
    places = done["places"]
    assert isinstance(places, list)
    assert [(len(each["removed"]), each["kept"]) for each in places] == [(2, 1), (2, 1)]
    assert [each["place"] for each in listed_in(installation)] == ["local", "s3"]


def test_incomplete_backup_ends_with_one_and_names_the_file(installation: Installation) -> None:
    lose_file(installation.app_db("live"))
    outcome = run_in_process("--data-dir", installation.data_dir, "backup", "create")
    assert outcome.status == 1
    assert "data/apps/live/app.db is not in the backup" in outcome.stderr


def test_database_without_a_table_is_left_out_and_named(installation: Installation) -> None:
    installation.app_db("live").write_bytes(b"")
    outcome = run_in_process("--data-dir", installation.data_dir, "backup", "create")
    assert outcome.status == 0, outcome
    assert "warning: data/apps/live/app.db is left out: it has no table" in outcome.stdout
    assert backup(installation, "create")["left_out"] == ["data/apps/live/app.db"]


def test_empty_database_in_a_backup_ends_verify_with_one(
    installation: Installation, tmp_path: Path
) -> None:
    archive = tmp_path / "other.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("data/apps/live/app.db"))
    outcome = run_in_process("--data-dir", installation.data_dir, "backup", "verify", archive)
    assert outcome.status == 1
    assert f"Error: {archive}: data/apps/live/app.db has no table" in outcome.stderr
    assert refused(installation, "restore", archive, "--app", "live")[0] == 3


@pytest.mark.parametrize("words", [("restore", "nothing"), ("verify",), ("undo", "nowhere")])
def test_what_is_not_there_is_refused_with_what_is(
    installation: Installation, words: tuple[str, ...]
) -> None:
    backup(installation, "create")
    shutil.move(installation.data_dir / "backups", installation.data_dir / "moved")
    before = fingerprint_files(installation.data_dir)
    outcome = run_in_process("--data-dir", installation.data_dir, "backup", *words)
    assert outcome.status == 3
    assert fingerprint_files(installation.data_dir) == before


@pytest.mark.parametrize("command", ["verify", "restore"])
def test_latest_where_there_is_no_folder_of_backups_says_which_folder(
    installation: Installation, command: str
) -> None:
    status, report = refused(installation, command, "latest")
    assert status == 3
    folder = installation.data_dir / "backups"
    assert f"{folder}: found none; expected a complete backup" in str(report["error"])


def test_latest_is_an_incomplete_backup_only_where_that_is_allowed(
    installation: Installation,
) -> None:
    lose_file(installation.app_db("live"))
    status, report = refused(installation, "create")
    assert (status, report["complete"]) == (1, False)
    name = Path(str(report["archive"])).name
    status, report = refused(installation, "restore", "latest")
    assert status == 3
    assert f"found {name}; expected a complete backup" in str(report["error"])
    restored = backup(installation, "restore", "latest", "--allow-incomplete")
    assert str(restored["source"]).endswith(name)


def test_fault_of_an_archive_is_shown_with_its_name(
    installation: Installation, tmp_path: Path
) -> None:
    archive = tmp_path / "other.tar.gz"
    with tarfile.open(archive, "w:gz"):
        pass
    outcome = run_in_process("--data-dir", installation.data_dir, "backup", "verify", archive)
    assert outcome.status == 1
    assert f"Error: {archive}: no database at all" in outcome.stderr


def test_bucket_is_needed_where_it_is_named(installation: Installation) -> None:
    outcome = run_in_process(
        "--data-dir", installation.data_dir, "--json", "backup", "verify", "--from", "s3"
    )
    assert outcome.status == 3
    assert "BACKUP_S3_BUCKET: found nothing" in json.loads(outcome.stdout)["error"]


def test_no_secret_is_shown_by_any_command(installation: Installation) -> None:
    shown = ""
    for words in (["create"], ["list"], ["verify", "latest"], ["restore", "latest"], ["prune"]):
        outcome = run_in_process("--data-dir", installation.data_dir, "-vv", "backup", *words)
        assert outcome.status == 0, outcome
        shown += outcome.stdout + outcome.stderr
    assert "canary" not in shown


def refused(installation: Installation, *words: str | Path) -> tuple[int, dict[str, object]]:
    outcome = run_in_process("--data-dir", installation.data_dir, "--json", "backup", *words)
    return outcome.status, outcome.report


def test_upload_without_a_bucket_is_refused_before_an_archive_is_made(
    installation: Installation,
) -> None:
    status, report = refused(installation, "create", "--upload")
    assert (status, report["ok"]) == (3, False)
    assert "BACKUP_S3_BUCKET" in str(report["error"])
    assert not (installation.data_dir / "backups").exists()


@pytest.fixture
def dead_bucket(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two backups in the folder, and a bucket at an address where nobody answers."""
    for _ in range(2):
        backup(installation, "create")
    for name, value in (
        ("BUCKET", "gone"),
        ("ENDPOINT", "http://127.0.0.1:9"),
        ("ACCESS_KEY_ID", "key"),
        ("SECRET_ACCESS_KEY", "secret"),
    ):
        monkeypatch.setenv(f"BACKUP_S3_{name}", value)


@pytest.mark.usefixtures("dead_bucket")
def test_bucket_out_of_reach_after_the_folder_was_pruned_is_a_failure_and_no_refusal(
    installation: Installation,
) -> None:
    """Exit status 3 would say that nothing was touched."""
    first = min((installation.data_dir / "backups").glob("*.tar.gz"))
    status, report = refused(installation, "prune", "--keep", "1")
    assert (status, report["ok"]) == (1, False)
    local, bucket = places_of(report)
    assert (local["removed"], local["error"]) == ([first.name], None)
    assert "127.0.0.1:9" in str(bucket["error"])
    assert refused(installation, "prune", "--place", "s3")[0] == 3


@pytest.mark.parametrize("words", [("--keep", "9"), ("--keep", "1", "--dry-run")])
@pytest.mark.usefixtures("dead_bucket")
def test_folder_is_pruned_and_shown_where_the_bucket_does_not_answer(
    installation: Installation, words: tuple[str, ...]
) -> None:
    """Also where nothing was to be removed from it, or nothing is by a dry run."""
    status, report = refused(installation, "prune", *words)
    assert (status, report["ok"]) == (1, False)
    local, bucket = places_of(report)
    assert (local["kept"], local["error"]) == (2 - ("--dry-run" in words), None)
    assert "127.0.0.1:9" in str(bucket["error"])


@pytest.mark.usefixtures("dead_bucket")
def test_bucket_that_does_not_answer_hides_no_local_backup(installation: Installation) -> None:
    status, report = refused(installation, "list")
    assert (status, report["ok"]) == (1, False)
    assert "127.0.0.1:9" in str(report["error"])
    listed = report["backups"]
    assert isinstance(listed, list)
    assert [each["place"] for each in listed] == ["local", "local"]
    outcome = run_in_process("--data-dir", installation.data_dir, "backup", "list")
    assert outcome.status == 1
    assert outcome.stdout.count("local") == 2
    assert "127.0.0.1:9" in outcome.stderr


def test_status_knows_the_newest_archive_of_each_place(
    installation: Installation, bucket: S3Settings
) -> None:
    backup(installation, "create")
    backup(installation, "verify")
    status = run_in_process("--data-dir", installation.data_dir, "--json", "status")
    assert status.status == 0
    local, there = status.report["archives"]
    assert (local["place"], there["place"]) == ("local", "s3")
    assert local["newest"] == there["newest"] is not None
    assert all(each["verified_at"] and each["error"] is None for each in (local, there))
    words = run_in_process("--data-dir", installation.data_dir, "status").stdout
    name = local["newest"]
    assert f"newest backup, local: {name} is 0 min old, verified 0 min ago\n" in words
    assert f"newest backup, s3: {name} is 0 min old, verified 0 min ago\n" in words


@pytest.mark.usefixtures("dead_bucket")
def test_status_is_no_failure_where_the_bucket_does_not_answer(installation: Installation) -> None:
    outcome = run_in_process("--data-dir", installation.data_dir, "status")
    assert (outcome.status, outcome.stderr) == (0, "")
    assert "newest backup, local: streamhub-backup-" in outcome.stdout
    assert "newest backup, s3: no connection (gone)\n" in outcome.stdout


def test_status_is_no_failure_where_the_settings_of_backups_are_wrong(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKUP_RETENTION_DAYS", "many")
    outcome = run_in_process("--data-dir", installation.data_dir, "status")
    assert outcome.status == 0
    assert "'many' (BACKUP_RETENTION_DAYS)" in outcome.stdout


def places_of(report: dict[str, object]) -> list[dict[str, object]]:
    places = report["places"]
    assert isinstance(places, list)
    return places


def test_upgrade_that_is_refused_after_a_restore_is_a_failure_and_no_refusal(
    installation: Installation,
) -> None:
    backup(installation, "create")
    with closing(sqlite3.connect(installation.global_path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    status, report = refused(installation, "restore", "latest", "--app", "live", "--upgrade")
    assert status == 1, report
    assert report["ok"] is False
    assert report["set_aside"] is not None
    assert "streamhub.db" in str(report["error"])


def test_upload_that_failed_is_made_up_for(
    installation: Installation, bucket: S3Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive of the folder goes, no other is made; the failure named the command."""
    monkeypatch.setenv("BACKUP_S3_BUCKET", "no-such-bucket-anywhere")
    failed = run_in_process("--data-dir", installation.data_dir, "backup", "create")
    assert failed.status == 1
    (made,) = (installation.data_dir / "backups").iterdir()
    assert f"streamhub-db backup upload {made.name}" in failed.stderr
    monkeypatch.setenv("BACKUP_S3_BUCKET", bucket.bucket)
    report = backup(installation, "upload", made.name)
    assert str(report["stored"]).endswith(f"/streamhub-backups/{made.name}")
    assert {str(it["place"]) for it in listed_in(installation)} == {"local", "s3"}
    checked = backup(installation, "check", "--max-age", "1h", "--verify")
    assert [it["error"] for it in checked["items"]] == [None, None]  # type: ignore[attr-defined]


def test_encrypted_backup_travels_through_a_bucket(
    installation: Installation, bucket: S3Settings, tmp_path: Path
) -> None:
    """The restore names the object, not the copy that it read."""
    secret = pyrage.x25519.Identity.generate()
    identity = tmp_path / "identity.txt"
    identity.write_text(str(secret), "ascii")
    made = backup(installation, "create", "--recipient", str(secret.to_public()))
    before = load_snapshot(installation.data_dir)
    shutil.rmtree(installation.data_dir)
    words = ("restore", "latest", "--from", "s3")
    refused = run_in_process("--data-dir", installation.data_dir, "--json", "backup", *words)
    assert refused.status == 3
    assert str(refused.report["error"]).startswith(f"{made['stored']}: found an encrypted backup")
    restored = backup(installation, *words, "--identity", identity)
    assert restored["source"] == made["stored"]
    after = load_snapshot(installation.data_dir)
    assert (after.registry, after.app_dbs) == (before.registry, before.app_dbs)


def test_alarm_ends_with_one_and_says_where(installation: Installation) -> None:
    outcome = run_in_process("--data-dir", installation.data_dir, "backup", "check")
    assert outcome.status == 1
    assert outcome.stderr.startswith("Error: local: no folder ")
    for words in (("--max-age", "26"), ("--max-age", "0h"), ("--max-age", "9999999w")):
        wrong = run_in_process("--data-dir", installation.data_dir, "backup", "check", *words)
        assert wrong.status == 2
        assert "a number and m, h, d or w" in wrong.stderr


def test_limits_and_rules_of_pruning_are_not_mixed(installation: Installation) -> None:
    words = ("backup", "prune", "--keep-days", "3", "--keep-daily", "7")
    outcome = run_in_process("--data-dir", installation.data_dir, *words)
    assert outcome.status == 2
    assert "--keep-within" in outcome.stderr
    backup(installation, "create")
    kept = backup(installation, "prune", "--keep-daily", "7", "--keep-within", "2w")
    assert kept["places"][0]["kept"] == 1  # type: ignore[index]


def test_contents_and_differences_are_shown(installation: Installation) -> None:
    first = Path(str(backup(installation, "create")["archive"])).name
    shown = backup(installation, "show", first)
    names = [it["name"] for it in shown["items"]]  # type: ignore[attr-defined]
    assert "data/streamhub.db" in names
    assert "canary-in-secrets" not in json.dumps(shown)
    with closing(sqlite3.connect(installation.data_dir / "apps/live/app.db")) as it, it:
        it.execute("INSERT INTO vods (app_id, name) VALUES (1, 'new')")
    backup(installation, "create")
    outcome = run_in_process("--data-dir", installation.data_dir, "backup", "diff", first)
    assert outcome.status == 0
    assert "changed data/apps/live/app.db: vods " in outcome.stdout
