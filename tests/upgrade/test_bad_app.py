"""Bad input of one app: it is named, left alone, and never stops or hides the others."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.support.installations import Options
from tests.support.installations.accounting import assert_accounted
from tests.support.installations.commands import run_command
from tests.support.installations.snapshot import fingerprint_files, load_snapshot
from tests.upgrade.refusals import (
    assert_app_refused,
    assert_next_run_takes_up_what_is_left,
    corrupt_pages,
    execute,
    held_write_lock,
    make_newer_by_revision,
    make_newer_by_user_version,
    replace_by_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import MakeInstallation
    from tests.support.installations import Installation

NO_WAL = Options(killed_writers=False)
APP = "radio--x"
"""The app of the era `vods_db` that has both an app.db with rows and a pending vods.db."""


@pytest.fixture
def untouched(make_installation: MakeInstallation) -> Installation:
    """Make what the installation was before anything went wrong."""
    return make_installation("vods_db", "nested", options=NO_WAL)


@pytest.fixture
def installation(untouched: Installation, tmp_path: Path) -> Installation:
    """Copy it, with one app to be spoiled."""
    return untouched.copy_to(tmp_path / "spoiled")


def cure(installation: Installation, untouched: Installation) -> None:
    """Put the app's folder back as it was."""
    shutil.rmtree(installation.app_db(APP).parent)
    shutil.copytree(untouched.app_db(APP).parent, installation.app_db(APP).parent)


def test_dry_run_with_a_bad_app_says_what_would_become_of_the_others(
    installation: Installation,
) -> None:
    """Nothing was done, so nothing is said to be."""
    replace_by_text(installation.app_db(APP))
    outcome = run_command("--data-dir", installation.data_dir, "upgrade", "--dry-run")
    assert outcome.status == 1
    assert outcome.stderr.splitlines()[-1] == (
        "1 database would fail, the others would be done. Cure what is named above, then upgrade."
    )
    assert "1 would fail" in outcome.stdout


@pytest.mark.parametrize(
    ("file", "spoil", "found"),
    [
        ("app.db", replace_by_text, "not a database"),
        ("app.db", corrupt_pages, "damage|malformed|corrupt"),
        ("app.db", make_newer_by_user_version, "9"),
        ("app.db", make_newer_by_revision, "z9999"),
        ("vods.db", replace_by_text, "not a database"),
        ("vods.db", corrupt_pages, "damage|malformed|corrupt"),
        ("vods.db", make_newer_by_user_version, "9"),
    ],
)
def test_upgrade_with_a_bad_file_of_one_app_does_the_others(
    installation: Installation,
    untouched: Installation,
    file: str,
    spoil: Callable[[Path], None],
    found: str,
) -> None:
    """The file is named and left; when it is cured, just its app is left to do."""
    path = installation.app_db(APP).with_name(file)
    spoil(path)

    assert_app_refused(installation, APP, names=path, found=found)

    cure(installation, untouched)
    assert_next_run_takes_up_what_is_left(installation, untouched, APP)


@pytest.mark.parametrize(
    ("file", "change", "found"),
    [
        ("app.db", "ALTER TABLE streams DROP COLUMN participant", "participant"),
        ("app.db", "ALTER TABLE streams RENAME COLUMN participant TO member", "participant"),
        ("app.db", "ALTER TABLE vods RENAME COLUMN name TO title", "name"),
        ("app.db", "DROP TABLE streams; CREATE TABLE streams (id INTEGER)", "streams"),
        ("vods.db", "ALTER TABLE vods DROP COLUMN name", "name"),
        ("vods.db", "ALTER TABLE streams DROP COLUMN type", "type"),
        ("vods.db", "ALTER TABLE streams RENAME COLUMN stream_id TO key", "stream_id"),
    ],
)
def test_upgrade_with_an_unknown_structure_of_one_app_does_the_others(
    installation: Installation, untouched: Installation, file: str, change: str, found: str
) -> None:
    """Tables that fit no known state are refused with the differences listed."""
    path = installation.app_db(APP).with_name(file)
    execute(path, change)

    assert_app_refused(installation, APP, names=path, found=found)

    cure(installation, untouched)
    assert_next_run_takes_up_what_is_left(installation, untouched, APP)


@pytest.mark.parametrize("file", ["app.db", "vods.db"])
def test_upgrade_with_a_folder_in_place_of_a_file_does_the_others(
    installation: Installation, untouched: Installation, file: str
) -> None:
    """A folder under a database's name is neither filled nor removed."""
    path = installation.app_db(APP).with_name(file)
    path.unlink()
    path.mkdir()

    assert_app_refused(installation, APP, names=path, found="folder|directory")

    cure(installation, untouched)
    assert_next_run_takes_up_what_is_left(installation, untouched, APP)


