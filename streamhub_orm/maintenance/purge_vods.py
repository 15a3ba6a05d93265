"""Deletion of recordings in batches: first their objects and files, then the rows of those gone.

A kill in between leaves rows whose objects are gone; the next run asks for these once more, which
a store takes for done, and deletes the rows. No row goes before what it alone can name.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from streamhub_orm.errors import StorageError, StoreDeniedError
from streamhub_orm.maintenance.local_files import delete_local_file, has_local_file, local_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamhub_orm.databases import Databases
    from streamhub_orm.storage import ObjectStore

BATCH: Final = 100
"""So many recordings, with thousands of segments each, are in memory and go at a time."""
_BEFORE_ALL: Final = -(2**63)
_NO_STORE: Final = "it lies in an object store, and the app's config.yaml names no bucket"
_NO_KEYS: Final = "extra_json of its variants is no JSON object with a list of texts as segmentKeys"
_CHANGED: Final = "it was changed meanwhile; run again"


class Recording(NamedTuple):
    """A recording with all that is deleted with it, or a variant that is left without one."""

    id: int
    name: str
    keys: frozenset[str]
    """Keys of its file, its snapshot, its variants and their segments in the store."""
    is_uploaded: bool
    local_path: str | None
    variants: int
    is_named_whole: bool
    """False where a variant does not say what its segments are."""


class Kept(NamedTuple):
    """A recording whose row stays, since something that it names could not be deleted."""

    id: int
    name: str
    reason: str


@dataclass
class Batch:
    """Outcome of one batch."""

    vods: int
    variants: int
    objects: int
    local_files: int
    kept: list[Kept]
    fault: str | None = None
    """Reason why the store fails for every recording, so that the run ends here."""


class VodPurge:
    """Deletion of the recordings of one app."""

    def __init__(self, databases: Databases, app: str, store: ObjectStore | None) -> None:
        """Work on `app`; `store` is None where the app has none."""
        self._databases = databases
        self._app = app
        self._store = store
        self._local_files = 0

    def run(self) -> Iterator[Batch]:
        """Yield the outcome of each batch; ends where the store fails for all.

        Variants whose recording no longer exists come last.
        """
        for statements in (_VODS, _VARIANTS_LEFT):
            last_id = _BEFORE_ALL
            while vods := self._next(statements, last_id):
                batch = self._purge(statements, vods)
                yield batch
                if batch.fault is not None:
                    return
                last_id = vods[-1].id

    def _next(self, statements: _Statements, last_id: int) -> list[Recording]:
        with self._databases.app_connection(self._app, read_only=True) as connection:
            found = connection.exec_driver_sql(statements.next_rows, (last_id, BATCH))
            return [_recording(*row) for row in found]

    def _purge(self, statements: _Statements, vods: list[Recording]) -> Batch:
        keys = sorted({key for vod in vods if vod.is_named_whole for key in vod.keys})
        keys = keys if self._store else []
        self._local_files = 0
        failed = self._store.delete_many(keys) if self._store and keys else {}
        reasons = {vod.id: self._reason(vod, failed) for vod in vods}
        gone = self._delete_rows(statements, [vod for vod in vods if reasons[vod.id] is None])
        for vod in vods:
            if reasons[vod.id] is None and vod.id not in gone:
                reasons[vod.id] = _CHANGED
        return Batch(
            vods=len(gone) if statements is _VODS else 0,
            variants=sum(vod.variants for vod in vods if vod.id in gone),
            objects=len(keys) - len(failed),
            local_files=self._local_files,
            kept=[
                Kept(vod.id, vod.name, reason)
                for vod in vods
                if (reason := reasons[vod.id]) is not None
            ],
            fault=self._fault(keys[0], failed) if keys and len(failed) == len(keys) else None,
        )

    def _reason(self, vod: Recording, failed: dict[str, StorageError]) -> str | None:
        """Return why a recording must stay; None once its objects and its local file are gone."""
        if not vod.is_named_whole:
            return _NO_KEYS
        if self._store is None and vod.keys and vod.is_uploaded:
            return _NO_STORE
        for key in sorted(vod.keys & failed.keys()):
            return f"its object {key} cannot be deleted ({failed[key]})"
        local = [vod.local_path, local_snapshot(vod.local_path)] if vod.local_path else []
        return next(filter(None, map(self._delete_local_file, local)), None)

    def _delete_local_file(self, path: str) -> str | None:
        place, app = self._databases.place, self._app
        is_there = has_local_file(place, app, path)
        reason = delete_local_file(place, app, path)
        self._local_files += is_there and reason is None
        return reason

    def _delete_rows(self, statements: _Statements, vods: list[Recording]) -> set[int]:
        """Delete the rows that still name just what is gone, and return their ids."""
        known = {vod.id: vod for vod in vods}
        with self._databases.app_connection(self._app) as connection:
            found = connection.exec_driver_sql(statements.same_rows, (json.dumps(list(known)),))
            gone = {vod.id for row in found if (vod := _recording(*row)) == known[vod.id]}
            for statement in statements.deletions:
                connection.exec_driver_sql(statement, (json.dumps(sorted(gone)),))
        return gone

    def _fault(self, key: str, failed: dict[str, StorageError]) -> str | None:
        """Tell a store that is down from one that only keeps these objects."""
        assert self._store is not None  # noqa: S101 - it has just refused
        error = failed[key]
        # A refusal may be of the deletion alone; otherwise to ask once more only takes time.
        if isinstance(error, StoreDeniedError) or not error.meets_every_key:
            try:
                self._store.head(key)
            except StorageError as found:
                error = found
            else:
                return None
        return str(error) if error.meets_every_key else None


@dataclass(frozen=True)
class _Statements:
    """SQL for one kind of rows."""

    columns: str
    source: str
    """Table and condition of the rows `r`."""
    deletions: tuple[str, ...]

    @property
    def next_rows(self) -> str:
        """The query for the rows after an id, so many at most."""
        return f"SELECT {self.columns} FROM {self.source} AND r.id > ? ORDER BY r.id LIMIT ?"  # noqa: S608 - constants of this module

    @property
    def same_rows(self) -> str:
        """The query for the rows of some ids."""
        return f"SELECT {self.columns} FROM {self.source} AND r.id IN {_LIST}"  # noqa: S608


def _recording(*row: Any) -> Recording:  # noqa: ANN401 - what SQLite holds
    number, name, is_uploaded, local_path, keys, variants, is_named_whole = row
    named = frozenset(key for key in json.loads(keys) if key)
    return Recording(
        number, name, named, bool(is_uploaded), local_path, variants, bool(is_named_whole)
    )


_LIST: Final = "(SELECT value FROM json_each(?))"
_NAMES_SEGMENTS: Final = """
    CASE WHEN v.extra_json IS NULL THEN TRUE
         WHEN NOT json_valid(v.extra_json) THEN FALSE
         WHEN json_type(v.extra_json) NOT IN ('object', 'array', 'null') THEN FALSE
         ELSE CASE coalesce(json_type(v.extra_json, '$.segmentKeys'), 'null')
              WHEN 'null' THEN TRUE
              WHEN 'array' THEN NOT EXISTS (
                  SELECT 1 FROM json_each(v.extra_json, '$.segmentKeys') WHERE type <> 'text')
              ELSE FALSE END END"""
"""Condition for a variant `v` that has no segments, or says what they are."""
SEGMENTS: Final = """
    SELECT s.value AS key FROM vod_variants v, json_each(
        CASE WHEN json_valid(v.extra_json) THEN v.extra_json ELSE '{}' END, '$.segmentKeys') s
    WHERE s.type = 'text'"""
"""Query for the keys of all segments that variants `v` name."""
_VODS: Final = _Statements(
    columns=f"""r.id, r.name, r.s3_url IS NOT NULL, r.local_path,
        (SELECT json_group_array(key) FROM (
           SELECT r.file_key AS key UNION ALL SELECT r.snapshot_key
           UNION ALL SELECT file_key FROM vod_variants WHERE vod_id = r.id
           UNION ALL {SEGMENTS} AND v.vod_id = r.id)),
        (SELECT count(*) FROM vod_variants WHERE vod_id = r.id),
        NOT EXISTS (
           SELECT 1 FROM vod_variants v WHERE v.vod_id = r.id AND NOT {_NAMES_SEGMENTS})""",  # noqa: S608 - constants
    source="vods r WHERE TRUE",
    deletions=(
        f"DELETE FROM vod_variants WHERE vod_id IN {_LIST}",  # noqa: S608
        f"DELETE FROM vods WHERE id IN {_LIST}",  # noqa: S608
    ),
)
_VARIANTS_LEFT: Final = _Statements(
    columns=f"""r.id, 'variant ' || r.id, TRUE, NULL,
        (SELECT json_group_array(key) FROM (
           SELECT r.file_key AS key UNION ALL {SEGMENTS} AND v.id = r.id)),
        1, (SELECT {_NAMES_SEGMENTS} FROM vod_variants v WHERE v.id = r.id)""",  # noqa: S608
    source="vod_variants r WHERE r.vod_id NOT IN (SELECT id FROM vods)",
    deletions=(f"DELETE FROM vod_variants WHERE id IN {_LIST}",),  # noqa: S608
)
"""Variants whose recording no longer exists."""
