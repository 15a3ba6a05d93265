"""What holds for every installation, whatever state it is found in."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given

from streamhub_orm.downgrade import downgrade_installation
from streamhub_orm.upgrade import upgrade_installation
from tests.migrations.built import at_parity
from tests.support import figures
from tests.support.installations.accounting import assert_accounted, assert_report, find_losses
from tests.support.installations.expectation import IDENTITIES, content
from tests.support.installations.facts import (
    APP_PARITY,
    GLOBAL_PARITY,
    MOVED_TABLES,
)
from tests.support.installations.snapshot import fingerprint_files, list_changes, load_snapshot

from .conftest import LONG_RUN
from .plans import AppPlan, GlobalPlan, OwnFile, Rows, SitePlan
from .strategies import sites
from .writing import write_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamhub_orm.upgrade import UpgradeReport
    from tests.support.installations.facts import Row
    from tests.support.installations.snapshot import Database, Snapshot

pytestmark = pytest.mark.timeout(LONG_RUN.total_seconds())

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - an fsync there costs nothing


@contextmanager
def written(plan: SitePlan) -> Iterator[Path]:
    """Write a planned installation, in memory where there is some."""
    figures.count("random installations")
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        write_site(plan, Path(folder) / "data_dir")
        yield Path(folder) / "data_dir"


def run_upgrade(data_dir: Path, *, dry_run: bool = False) -> UpgradeReport:
    report = upgrade_installation(data_dir, jobs=1, dry_run=dry_run)
    assert report.failed == 0, report.error
    return report


@given(plan=sites())
def test_upgrade_accounts_for_every_row_and_a_second_run_changes_nothing(plan: SitePlan) -> None:
    """The multiset of rows is as the rules of the split say, and stays so byte for byte."""
    with written(plan) as data_dir:
        before = load_snapshot(data_dir)
        figures.count("rows of random installations accounted for", rows_of(before))

        report = run_upgrade(data_dir)

        after = load_snapshot(data_dir)
        assert_accounted(before, after)
        assert_report(report.to_json(), before)
        assert_counts_add_up(report, before, after)

        again = run_upgrade(data_dir)

        assert not list_changes(after.files, fingerprint_files(data_dir))
        assert not again.changed
        assert_report(again.to_json(), after)
        assert again.total("imported").total == again.total("superseded").total == 0


@given(plan=sites())
def test_dry_run_gives_the_counts_of_the_real_run_and_touches_nothing(plan: SitePlan) -> None:
    """What a rehearsal says is what comes about."""
    with written(plan) as data_dir:
        before = fingerprint_files(data_dir)

        rehearsed = run_upgrade(data_dir, dry_run=True)

        assert not list_changes(before, fingerprint_files(data_dir))
        done = run_upgrade(data_dir)
        assert without_backups(rehearsed) == without_backups(done)


@given(plan=sites())
def test_upgrade_after_a_downgrade_to_parity_keeps_every_row(plan: SitePlan) -> None:
    """Down to the last revision of the Node core's own and up again, nothing comes or goes."""
    with written(plan) as data_dir:
        run_upgrade(data_dir)
        upgraded = load_snapshot(data_dir)
        figures.count("rows of random installations accounted for", rows_of(upgraded))

        outcomes = [
            *downgrade_installation(data_dir, APP_PARITY, all_apps=True),
            *downgrade_installation(data_dir, GLOBAL_PARITY),
        ]

        assert [it.error for it in outcomes if it.error] == []
        assert {it.to_revision for it in outcomes} == {APP_PARITY, GLOBAL_PARITY}
        assert not without_files(at_parity(upgraded), load_snapshot(data_dir))

        report = run_upgrade(data_dir)

        assert not without_files(upgraded, load_snapshot(data_dir))
        assert report.total("imported").total == report.total("superseded").total == 0


