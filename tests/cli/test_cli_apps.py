"""`streamhub-db apps`: exit status, words and documents; what it leaves."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.support.installations.commands import run_in_process
from tests.support.installations.snapshot import fingerprint_files

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.testing.plugin import MakeStreamHub
    from tests.support.installations.commands import Outcome


@pytest.fixture
def data_dir(make_streamhub: MakeStreamHub) -> Path:
    return make_streamhub().root


def apps(data_dir: Path, *arguments: str) -> Outcome:
    return run_in_process("--data-dir", data_dir, "apps", *arguments)


def test_app_is_created_listed_and_deleted(data_dir: Path) -> None:
    folder = data_dir / "apps" / "tv-2"
    made = apps(data_dir, "create", "tv-2", "--display-name", "TV 2")
    assert (made.status, made.stdout) == (0, f"made {folder}\n")
    listed = apps(data_dir, "list").stdout.splitlines()
    assert [line.split("\t")[:3] for line in listed[:-1]] == [
        ["app", "tenant", "display_name"],
        ["live", "platform", "Live"],
        ["tv-2", "platform", "TV 2"],
    ]
    assert listed[-1].startswith("2 apps; ")
    deleted = apps(data_dir, "delete", "tv-2", "--yes")
    assert deleted.stdout == f"deleted tv-2; its folder is kept: {folder}\n"
    assert (folder / "app.db").exists()
    assert apps(data_dir, "list", "--json").report["apps"][0]["app"] == "live"


def test_purge_removes_the_folder_and_says_so(data_dir: Path) -> None:
    apps(data_dir, "create", "tv-2")
    deleted = apps(data_dir, "delete", "tv-2", "--purge", "--yes", "--json")
    assert deleted.report == {"ok": True, "app": "tv-2", "dry_run": False, "kept": None}
    assert not (data_dir / "apps" / "tv-2").exists()


@pytest.mark.parametrize("options", [[], ["--purge"]])
def test_delete_without_consent_touches_nothing(data_dir: Path, options: list[str]) -> None:
    before = fingerprint_files(data_dir)
    refused = apps(data_dir, "delete", "live", *options)
    assert (refused.status, refused.stdout) == (2, "")
    assert "--yes to do it" in refused.stderr
    assert fingerprint_files(data_dir) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create", "live"], "in the registry already"),
        (["create", "TV"], "expected 3 to 32 characters"),
        (["create", "tv-2", "--tenant", "nobody"], "nobody"),
        (["delete", "tv-2", "--yes"], "no app 'tv-2'"),
        (["delete", "../live", "--purge", "--yes"], "expected 3 to 32 characters"),
    ],
)
def test_refusal_is_exit_status_3_with_one_document(
    data_dir: Path, arguments: list[str], words: str
) -> None:
    before = fingerprint_files(data_dir / "apps")
    refused = apps(data_dir, *arguments, "--json")
    assert refused.status == 3
    assert refused.report["ok"] is False
    assert words in refused.report["error"]
    assert "Traceback" not in refused.stderr
    assert fingerprint_files(data_dir / "apps") == before


def test_kept_folder_is_taken_over_with_its_option(data_dir: Path) -> None:
    """`live` has an ingress credential, so its folder is not taken over by accident."""
    with closing(sqlite3.connect(data_dir / "apps/live/app.db")) as connection, connection:
        connection.execute("INSERT INTO ingress_auth (ingress_id, app) VALUES ('in-1', 'live')")
    apps(data_dir, "delete", "live", "--yes")
    refused = apps(data_dir, "create", "live")
    assert refused.status == 3
    assert "--reuse-folder" in refused.stderr
    assert apps(data_dir, "create", "live", "--reuse-folder").status == 0


def test_app_is_created_where_its_media_lie_on_a_disk_that_is_away(data_dir: Path) -> None:
    (data_dir / "apps/tv-2").mkdir()
    (data_dir / "apps/tv-2/recordings").symlink_to("/nowhere/recordings")
    assert apps(data_dir, "create", "tv-2").status == 0
    assert (data_dir / "apps/tv-2/app.db").exists()


def config(data_dir: Path, *arguments: str) -> Outcome:
    return apps(data_dir, "config", *arguments)


def test_settings_are_shown_as_the_server_reads_them_without_secrets(data_dir: Path) -> None:
    path = data_dir / "apps/live/config.yaml"
    text = """\
