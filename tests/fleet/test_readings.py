"""The ready-made readings and the lists of names, at head and on older files."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from streamhub_orm.data_dir import DataDir
from streamhub_orm.errors import DatabaseFileError, UnknownStructureError
from streamhub_orm.fleet import (
    VodTotal,
    VodTotals,
    count_active_streams,
    file_facts,
    list_app_names,
    list_app_names_of_tenant,
    read_apps,
    vod_totals,
)
from streamhub_orm.fleet.readings import ACTIVE_STREAMS
from streamhub_orm.registry import OF_TENANT
from tests.fleet.conftest import NAMES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeInstallation


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_active_streams_of_a_fleet_add_up(fleet: DataDir) -> None:
    execute(fleet.app_db(NAMES[39]), "UPDATE streams SET status = 'ended'")
    found = [it.value or 0 for it in read_apps(fleet, NAMES, count_active_streams)]
    assert sum(found) == sum(range(1, 40))


def test_active_streams_are_counted_from_an_index_alone(fleet: DataDir) -> None:
    with closing(sqlite3.connect(fleet.app_db(NAMES[0]))) as connection:
        plan = str(connection.execute(f"EXPLAIN QUERY PLAN {ACTIVE_STREAMS}").fetchall())
    assert "SEARCH streams USING COVERING INDEX" in plan


def test_vod_totals_are_by_status_and_add_up(fleet: DataDir) -> None:
    """A recording that has neither size nor duration yet counts as one with 0 of both."""
    execute(fleet.app_db(NAMES[0]), "INSERT INTO vods (app_id, name) VALUES (1, 'now')")
    totals = [it.value or VodTotals() for it in read_apps(fleet, NAMES, vod_totals)]
    assert totals[0].by_status == {"recording": VodTotal(1, 0, 0.0), "ready": VodTotal(1, 1, 0.5)}
    assert totals[0].all == VodTotal(2, 1, 0.5)
    together = sum(totals, VodTotals())
    assert together.by_status["ready"] == VodTotal(40, sum(range(1, 41)), 20.0)
    assert together.by_status["recording"].count == 1


def test_vod_totals_of_odd_stored_values_are_numbers(fleet: DataDir) -> None:
    """SQLite holds what it is given: text in a number column counts as 0 bytes."""
    odd = "UPDATE vods SET size_bytes = 'much', duration_s = 'long'"
    execute(fleet.app_db(NAMES[0]), odd)
    (found,) = read_apps(fleet, NAMES[:1], vod_totals)
    assert found.value is not None
    assert found.value.all == VodTotal(1, 0, 0.0)


def test_vod_totals_of_absurd_sizes_do_not_overflow(fleet: DataDir) -> None:
    insert = "INSERT INTO vods (app_id, name, status, size_bytes) VALUES (1, 'x', 'ready', {})"
    sizes = [2**63 - 1, 2**63 - 1, -5, 2**40 + 3]
    execute(fleet.app_db(NAMES[0]), "DELETE FROM vods", *(insert.format(size) for size in sizes))
    (found,) = read_apps(fleet, NAMES[:1], vod_totals)
    assert found.value is not None
    assert found.value.all == VodTotal(4, sum(sizes), 0.0)


def test_file_facts_say_revision_and_sizes(fleet: DataDir) -> None:
    path = fleet.app_db(NAMES[0])
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("UPDATE streams SET room = 'stage'")
        writer.commit()
        (found,) = read_apps(fleet, NAMES[:1], file_facts)
        assert found.value is not None
        assert found.value.revision is not None
        assert found.value.revision.startswith("a")
        assert found.value.user_version == 8
        assert found.value.size_bytes == path.stat().st_size
        assert found.value.wal_bytes == path.with_name("app.db-wal").stat().st_size > 0
        assert (found.value.free_bytes, found.value.journal_mode) == (0, "wal")


@pytest.mark.parametrize("era", ["monolith", "vods_db", "pre_tenancy", "node_split", "node_head"])
def test_readings_work_on_files_of_every_era(make_installation: MakeInstallation, era: str) -> None:
    """A file that no upgrade has seen is read as it is; one that is not there yet is missing."""
    place = DataDir.find(make_installation(era).data_dir)
    names = list_app_names(place)
    assert names
    assert list_app_names_of_tenant(place, "nobody") == []
    for read in (count_active_streams, vod_totals, file_facts):
        for found in read_apps(place, names, read):
            assert found.error is None
            assert (found.value is None) == found.missing


def test_names_of_a_tenant_are_its_own_and_the_platform_owns_the_rest(fleet: DataDir) -> None:
    execute(
        fleet.global_db,
        "UPDATE apps SET tenant_id = 'acme' WHERE id IN (SELECT id FROM apps ORDER BY id LIMIT 2)",
        f"UPDATE apps SET tenant_id = NULL WHERE name = '{NAMES[5]}'",
    )
    assert list_app_names(fleet) == NAMES
    assert list_app_names_of_tenant(fleet, "acme") == NAMES[:2]
    assert list_app_names_of_tenant(fleet, "platform") == NAMES[2:]
    assert list_app_names_of_tenant(fleet, "nobody") == []


def test_names_of_a_tenant_are_found_by_index(fleet: DataDir) -> None:
    with closing(sqlite3.connect(fleet.global_db)) as connection:
        plan = str(connection.execute(f"EXPLAIN QUERY PLAN {OF_TENANT}", ("acme",)).fetchall())
    assert "SEARCH apps USING INDEX idx_apps_tenant" in plan
    assert "TEMP B-TREE" not in plan


def test_names_before_tenancy_are_the_platforms(make_installation: MakeInstallation) -> None:
    place = DataDir.find(make_installation("monolith").data_dir)
    assert list_app_names_of_tenant(place, "platform") == list_app_names(place)


def test_names_of_a_file_without_a_registry_are_an_error_in_words(fleet: DataDir) -> None:
    fleet.global_db.unlink()
    execute(fleet.global_db, "CREATE TABLE other (id INTEGER)")
    with pytest.raises(UnknownStructureError, match="table apps is missing"):
        list_app_names(fleet)
    fleet.global_db.write_bytes(b"no database " * 500)
    with pytest.raises(DatabaseFileError, match="not a database"):
        list_app_names_of_tenant(fleet, "acme")