@pytest.mark.parametrize("name", ["app.db", "vods.db", ""])
def test_upgrade_with_a_link_out_of_the_apps_folder_does_the_others(
    installation: Installation, untouched: Installation, tmp_path: Path, name: str
) -> None:
    """No link leads the upgrade to a file outside `apps/`, be it a file's or the folder's."""
    outside = tmp_path / "outside"
    shutil.copytree(untouched.app_db(APP).parent, outside)
    files = fingerprint_files(outside)
    link = installation.app_db(APP).parent / name if name else installation.app_db(APP).parent
    if name:
        link.unlink()
    else:
        shutil.rmtree(link)
    link.symlink_to(outside / name if name else outside)

    assert_app_refused(installation, APP, names=link, found="link|outside")

    assert fingerprint_files(outside) == files
    link.unlink()
    cure_folder = installation.app_db(APP).parent
    cure_folder.mkdir(exist_ok=True)
    cure(installation, untouched)
    assert_next_run_takes_up_what_is_left(installation, untouched, APP)


@pytest.mark.parametrize("name", ["../evil", "Live", "a", "con\x1b[31mfig", "-dash", "live\n", ""])
def test_upgrade_with_a_name_outside_the_allow_list_does_the_others(
    installation: Installation, tmp_path: Path, name: str
) -> None:
    """A registered name that no app can have reaches no path, and is named."""
    with closing(sqlite3.connect(installation.global_path)) as connection, connection:
        connection.execute("UPDATE apps SET name = ? WHERE name = ?", (name, APP))
    folders = {path for path in tmp_path.rglob("*") if path.is_dir()}

    outcome = run_command("--data-dir", installation.data_dir, "--json", "upgrade")

    assert outcome.status == 1, outcome
    errors = {it["app"]: it["error"] for it in outcome.report["apps"] if it["error"]}
    assert list(errors) == [name]
    assert str(installation.global_path) in errors[name], errors
    assert "expected" in errors[name]
    assert "Rename" in errors[name]
    assert "\x1b" not in outcome.stderr
    assert {path for path in tmp_path.rglob("*") if path.is_dir()} == folders
    assert outcome.report["failed"] == 1


def test_upgrade_with_a_locked_app_does_the_others(
    installation: Installation, untouched: Installation
) -> None:
    """An app that is written for longer than the busy timeout waits for the next run."""
    path = installation.app_db(APP)
    with held_write_lock(path):
        assert_app_refused(installation, APP, names=path, found="locked")

    assert_next_run_takes_up_what_is_left(installation, untouched, APP)


def test_dry_run_with_a_bad_app_tells_what_the_upgrade_will_say(
    installation: Installation,
) -> None:
    """A dry run names the failure that the real run will meet, and touches nothing."""
    corrupt_pages(installation.vods_db(APP))
    files = fingerprint_files(installation.data_dir)

    dry = run_command("--data-dir", installation.data_dir, "--json", "upgrade", "--dry-run")

    assert fingerprint_files(installation.data_dir) == files
    assert dry.status == 1, dry
    real = run_command("--data-dir", installation.data_dir, "--json", "upgrade").report
    assert dry.report["failed"] == real["failed"] == 1
    for would, was in zip(dry.report["apps"], real["apps"], strict=True):
        assert bool(would["error"]) == bool(was["error"])
        assert not would["error"] or str(installation.vods_db(APP)) in would["error"], would
        assert would["imported"] == was["imported"]


def test_upgrade_of_a_named_app_leaves_the_others_alone(
    make_installation: MakeInstallation,
) -> None:
    """With --app the others wait, and the split is not marked done before they had their turn."""
    installation = make_installation("vods_db")
    before = load_snapshot(installation.data_dir)

    outcome = run_command(
        "--data-dir", installation.data_dir, "--json", "upgrade", "--app", APP, "--app", "000"
    )

    assert outcome.status == 0, outcome
    assert {it["app"] for it in outcome.report["apps"]} == {APP, "000"}
    between = load_snapshot(installation.data_dir)
    assert between.app_dbs.keys() == {APP, "000"}
    assert between.registry.meta().get("per_app_split_done") is None
    assert run_command("--data-dir", installation.data_dir, "upgrade").status == 0
    assert_accounted(before, load_snapshot(installation.data_dir))