recording: {split_minutes: 17}
callbacks: {url: 'https://me:geheim1@example.org/', secret: geheim2}
s3: {key: geheim3, access_key_env: APP_LIVE_S3_KEY}
own: [{token: geheim4}]
"""
    path.write_text(text, encoding="utf-8")
    shown = config(data_dir, "show", "live", "--json")
    assert shown.status == 0
    settings = shown.report["settings"]
    assert settings["recording"]["split_minutes"] == 0
    assert settings["callbacks"]["url"] == "https://me:(hidden)@example.org/"
    assert settings["s3"]["access_key_env"] == "APP_LIVE_S3_KEY"
    assert "s3.key stands in clear" in shown.report["warnings"][0]
    plain = config(data_dir, "show", "live")
    assert "recording.split_minutes\t0\n" in plain.stdout
    for word in (shown.stdout, plain.stdout, plain.stderr):
        assert "geheim" not in word


def test_settings_are_set_preset_written_and_reverted(data_dir: Path, tmp_path: Path) -> None:
    path = data_dir / "apps/live/config.yaml"
    before = path.read_bytes()
    words = ("display_name=The Stage", "recording.split_minutes=30", "own.list=[a, 1]")
    done = config(data_dir, "set", "live", *words, "--json")
    assert done.report["changed"] is True
    settings = config(data_dir, "show", "live", "--json").report["settings"]
    assert (settings["recording"]["split_minutes"], settings["own"]) == (30, {"list": ["a", 1]})
    assert apps(data_dir, "list", "--json").report["apps"][0]["display_name"] == "The Stage"

    assert config(data_dir, "preset", "live", "low-latency").status == 0
    again = config(data_dir, "preset", "live", "low-latency")
    assert again.stdout == "Nothing to do.\n"

    (tmp_path / "mine.yaml").write_bytes(b"# mine\nname: live\n")
    written = config(data_dir, "write", "live", str(tmp_path / "mine.yaml"))
    assert path.read_bytes() == b"# mine\nname: live\n"
    assert written.stderr == f"warning: {path}: no room_prefix in it\n"
    assert config(data_dir, "show", "live", "-q").stderr == ""

    kept = config(data_dir, "show", "live", "--json").report["backups"]
    assert len(kept) == 3
    assert config(data_dir, "revert", "live", kept[-1]).status == 0
    assert path.read_bytes() == before
    assert apps(data_dir, "list", "--json").report["apps"][0]["display_name"] == "Live"


def test_missing_config_is_named_and_made(data_dir: Path) -> None:
    path = data_dir / "apps/live/config.yaml"
    before = path.read_bytes()
    path.unlink()
    shown = config(data_dir, "show", "live")
    assert "apps config set live` makes it" in shown.stderr
    assert config(data_dir, "set", "live").status == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["set", "live", "recording.enabled=maybe"], 3, "expected true or false"),
        (["set", "live", "s3=x"], 3, "a text for s3; expected a mapping"),
        (["set", "live", "name=tv-2"], 3, "'live'"),
        (["set", "live", "own"], 2, "expected KEY=VALUE"),
        (["set", "live", "own.=1"], 2, "expected KEY=VALUE"),
        (["set", "live", "own=[1"], 2, "a value in YAML"),
        (["set", "tv-2", "own=1"], 3, "no app 'tv-2'"),
        (["preset", "live", "slow"], 2, "low-latency"),
        (["revert", "live", "config.yaml"], 3, "one of none"),
        (["show", "tv-2"], 3, "no app 'tv-2'"),
        (["write", "live", "/nowhere.yaml"], 3, "/nowhere.yaml: found no such file"),
    ],
)
def test_refused_settings_change_nothing(
    data_dir: Path, arguments: list[str], status: int, words: str
) -> None:
    before = fingerprint_files(data_dir / "apps")
    refused = config(data_dir, *arguments, "--json")
    assert refused.status == status
    assert words in refused.report["error"]
    assert fingerprint_files(data_dir / "apps") == before