@pytest.mark.parametrize(
    "ids",
    [
        (1, 2, 3, 2**63 - 1),
        (2, 2**62 - 1, 2**62),
        (2, 2**62 - 1, 2**62 + 1, 2**63 - 2, 2**63 - 1),
        (-(2**63), -1, 0, 2),
    ],
)
def test_row_whose_id_is_taken_beside_ids_near_an_end_gets_a_free_one(ids: tuple[int, ...]) -> None:
    """Another recording of a taken id is kept under a new one, whatever other ids there are."""
    own = OwnFile(step=8, rows=Rows(vods=tuple(vod(number, "own.mp4") for number in ids)))
    rows = Rows(vods=tuple(vod(number, "other.mp4") for number in ids))
    registry = GlobalPlan(step=4, legacy_tables=("streams", "vods"), rows=rows)
    with written(SitePlan("nested", registry, (AppPlan(own=own),))) as data_dir:
        before = load_snapshot(data_dir)

        run_upgrade(data_dir)

        assert_accounted(before, load_snapshot(data_dir))


def rows_of(snapshot: Snapshot) -> int:
    """Count the rows of all files that the oracle compares."""
    files = (snapshot.registry, *snapshot.app_dbs.values(), *snapshot.vods_dbs.values())
    return sum(len(rows) for file in files for rows in file.tables.values())


def vod(number: int, name: str) -> Row:
    return {"id": number, "app_id": 1, "name": name}


def assert_counts_add_up(report: UpgradeReport, before: Snapshot, after: Snapshot) -> None:
    """Each legacy row is found in its app.db by key and content, or counted by name."""
    for app in report.apps:
        own = after.app_dbs[app.app]
        held = before.app_dbs.get(app.app)
        for table in MOVED_TABLES:
            missing = differing = 0
            for pending, rows in sources_of(before, app.app, table):
                keys = Counter(map(IDENTITIES[table], rows))
                keys -= Counter(map(IDENTITIES[table], own.rows(table)))
                missing += keys.total()
                differing += sum(is_overruled(table, row, own) for row in rows) if pending else 0
            counted = {
                kind: getattr(getattr(app.account, kind), table)
                for kind in ("imported", "superseded", "unmatched")
            }
            assert counted["unmatched"] == missing, (app.app, table)
            if before.registry.meta().get("per_app_split_done") != "1":
                assert counted["superseded"] == differing, (app.app, table)
            came = len(own.rows(table)) - len(held.rows(table) if held else ())
            assert counted["imported"] == came, (app.app, table)


def sources_of(before: Snapshot, app: str, table: str) -> Iterator[tuple[bool, list[Row]]]:
    """Yield the rows of each source of an app, and whether its marker was not set before."""
    own, legacy = before.app_dbs.get(app), before.vods_dbs.get(app)
    markers = own.meta() if own else {}
    registry = before.registry.rows(table)
    if table == "ingress_auth":
        yield "ingress_import_done" not in markers, [row for row in registry if row["app"] == app]
        return
    yield "vods_import_done" not in markers, legacy.rows(table) if legacy else []
    mine = [row for row in registry if row["app_id"] == before.app_ids[app]]
    yield "global_import_done" not in markers, mine


def is_overruled(table: str, row: Row, own: Database) -> bool:
    """Tell whether the app.db holds the same stream, recording or ingress with other content."""
    number = ("id",) if table == "vods" else ()
    key = (content(row, number), IDENTITIES[table](row))
    columns = row.keys() - {"id"}
    return any(
        (content(it, number), IDENTITIES[table](it)) == key
        and content(it, columns) != content(row, columns)
        for it in own.rows(table)
    )


def without_backups(report: UpgradeReport) -> dict[str, object]:
    """Take what a rehearsal cannot know out of a report."""
    document = report.to_json()
    for key in ("dry_run", "backup", "seconds"):
        del document[key]
    for app in document["apps"]:
        del app["backup"]
    return document


def without_files(one: Snapshot, two: Snapshot) -> list[str]:
    """List the differences between the rows of two snapshots, whatever the revisions."""
    return find_losses(one, two)
