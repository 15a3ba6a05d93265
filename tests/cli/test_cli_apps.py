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
    assert [line.split("\t")[:3] for line in listed] == [
        ["app", "tenant", "display_name"],
        ["live", "platform", "Live"],
        ["tv-2", "platform", "TV 2"],
    ]
    deleted = apps(data_dir, "delete", "tv-2", "--yes")
    assert deleted.stdout == f"deleted tv-2; its folder is kept: {folder}\n"
    assert (folder / "app.db").exists()
    assert apps(data_dir, "list", "--json").report["apps"][0]["app"] == "live"


def test_purge_removes_the_folder_and_says_so(data_dir: Path) -> None:
    apps(data_dir, "create", "tv-2")
    deleted = apps(data_dir, "delete", "tv-2", "--purge", "--yes", "--json")
    assert deleted.report == {"ok": True, "app": "tv-2", "kept": None}
    assert not (data_dir / "apps" / "tv-2").exists()


@pytest.mark.parametrize("options", [[], ["--purge"]])
def test_delete_without_consent_touches_nothing(data_dir: Path, options: list[str]) -> None:
    before = fingerprint_files(data_dir)
    refused = apps(data_dir, "delete", "live", *options)
    assert (refused.status, refused.stdout) == (2, "")
    assert "Pass --yes" in refused.stderr
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
