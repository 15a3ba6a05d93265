"""The independent oracle: it tells whether every row of an installation is accounted for.

It works on two snapshots and the rules of the split, and asks the product nothing. It collects
every complaint, so that a failing test shows the whole damage.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING, Final

from .ddl import APP_STEPS, apply_steps
from .expectation import content, expect_apps, expect_orphans
from .facts import APP_MARKERS, MOVED_TABLES, NODE_HEAD, SPLIT_BACKUP, SPLIT_DONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .expectation import AppExpectation
    from .facts import Row, Value
    from .snapshot import Database, Snapshot

BOOKKEEPING: Final = ("alembic_version", "_streamhub_meta")
SEEDED: Final = {"tenants": "id", "quotas": "tenant_id"}
"""Tables to which an upgrade adds the row of the platform."""

REPORT_KEYS: Final = {
    "ok", "error", "data_dir", "dry_run", "backup", "global", "apps",
    "orphans", "unregistered", "failed",
}  # fmt: skip
OF_EVERY_DOCUMENT: Final = {"version", "seconds"}
GLOBAL_KEYS: Final = {"from", "to", "changed", "error"}
APP_KEYS: Final = {
    "app", "from", "to", "backup", "imported", "superseded", "unmatched", "error"
}  # fmt: skip


def find_losses(before: Snapshot, after: Snapshot, *, split_done: bool = True) -> list[str]:
    """Every way in which an upgrade of all apps broke the promise about rows."""
    return [
        *_check_global(before.registry, after.registry, {SPLIT_DONE} if split_done else set()),
        *(
            f"{app}: {complaint}"
            for app, expectation in expect_apps(before).items()
            for complaint in _check_app(
                before.app_dbs.get(app), after.app_dbs.get(app), expectation
            )
        ),
        *_check_files(before, after),
    ]


def assert_accounted(before: Snapshot, after: Snapshot, *, split_done: bool = True) -> None:
    """Fail with every complaint about the rows after an upgrade."""
    complaints = find_losses(before, after, split_done=split_done)
    assert not complaints, "\n".join(complaints)


def assert_report(report: Mapping[str, object], before: Snapshot) -> None:
    """Fail unless a report has the contract's keys and the counts that the rules give."""
    assert set(report) - OF_EVERY_DOCUMENT == REPORT_KEYS
    global_part, apps = report["global"], report["apps"]
    assert isinstance(global_part, dict)
    assert set(global_part) == GLOBAL_KEYS
    assert isinstance(apps, list)
    for app in apps:
        assert set(app) == APP_KEYS
    counted = {
        app["app"]: {key: app[key] for key in ("imported", "superseded", "unmatched")}
        for app in apps
    }
    assert counted == {app: it.counts() for app, it in expect_apps(before).items()}
    assert report["orphans"] == expect_orphans(before)
    assert report["unregistered"] == list(before.unregistered)


def _check_global(before: Database, after: Database, markers: set[str]) -> Iterator[str]:
    """Every global row stays; tenancy is filled in and the platform's own rows are added."""
    for table, rows in before.tables.items():
        if table in BOOKKEEPING:
            continue
        now = after.rows(table)
        columns = _columns(rows)
        if table in ("apps", "api_tokens"):
            columns -= {"tenant_id"}
        if table in SEEDED and "platform" not in {row[SEEDED[table]] for row in rows}:
            now = [row for row in now if row[SEEDED[table]] != "platform"]
        yield from _differences(f"global {table}", rows, now, columns)
    yield from _check_tenancy(before, after)
    yield from _check_bookkeeping("global", before, after, markers)
    platform = [row for row in after.rows("tenants") if row["id"] == "platform"]
    if len(platform) != 1:
        yield f"global tenants: {len(platform)} rows of the platform"


def _check_tenancy(before: Database, after: Database) -> Iterator[str]:
    """Keep a tenant that was set; make NULL the platform; let a token follow its app."""
    tenants: dict[Value, Value] = {}
    for old, new in _joined(before, after, "apps"):
        tenants[new["id"]] = new.get("tenant_id")
        wanted = old.get("tenant_id") or "platform"
        if new.get("tenant_id") != wanted:
            yield f"app {new['name']!r}: tenant is {new.get('tenant_id')!r}, not {wanted!r}"
    for old, new in _joined(before, after, "api_tokens"):
        wanted = old.get("tenant_id") or "platform"
        if new["scope"] == "app" and new["app_id"] in tenants:
            wanted = tenants[new["app_id"]] or "platform"
        if new.get("tenant_id") != wanted:
            yield f"token {new['id']!r}: tenant is {new.get('tenant_id')!r}, not {wanted!r}"


