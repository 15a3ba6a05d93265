"""What the rules of the split make of an installation, worked out without the product."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .facts import MOVED_TABLES, SPLIT_DONE, VOD_IDENTITY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .facts import Row, Value
    from .snapshot import Database, Snapshot

Content = tuple[tuple[str, str, "Value"], ...]


def content(row: Row, columns: Iterable[str]) -> Content:
    """Take a row's values in some columns, with their types, fit to be counted."""
    return tuple((name, type(row.get(name)).__name__, row.get(name)) for name in sorted(columns))


def vod_identity(row: Row) -> Content:
    """Take what makes two rows of one id the same recording."""
    return content(row, VOD_IDENTITY)


def stream_key(row: Row) -> Content:
    return content(row, ("stream_id",))


def ingress_key(row: Row) -> Content:
    return content(row, ("ingress_id",))


IDENTITIES: dict[str, Callable[[Row], Content]] = {
    "streams": stream_key,
    "vods": vod_identity,
    "ingress_auth": ingress_key,
}


@dataclass(slots=True)
class AppExpectation:
    """The counts of one app, and the rows that it holds afterwards beside its own."""

    held: dict[str, list[Row]]
    imported: Counter[str] = field(default_factory=Counter)
    superseded: Counter[str] = field(default_factory=Counter)
    unmatched: Counter[str] = field(default_factory=Counter)
    added: dict[str, list[Row]] = field(
        default_factory=lambda: {table: [] for table in MOVED_TABLES}
    )

    def counts(self) -> dict[str, dict[str, int]]:
        """Word the counts as the command's JSON does."""
        return {
            "imported": {table: self.imported[table] for table in MOVED_TABLES},
            "superseded": {table: self.superseded[table] for table in MOVED_TABLES},
            "unmatched": {table: self.unmatched[table] for table in MOVED_TABLES},
        }

    def import_rows(self, table: str, rows: list[Row]) -> None:
        """Import what a source holds; what app.db holds already comes first."""
        held = {_pending_key(table, row): row for row in self.held[table] + self.added[table]}
        for row in rows:
            there = held.get(_pending_key(table, row))
            if there is None:
                self.imported[table] += 1
                self.added[table].append(row)
            elif not _same_content(row, there):
                self.superseded[table] += 1

    def match_rows(self, table: str, rows: list[Row]) -> None:
        """Count what is not found of a source whose marker is set; nothing comes back."""
        identity = IDENTITIES[table]
        missing = Counter(map(identity, rows)) - Counter(
            map(identity, self.held[table] + self.added[table])
        )
        self.unmatched[table] += missing.total()


def expect_apps(before: Snapshot) -> dict[str, AppExpectation]:
    """Work out what every registered app must hold and report after an upgrade."""
    return {app: _expect_app(before, app, app_id) for app, app_id in before.app_ids.items()}


def expect_orphans(before: Snapshot) -> dict[str, int]:
    """Count the global rows that belong to no registered app."""
    ids = set(before.app_ids.values())
    registry = before.registry
    return {
        "streams": sum(row["app_id"] not in ids for row in registry.rows("streams")),
        "vods": sum(row["app_id"] not in ids for row in registry.rows("vods")),
        "ingress_auth": sum(
            row["app"] not in before.app_ids for row in registry.rows("ingress_auth")
        ),
    }


def _expect_app(before: Snapshot, app: str, app_id: int) -> AppExpectation:
    own = before.app_dbs.get(app)
    expectation = AppExpectation({table: _rows(own, table) for table in MOVED_TABLES})
    markers = own.meta() if own else {}
    legacy = before.vods_dbs.get(app)
    of_vods_db = {table: _rows(legacy, table) for table in ("streams", "vods")}
    of_global = {
        table: [row for row in before.registry.rows(table) if row["app_id"] == app_id]
        for table in ("streams", "vods")
    }
    of_ingress = [row for row in before.registry.rows("ingress_auth") if row["app"] == app]
    copied = before.registry.meta().get(SPLIT_DONE) == "1" and _holds_any(expectation, of_global)
    sources: tuple[tuple[bool, Mapping[str, list[Row]]], ...] = (
        (markers.get("vods_import_done") == "1", of_vods_db),
        (markers.get("global_import_done") == "1" or copied, of_global),
        (markers.get("ingress_import_done") == "1", {"ingress_auth": of_ingress}),
    )
    for done, tables in sources:
        for table, rows in tables.items():
            if not done:
                expectation.import_rows(table, rows)
    # What one source lost may have come from another.
    for done, tables in sources:
        for table, rows in tables.items():
            if done:
                expectation.match_rows(table, rows)
    return expectation


def _holds_any(expectation: AppExpectation, source: Mapping[str, list[Row]]) -> bool:
    """Whether the core of the split's time copied any of the app's global rows."""
    for table, rows in source.items():
        held = set(map(IDENTITIES[table], expectation.held[table]))
        if not held.isdisjoint(map(IDENTITIES[table], rows)):
            return True
    return False


def _rows(database: Database | None, table: str) -> list[Row]:
    return list(database.rows(table)) if database else []


def _pending_key(table: str, row: Row) -> Content:
    if table == "vods":
        return content(row, ("id", *VOD_IDENTITY))
    return IDENTITIES[table](row)


def _same_content(row: Row, there: Row) -> bool:
    columns = row.keys() - {"id"}
    return content(row, columns) == content(there, columns)
