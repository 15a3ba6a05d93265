"""Deletion of an app's recordings, log lines, or all that its use has left; the app stays."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from streamhub_orm.app_db import Stream
from streamhub_orm.databases import Databases
from streamhub_orm.engine.connections import translated
from streamhub_orm.errors import StreamHubError
from streamhub_orm.global_db import ServerLog
from streamhub_orm.maintenance.purge_vods import SEGMENTS, Kept, VodPurge
from streamhub_orm.maintenance.selection import FirstBackup, back_up_first
from streamhub_orm.migrations.global_database import global_faults
from streamhub_orm.registry import read_registry
from streamhub_orm.services.core import table_of
from streamhub_orm.services.logs import names_app
from streamhub_orm.storage import store_for_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.storage import ObjectStore

    Progress = Callable[[str, int, int], None]

LISTED: Final = 1000
"""Recordings that stay and are named, at most."""
COUNTED: Final = (
    "vods",
    "vod_variants",
    "objects",
    "streams",
    "server_logs",
)
_LOGS: Final = table_of(ServerLog)
_STREAMS: Final = table_of(Stream)
_ROWS_AT_ONCE: Final = 5000


class Scope(StrEnum):
    """Kinds of data that are deleted."""

    VODS = "vods"
    """Recordings and their variants, with objects, snapshots and local files."""
    LOGS = "logs"
    """The app's lines in the server's log, those that only name it among them."""
    ALL = "all"
    """Both, and the rows of streams."""


@dataclass
class Purge:
    """Outcome of a purge, or in a dry run what it would delete."""

    data_dir: Path
    app: str
    scope: Scope
    dry_run: bool
    deleted: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))
    """Rows by table; `objects` are those that the store has no more."""
    local_files: int = 0
    """Recordings and snapshots that were deleted from the disk; 0 in a dry run."""
    kept: int = 0
    """Recordings whose rows stay, since something of them could not be deleted."""
    kept_vods: list[Kept] = field(default_factory=list)
    """The first of them."""
    backups: list[Path] = field(default_factory=list)
    error: str | None = None
    """Reason why the run ended early; the same command takes up what is left."""
    fault: StreamHubError | None = None
    """The same, where it was no fault of the store."""

    @property
    def ok(self) -> bool:
        """True where all that was to go is gone."""
        return self.error is None and self.kept == 0

    def to_json(self) -> dict[str, Any]:
        """Return the document of `purge --json`."""
        return {
            "ok": self.ok,
            "error": self.error,
            "data_dir": str(self.data_dir),
            "app": self.app,
            "scope": str(self.scope),
            "dry_run": self.dry_run,
            "deleted": self.deleted,
            "local_files": self.local_files,
            "kept": self.kept,
            "kept_vods": [vod._asdict() for vod in self.kept_vods],
            "backups": [str(path) for path in self.backups],
        }


def purge(  # noqa: PLR0913 - one keyword for each option of the command, and two more
    data_dir: Path | DataDir,
    app: str,
    scope: Scope,
    *,
    dry_run: bool = False,
    store: ObjectStore | None = None,
    progress: Progress = lambda *_: None,
) -> Purge:
    """Delete what `scope` says of one app; each file of a database is backed up first.

    Objects and local files go before the rows that name them, so a killed run is finished by the
    next. The app, its config, ingress credentials, restream targets, plugins, tokens and markers
    stay. `store` takes the place of the one in the app's config.yaml. `progress` is told of
    recordings, streams and log lines how many are done, and of how many. Raises a `StreamHubError`
    before anything is touched: for an unknown app, settings that cannot be used, or a database that
    is not at head.
    """
    with Databases(data_dir, auto_upgrade=False) as databases:
        registry = read_registry(databases.place)
        registry.require([app])
        result = Purge(databases.place.root, app, scope, dry_run)
        run = _Run(databases, result, registry.ids[app], progress)
        planned = run.count()
        if dry_run or not any(planned.values()):
            run.result.deleted |= planned
        else:
            with ExitStack() as stack:
                if store is None and planned["vods"] + planned["vod_variants"]:
                    store = store_for_app(databases.place, app)
                    stack.enter_context(store or nullcontext())
                run.delete(planned, store)
    return run.result


@dataclass
class _Run:
    databases: Databases
    result: Purge
    app_id: int
    progress: Progress

    def count(self) -> dict[str, int]:
        """Return what there is of each kind; what is not in the scope counts as none."""
        counts = dict.fromkeys(self.result.deleted, 0)
        scope = self.result.scope
        if scope is not Scope.LOGS:
            with self.databases.app_connection(self.result.app, read_only=True) as connection:
                counts["vods"] = _number(connection, "SELECT count(*) FROM vods")
                counts["vod_variants"] = _number(connection, "SELECT count(*) FROM vod_variants")
                counts["objects"] = _number(connection, _OBJECTS)
                if scope is Scope.ALL:
                    counts["streams"] = _number(connection, "SELECT count(*) FROM streams")
        if scope is not Scope.VODS:
            with self.databases.global_connection(read_only=True) as connection:
                for condition in self.lines():
                    query = sa.select(sa.func.count()).select_from(_LOGS).where(condition)
                    counts["server_logs"] += connection.execute(query).scalar_one()
        return counts

    def lines(self) -> tuple[sa.ColumnElement[bool], ...]:
        """Return conditions for the app's log lines: by its id, and by its name without one."""
        return _LOGS.c.app_id == self.app_id, names_app(self.result.app)

    def delete(self, planned: dict[str, int], store: ObjectStore | None) -> None:
        """Back up, then delete; a fault after the backups ends the run and is in the result."""
        place, app = self.databases.place, self.result.app
        logs = planned["server_logs"]
        needed = [place.app_db(app)] if sum(planned.values()) > logs else []
        is_in_file = place.global_url is None
        self._back_up([*needed, *([place.global_db] if logs and is_in_file else [])])
        try:
            with translated(place.app_db(app), "purging it"):
                self._delete_from_app(planned, store)
            if logs:
                with global_faults(place, "purging its log lines"):
                    self._delete_logs(logs)
        except StreamHubError as error:
            self.result.error, self.result.fault = str(error), error

    def _delete_from_app(self, planned: dict[str, int], store: ObjectStore | None) -> None:
        """Delete recordings first, since they may meet a fault of the store."""
        app = self.result.app
        if planned["vods"] + planned["vod_variants"]:
            self._delete_vods(VodPurge(self.databases, app, store), planned["vods"])
        if planned["streams"]:
            for rows in _delete_rows(partial(self.databases.app_connection, app), _STREAMS):
                self.result.deleted["streams"] += rows
                self.progress("streams", self.result.deleted["streams"], planned["streams"])

    def _delete_logs(self, planned: int) -> None:
        for condition in self.lines():
            for rows in _delete_rows(self.databases.global_connection, _LOGS, condition):
                self.result.deleted["server_logs"] += rows
                self.progress("log lines", self.result.deleted["server_logs"], planned)

    def _back_up(self, paths: list[Path]) -> None:
        """Back all files up, or none: a purge that is refused leaves nothing new."""
        made: list[FirstBackup] = []
        try:
            for path in paths:
                made += [back_up_first(path)]
        except StreamHubError:
            for backup in made:
                backup.drop()
            raise
        self.result.backups += [backup.path for backup in made]

    def _delete_vods(self, vods: VodPurge, planned: int) -> None:
        deleted = self.result.deleted
        for batch in vods.run():
            deleted["vods"] += batch.vods
            deleted["vod_variants"] += batch.variants
            deleted["objects"] += batch.objects
            self.result.local_files += batch.local_files
            self.result.kept += len(batch.kept)
            self.progress("recordings", min(deleted["vods"] + self.result.kept, planned), planned)
            room = LISTED - len(self.result.kept_vods)
            self.result.kept_vods += batch.kept[:room]
            if batch.fault is not None:
                self.result.error = f"{batch.fault} The recordings that are left were not tried."


_OBJECTS: Final = f"""
    SELECT count(*) FROM (
      SELECT file_key AS key FROM vods UNION SELECT snapshot_key FROM vods
      UNION SELECT file_key FROM vod_variants UNION {SEGMENTS}) WHERE key <> ''"""  # noqa: S608 - constants


def _number(connection: sa.Connection, query: str) -> int:
    return int(connection.exec_driver_sql(query).scalar_one())


def _delete_rows(
    begin: Callable[[], AbstractContextManager[sa.Connection]],
    table: sa.Table,
    condition: sa.ColumnElement[bool] | None = None,
) -> Iterator[int]:
    """Delete rows some thousands at a time, so that others can write in between.

    Yields the number of each commit, so that a later fault does not take it out of the account.
    """
    some = sa.select(table.c.id).limit(_ROWS_AT_ONCE)
    statement = sa.delete(table).where(
        table.c.id.in_(some if condition is None else some.where(condition))
    )
    while True:
        with begin() as connection:
            done = connection.execute(statement).rowcount
        yield done
        if done < _ROWS_AT_ONCE:
            return