def _check_app(
    before: Database | None, after: Database | None, expectation: AppExpectation
) -> Iterator[str]:
    """Look for what an app.db held, and for what the rules bring in, each row once."""
    if after is None:
        yield "there is no app.db"
        return
    for table in MOVED_TABLES:
        yield from _check_moved(table, expectation, after)
    for table, rows in (before.tables if before else {}).items():
        if table not in (*MOVED_TABLES, *BOOKKEEPING):
            yield from _differences(table, rows, after.rows(table), _columns(rows))
    yield from _check_bookkeeping("app.db", before, after, set(APP_MARKERS))


def _check_moved(table: str, expectation: AppExpectation, after: Database) -> Iterator[str]:
    """Look for each row once; it keeps its id unless that was taken before it came."""
    held, added, now = expectation.held[table], expectation.added[table], after.rows(table)
    columns = columns_of_the_core(table) | _columns(held)
    yield from _differences(table, held + added, now, columns - {"id"})
    if table == "ingress_auth":
        return
    by_id = {row["id"]: row for row in now}
    for row in held:
        if content(by_id.get(row["id"], {}), columns) != content(row, columns):
            yield f"{table}: the row of id {row['id']!r} is not what it was"
    for row in added:
        if row["id"] not in by_id:
            yield f"{table}: id {row['id']!r} was free, but the row that bore it has another"


def _check_bookkeeping(
    label: str, before: Database | None, after: Database, markers: set[str]
) -> Iterator[str]:
    """Markers are set, older entries stay, ids are not given out again."""
    if after.user_version != NODE_HEAD:
        yield f"{label}: user_version is {after.user_version}"
    for marker in sorted(markers):
        if after.meta().get(marker) != "1":
            yield f"{label}: {marker} is {after.meta().get(marker)!r}"
    for key, value in (before.meta() if before else {}).items():
        if key != SPLIT_BACKUP and after.meta().get(key) != value:
            yield f"{label}: {key} was {value!r} and is {after.meta().get(key)!r}"
    for table, highest in (before.sequences if before else {}).items():
        if after.sequences.get(table, 0) < highest:
            yield f"{label}: {table} would give out ids again below {highest}"


def _check_files(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """No file goes away; legacy files and folders without a registry row keep their bytes."""
    for name, digest in before.files.items():
        if name.endswith("-wal") and not name.endswith("vods.db-wal"):
            continue  # its rows are looked for in the database
        frozen = not name.endswith(("/app.db", "streamhub.db"))
        frozen |= name.removesuffix("/app.db") in {f"apps/{app}" for app in before.unregistered}
        if name not in after.files:
            yield f"{name} is gone"
        elif frozen and after.files[name] != digest:
            yield f"{name} was changed"


def _differences(
    label: str, before: list[Row], after: list[Row], columns: Iterable[str]
) -> Iterator[str]:
    columns = list(columns)
    old = Counter(content(row, columns) for row in before)
    new = Counter(content(row, columns) for row in after)
    for kind, rows in (("lost", old - new), ("not expected", new - old)):
        for row, times in list(rows.items())[:3]:
            yield f"{label}: {kind} ({rows.total()} in all), {times} times: {row}"


def _joined(before: Database, after: Database, table: str) -> Iterator[tuple[Row, Row]]:
    old = {row["id"]: row for row in before.rows(table)}
    for row in after.rows(table):
        if row["id"] in old:
            yield old[row["id"]], row


@cache
def columns_of_the_core(table: str) -> frozenset[str]:
    """Return what a moved row has of its source, or NULL; our own columns have defaults."""
    with closing(sqlite3.connect(":memory:")) as connection:
        apply_steps(connection, APP_STEPS, NODE_HEAD)
        found = connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
        return frozenset(name for (name,) in found)


def _columns(rows: list[Row]) -> set[str]:
    return set(rows[0]) if rows else set()
