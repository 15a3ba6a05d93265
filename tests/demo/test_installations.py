"""The builder and the oracle themselves, proved with plain sqlite3."""

from __future__ import annotations

import copy
import sqlite3
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.installations import Options, build_installation
from tests.support.installations.accounting import find_losses
from tests.support.installations.ddl import (
    APP_STEPS,
    GLOBAL_RUNTIME,
    GLOBAL_STEPS,
    apply_runtime,
    apply_steps,
    apply_vods_db,
    close_over_needs,
)
from tests.support.installations.expectation import content, expect_apps
from tests.support.installations.facts import APP_MARKERS, ERAS, LAYOUTS, MOVED_TABLES, SPLIT_DONE
from tests.support.installations.snapshot import (
    Database,
    fingerprint_files,
    load_database,
    load_snapshot,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeInstallation
    from tests.support.installations.facts import Row
    from tests.support.installations.snapshot import Snapshot

every_era = pytest.mark.parametrize("era", ERAS)


@pytest.mark.parametrize("layout", LAYOUTS)
@every_era
def test_builder_of_an_era_records_every_row_it_writes(
    make_installation: MakeInstallation, era: str, layout: str
) -> None:
    """The record and the files agree, rows in a left-over -wal included."""
    installation = make_installation(era, layout)
    paths = {installation.data_dir / it.file for it in installation.written}

    for path in paths:
        database = load_database(path)
        assert database is not None
        for table, rows in database.tables.items():
            recorded = installation.rows_in(path, table)
            if recorded:
                columns = {name for row in recorded for name in row}
                seeded = {"tenants": "id", "quotas": "tenant_id"}.get(table, "")
                found = [row for row in rows if row.get(seeded) != "platform"]
                assert Counter(content(row, columns) for row in found) == Counter(
                    content(row, columns) for row in recorded
                )


@every_era
def test_builder_with_one_seed_builds_the_same_rows_twice(tmp_path: Path, era: str) -> None:
    """A failure can be repeated."""
    one, two, other = (
        build_installation(tmp_path / name, era=era, rows=30, seed=seed)
        for name, seed in (("one", 3), ("two", 3), ("other", 4))
    )

    def without_paths(rows: list[Row]) -> list[Row]:
        return [row for row in rows if row.get("key") != "per_app_split_backup"]

    assert without_paths([it.row for it in one.written]) == without_paths(
        [it.row for it in two.written]
    )
    assert [it.row for it in one.written] != [it.row for it in other.written]


@every_era
def test_builder_leaves_rows_that_only_a_wal_holds(
    make_installation: MakeInstallation, era: str
) -> None:
    """The killed writer's rows are lost to whoever copies the main file alone."""
    installation = make_installation(era)
    names = [name for name in fingerprint_files(installation.data_dir) if name.endswith("-wal")]
    assert names

    for name in names:
        path = installation.data_dir / name.removesuffix("-wal")
        whole = load_database(path)
        (installation.data_dir / name).unlink()
        assert load_database(path) != whole


@pytest.mark.parametrize("version", range(5))
def test_builder_of_a_monolith_takes_any_user_version(tmp_path: Path, version: int) -> None:
    """The number is a hint that can be wrong, so any may stand over the same tables."""
    installation = build_installation(
        tmp_path / "data", era="monolith", rows=12, options=Options(user_version=version)
    )

    database = load_database(installation.global_path)

    assert database is not None
    assert database.user_version == version
    assert {"apps", "streams", "vods"} <= database.tables.keys()
    assert not {"tenants", "nodes", "_streamhub_meta"} & database.tables.keys()
    assert not list(installation.data_dir.rglob("app.db"))


def test_steps_of_the_core_applied_twice_are_harmless() -> None:
    """Every statement says IF NOT EXISTS, but for the rebuild, which gives the same again."""
    for steps in (GLOBAL_STEPS, APP_STEPS):
        connection = sqlite3.connect(":memory:")
        apply_steps(connection, steps, 8)
        tables = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY 1").fetchall()
        apply_steps(connection, steps, 8)
        again = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY 1").fetchall()
        assert again == tables
        connection.close()


@pytest.mark.parametrize("name", GLOBAL_RUNTIME)
def test_run_time_addition_with_its_needs_applies_to_its_step(name: str) -> None:
    """Each addition can occur alone, on the oldest step that has its table."""
    connection = sqlite3.connect(":memory:")
    wanted = close_over_needs([name])
    apply_steps(connection, GLOBAL_STEPS, max(GLOBAL_RUNTIME[it].step for it in wanted))
    apply_runtime(connection, wanted)
    assert name in wanted
    connection.close()


def test_vods_db_of_an_older_age_lacks_its_columns() -> None:
    """Both late columns can be absent while the rest stays."""
    connection = sqlite3.connect(":memory:")
    apply_vods_db(connection, lacking=("snapshot_key", "metatags_json"))
    names = [row[1] for row in connection.execute("PRAGMA table_info(vods)")]
    assert names[-1] == "ended_at"
    connection.close()


@every_era
def test_oracle_of_an_ideal_upgrade_complains_of_nothing(
    make_installation: MakeInstallation, era: str
) -> None:
    """What the rules ask for is what the oracle accepts."""
    before = load_snapshot(make_installation(era).data_dir)

    assert find_losses(before, _upgrade_ideally(before)) == []


@pytest.mark.parametrize("damage", ["lost", "doubled", "altered", "renumbered", "resurrected"])
@pytest.mark.parametrize("table", MOVED_TABLES)
def test_oracle_of_a_damaged_upgrade_complains(
    make_installation: MakeInstallation, table: str, damage: str
) -> None:
    """No loss, double, change or return of a single row escapes it."""
    before = load_snapshot(make_installation("node_split").data_dir)
    after = _upgrade_ideally(before)
    rows = after.app_dbs["tv-2"].tables[table]
    row = rows[len(rows) // 2]
    if damage == "lost":
        rows.remove(row)
    elif damage == "doubled":
        rows.append({**row, "id": 10**9})
    elif damage == "altered":
        row["room"] = f"not {row['room']!r}"
    elif damage == "renumbered":
        row["ingress_id" if table == "ingress_auth" else "id"] = 10**9
    else:
        app_id = before.app_ids["tv-2"]
        owner = ("app", "tv-2") if table == "ingress_auth" else ("app_id", app_id)
        rows.append([it for it in before.registry.rows(table) if it[owner[0]] == owner[1]][-1])

    assert find_losses(before, after)


def test_oracle_of_a_damaged_global_file_complains(make_installation: MakeInstallation) -> None:
    """Global rows, bookkeeping and sequences are watched as well."""
    before = load_snapshot(make_installation("node_split").data_dir)

    for damage in ("apps", "api_tokens", "server_logs", "streams", "_streamhub_meta"):
        after = _upgrade_ideally(before)
        after.registry.tables[damage].pop(0)
        assert find_losses(before, after), damage
    after = _upgrade_ideally(before)
    after.registry.sequences["apps"] = 0
    assert find_losses(before, after)


def test_oracle_of_a_touched_legacy_file_complains(make_installation: MakeInstallation) -> None:
    """A vods.db, its -wal and an unregistered folder are to be left alone."""
    before = load_snapshot(make_installation("vods_db").data_dir)

    for name in ("apps/live/vods.db", "apps/live/vods.db-wal", "apps/stray-app/app.db"):
        for digest in (None, "other"):
            after = _upgrade_ideally(before)
            files = {key: value for key, value in after.files.items() if key != name}
            if digest:
                files[name] = digest
            assert find_losses(before, replace(after, files=files)), name


def _upgrade_ideally(before: Snapshot) -> Snapshot:
    """Make up in memory what an upgrade by the rules leaves."""
    registry = copy.deepcopy(before.registry)
    for table, key in (("tenants", "id"), ("quotas", "tenant_id")):
        rows = registry.tables.setdefault(table, [])
        if "platform" not in {row[key] for row in rows}:
            rows.append({key: "platform"})
    tenants: dict[object, object] = {}
    for row in registry.rows("apps"):
        row["tenant_id"] = tenants[row["id"]] = row.get("tenant_id") or "platform"
    for row in registry.rows("api_tokens"):
        row["tenant_id"] = str(tenants.get(row["app_id"]) or row.get("tenant_id") or "platform")
    _set_markers(registry, [SPLIT_DONE])
    apps = {}
    for app, expectation in expect_apps(before).items():
        own = copy.deepcopy(before.app_dbs.get(app)) or Database({}, {}, {}, 0)
        for table in MOVED_TABLES:
            own.tables[table] = copy.deepcopy(expectation.held[table])
            _insert_all(own.tables[table], expectation.added[table])
        _set_markers(own, list(APP_MARKERS))
        apps[app] = replace(own, user_version=8)
    return replace(before, registry=replace(registry, user_version=8), app_dbs=apps)


def _insert_all(rows: list[Row], added: list[Row]) -> None:
    taken = {row.get("id") for row in rows}
    free = [row for row in added if row.get("id") not in taken]
    rows += copy.deepcopy(free)
    rows += [{**row, "id": 10**7 + number} for number, row in enumerate(added) if row not in free]


def _set_markers(database: Database, markers: list[str]) -> None:
    rows = database.tables.setdefault("_streamhub_meta", [])
    present = {row["key"] for row in rows}
    rows += [{"key": key, "value": "1"} for key in markers if key not in present]
