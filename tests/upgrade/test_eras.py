"""The main job on real input: installations of all five eras, in both layouts."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.migrations.built import at_parity
from tests.support.installations.accounting import assert_accounted, assert_report
from tests.support.installations.commands import (
    run_alembic,
    run_alembic_in_process,
    run_command,
    run_in_process,
)
from tests.support.installations.facts import APP_PARITY, ERAS, GLOBAL_PARITY, LAYOUTS
from tests.support.installations.node_core import assert_usable_by_node_core
from tests.support.installations.snapshot import (
    fingerprint_databases,
    fingerprint_files,
    load_database,
    load_snapshot,
)

if TYPE_CHECKING:
    from tests.conftest import MakeInstallation
    from tests.support.installations.facts import Row

ROWS = 300
COUNTS = ("app", "from", "imported", "superseded", "unmatched", "error")

every_era = pytest.mark.parametrize("era", ERAS)
every_layout = pytest.mark.parametrize("layout", LAYOUTS)


@every_layout
@every_era
def test_upgrade_of_an_untouched_installation_accounts_for_every_row(
    make_installation: MakeInstallation, era: str, layout: str
) -> None:
    """Every legacy row is found once or counted by name, and the Node core can go on."""
    data_dir = make_installation(era, layout, rows=ROWS).data_dir
    before = load_snapshot(data_dir)

    outcome = run_in_process("--data-dir", data_dir, "--json", "upgrade")

    assert outcome.status == 0, outcome
    after = load_snapshot(data_dir)
    assert_accounted(before, after)
    assert_report(outcome.report, before)
    assert_usable_by_node_core(data_dir)


@every_layout
@every_era
def test_upgrade_report_of_an_untouched_installation_tells_revisions_and_backups(
    make_installation: MakeInstallation, era: str, layout: str
) -> None:
    """Each existing database is backed up with its rows before it changes, and ends at head."""
    data_dir = make_installation(era, layout).data_dir
    before = load_snapshot(data_dir)

    report = run_in_process("--data-dir", data_dir, "--json", "upgrade").report

    status = run_in_process("--data-dir", data_dir, "--json", "status").report
    head = status["global"]["head"]
    assert (report["ok"], report["error"], report["failed"]) == (True, None, 0)
    assert (report["data_dir"], report["dry_run"]) == (str(data_dir), False)
    assert report["global"] == {"from": None, "to": head, "changed": True, "error": None}
    _assert_backup(report["backup"], before.registry.tables)
    for app, state in zip(report["apps"], status["apps"], strict=True):
        assert (app["from"], app["to"], app["error"]) == (None, state["head"], None)
        assert state["state"] == "current"
        if app["app"] in before.app_dbs:
            _assert_backup(app["backup"], before.app_dbs[app["app"]].tables)
        else:
            assert app["backup"] is None


@every_layout
@every_era
def test_upgrade_a_second_time_changes_no_byte(
    make_upgraded: MakeInstallation, era: str, layout: str
) -> None:
    """A second run leaves every file as it is, makes no new one, and says so."""
    data_dir = make_upgraded(era, layout).data_dir
    before, files = load_snapshot(data_dir), fingerprint_files(data_dir)

    outcome = run_in_process("--data-dir", data_dir, "--json", "upgrade")

    assert outcome.status == 0, outcome
    assert fingerprint_files(data_dir) == files
    report = outcome.report
    assert report["global"]["changed"] is False
    assert report["global"]["from"] == report["global"]["to"]
    assert all(app["from"] == app["to"] for app in report["apps"])
    assert_report(report, before)


@every_layout
@every_era
def test_dry_run_of_an_untouched_installation_tells_what_the_upgrade_will_do(
    make_installation: MakeInstallation, era: str, layout: str
) -> None:
    """A dry run reports the counts of the real run, and touches nothing."""
    data_dir = make_installation(era, layout).data_dir
    files = fingerprint_files(data_dir)

    dry = run_in_process("--data-dir", data_dir, "--json", "upgrade", "--dry-run")

    assert dry.status == 0, dry
    assert fingerprint_files(data_dir) == files
    assert dry.report["dry_run"] is True
    assert_report(dry.report, load_snapshot(data_dir))
    real = run_in_process("--data-dir", data_dir, "--json", "upgrade").report
    for key in ("orphans", "unregistered", "failed", "ok", "error"):
        assert dry.report[key] == real[key]
    assert _counts(dry.report) == _counts(real)


@every_layout
@every_era
def test_downgrade_to_parity_and_up_again_keeps_every_row(
    make_upgraded: MakeInstallation, era: str, layout: str
) -> None:
    """Plain alembic takes all files down to what the Node core knows, and up again."""
    data_dir = make_upgraded(era, layout).data_dir
    before = load_snapshot(data_dir)
    at = ("-x", f"data_dir={data_dir}")
    apps = ("-n", "app", *at, "-x", "app=all")

    for arguments in ((*apps, "downgrade", APP_PARITY), (*at, "downgrade", GLOBAL_PARITY)):
        outcome = run_alembic_in_process(*arguments)
        assert outcome.status == 0, outcome

    assert_usable_by_node_core(data_dir)
    assert_accounted(at_parity(before), load_snapshot(data_dir))
    for arguments in ((*at, "upgrade", "head"), (*apps, "upgrade", "head")):
        outcome = run_alembic_in_process(*arguments)
        assert outcome.status == 0, outcome
    after = load_snapshot(data_dir)
    assert_accounted(before, after)
    assert after.registry.tables == before.registry.tables
    assert after.app_dbs == before.app_dbs


@every_era
def test_downgrade_that_would_drop_rows_is_refused_untouched(
    make_upgraded: MakeInstallation, era: str
) -> None:
    """A table that holds rows is not dropped: the command says which, and changes nothing."""
    data_dir = make_upgraded(era).data_dir
    files = fingerprint_databases(data_dir)

    for arguments, table in (
        (("downgrade", "g0001"), "api_tokens"),
        (("-n", "app", "-x", "app=live", "downgrade", "base"), "streams"),
    ):
        outcome = run_alembic(*arguments, data_dir=data_dir)
        assert outcome.status != 0, outcome
        assert table in outcome.stderr + outcome.stdout
        assert "Traceback" not in outcome.stderr
    assert fingerprint_databases(data_dir) == files


def test_downgrade_that_would_narrow_a_check_is_refused_untouched(
    make_upgraded: MakeInstallation,
) -> None:
    """A stream of a type that the older CHECK does not know keeps its file where it is."""
    data_dir = make_upgraded("node_head").data_dir
    files = fingerprint_databases(data_dir)

    outcome = run_alembic("-n", "app", "-x", "app=live", "downgrade", "a0007", data_dir=data_dir)

    assert outcome.status != 0, outcome
    assert "CHECK" in outcome.stderr + outcome.stdout
    assert "streams" in outcome.stderr + outcome.stdout
    assert "Traceback" not in outcome.stderr
    assert fingerprint_databases(data_dir) == files


@every_era
def test_plain_alembic_upgrade_of_an_untouched_installation_accounts_for_every_row(
    make_installation: MakeInstallation, era: str
) -> None:
    """Adoption, backup and import belong to the environments, not to one command."""
    data_dir = make_installation(era).data_dir
    before = load_snapshot(data_dir)

    for arguments in (("upgrade", "head"), ("-n", "app", "-x", "app=all", "upgrade", "head")):
        outcome = run_alembic(*arguments, data_dir=data_dir)
        assert outcome.status == 0, outcome

    assert_accounted(before, load_snapshot(data_dir), split_done=False)
    assert_usable_by_node_core(data_dir)
    assert list(data_dir.rglob("streamhub.db.bak-*")), "the global file was backed up"
    outcome = run_in_process("--data-dir", data_dir, "--json", "upgrade")
    assert outcome.status == 0, outcome
    assert all(set(it["imported"].values()) == {0} for it in outcome.report["apps"])
    assert_accounted(before, load_snapshot(data_dir))


def test_plain_alembic_upgrade_of_the_apps_first_accounts_for_every_row(
    make_installation: MakeInstallation,
) -> None:
    """The order in which the two histories are run does not matter."""
    data_dir = make_installation("vods_db").data_dir
    before = load_snapshot(data_dir)

    for arguments in (("-n", "app", "-x", "app=all", "upgrade", "head"), ("upgrade", "head")):
        outcome = run_alembic(*arguments, data_dir=data_dir)
        assert outcome.status == 0, outcome

    assert_accounted(before, load_snapshot(data_dir), split_done=False)


@every_layout
def test_upgrade_as_a_process_prints_one_json_document(
    make_installation: MakeInstallation, layout: str
) -> None:
    """On stdout there is the report alone, also when the data directory is the current folder."""
    data_dir = make_installation("vods_db", layout, rows=ROWS).data_dir
    before = load_snapshot(data_dir)

    outcome = run_command("upgrade", "--json", cwd=data_dir)

    assert outcome.status == 0, outcome
    document, end = json.JSONDecoder().raw_decode(outcome.stdout)
    assert outcome.stdout[end:].strip() == ""
    assert_report(document, before)
    assert_accounted(before, load_snapshot(data_dir))


def test_upgrade_by_several_jobs_accounts_for_every_row(
    make_installation: MakeInstallation,
) -> None:
    """Worker processes share the apps among them, and leave none out."""
    data_dir = make_installation("node_split").data_dir
    before = load_snapshot(data_dir)

    outcome = run_command(
        "--json", "upgrade", "--jobs", "2", environment={"DATA_DIR": str(data_dir)}
    )

    assert outcome.status == 0, outcome
    assert_report(outcome.report, before)
    assert_accounted(before, load_snapshot(data_dir))


def _counts(report: dict[str, list[dict[str, object]]]) -> list[dict[str, object]]:
    return [{key: app[key] for key in COUNTS} for app in report["apps"]]


def _assert_backup(path: str, tables: dict[str, list[Row]]) -> None:
    assert Path(path).is_absolute()
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    backup = load_database(Path(path))
    assert backup is not None
    assert backup.tables == tables
