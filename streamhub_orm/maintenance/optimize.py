"""Optimization of databases: statistics, indices, unused pages, -wal."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.data_dir import DataDir
from streamhub_orm.engine.backups import is_for_now, keep_for_good, list_backups, size_bytes
from streamhub_orm.engine.connections import open_for_migration, translated
from streamhub_orm.engine.integrity import require_intact
from streamhub_orm.engine.run_lock import run_lock
from streamhub_orm.engine.vacuum import vacuum
from streamhub_orm.engine.waits import estimated_seconds, only_long
from streamhub_orm.errors import LockedDatabaseError, SpaceError, StreamHubError
from streamhub_orm.maintenance.selection import Selection, back_up_first, handle_each

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import sqlalchemy as sa

    from streamhub_orm.maintenance.selection import Database

OK: Final = "ok"
SKIPPED: Final = "skipped"
BUSY: Final = "busy"
REFUSED: Final = "refused"
FAILED: Final = "failed"


@dataclass(frozen=True)
class Step:
    """Outcome of one step on one database."""

    name: str
    result: str = OK
    """`ok`, `skipped`, `busy` (others use the file), `refused` (no room) or `failed`."""
    reason: str | None = None


@dataclass
class Optimized:
    """Outcome for one database. Sizes are in bytes, with the -wal."""

    name: str
    """`global`, or the name of the app."""
    path: Path | None
    steps: list[Step] = field(default_factory=list)
    before_bytes: int | None = None
    after_bytes: int | None = None
    backup: Path | None = None
    """The backup made for this run, where it was kept: something did not go as it should."""
    error: str | None = None

    @property
    def reclaimed_bytes(self) -> int:
        """Bytes that it has shrunk by; below 0 where it grew, as by new statistics."""
        if self.before_bytes is None or self.after_bytes is None:
            return 0
        return self.before_bytes - self.after_bytes

    @property
    def ok(self) -> bool:
        """True where nothing failed; a step that was skipped is no failure."""
        return self.error is None

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `optimize --json`."""
        texts = {key: getattr(self, key) for key in ("path", "backup")}
        paths = {key: None if value is None else str(value) for key, value in texts.items()}
        reclaimed = self.reclaimed_bytes
        return {**asdict(self), **paths, "reclaimed_bytes": reclaimed, "ok": self.ok}


def optimize(
    data_dir: Path | DataDir,
    selection: Selection | None = None,
    *,
    raises: bool = False,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Iterator[Optimized]:
    """Yield the outcome for each database selected; one that fails stops no other.

    On a server its own autovacuum does that. Each file is backed up first. The contents stay the
    same, so the backup is removed again once the file has passed quick_check. An upgrade of the
    same installation is held off meanwhile. With `raises`, what keeps a database from being
    optimized is raised and not recorded. `progress` is told how many are done, and of how many.
    Raises `UpgradeRunningError`, `DataDirError` or `UnknownAppError` before anything is touched.
    """
    place = DataDir.find(data_dir)
    with run_lock(place.lock_path):
        yield from handle_each(
            place,
            selection or Selection(),
            _begin,
            _optimize,
            on_server=_leave_to_server,
            raises=raises,
            progress=progress,
        )


def _begin(database: Database) -> Optimized:
    return Optimized(database.name, database.path)


def _optimize(path: Path, result: Optimized) -> None:
    with translated(path, "optimizing it"):
        result.before_bytes = size_bytes(path)
        backup = back_up_first(path)
        result.backup = backup.path
        backup.mark_for_now()
        try:
            with closing(open_for_migration(path)) as connection:
                _run_steps(connection, path, result)
            result.after_bytes = size_bytes(path)
            require_intact(path)
        except Exception:
            keep_for_good(backup.path)
            raise
        backup.drop()  # the file holds what it held, and is whole
        result.backup = None
        for left in filter(is_for_now, list_backups(path)):
            left.unlink()  # a run left it that was killed


def _leave_to_server(_: sa.Connection, result: Optimized) -> None:
    reason = "the server does it by itself (autovacuum), while others read and write"
    result.steps = [Step("VACUUM and ANALYZE", SKIPPED, reason)]


def long_waits(data_dir: Path, selection: Selection) -> dict[str, float]:
    """Estimate how many seconds the writers of each database wait, by name; the long waits only."""
    place = DataDir.find(data_dir)
    measured = handle_each(place, selection, _begin, _measure, on_server=lambda *_: None)
    sizes = {one.name: one.before_bytes or 0 for one in measured}
    return only_long({name: estimated_seconds(rewritten_bytes=it) for name, it in sizes.items()})


def _measure(path: Path, result: Optimized) -> None:
    result.before_bytes = size_bytes(path)


def _run_steps(connection: sqlite3.Connection, path: Path, result: Optimized) -> None:
    """Try every step; the first error becomes the database's.

    Where there is no room for one, the later ones still can be done; where another process keeps
    the file locked, or it is damaged, they are skipped.
    """
    stopped: str | None = None
    for name, run in _STEPS.items():
        if stopped is not None:
            result.steps.append(Step(name, SKIPPED, f"{stopped} failed"))
            continue
        try:
            with translated(path, f"running {name}"):
                result.steps.append(run(connection, path))
        except StreamHubError as error:
            outcome = _OUTCOMES.get(type(error), FAILED)
            result.steps.append(Step(name, outcome, str(error)))
            result.error = result.error or str(error)
            stopped = None if outcome == REFUSED else name


def _statement(name: str) -> Callable[[sqlite3.Connection, Path], Step]:
    def run(connection: sqlite3.Connection, _: Path) -> Step:
        connection.execute(name)
        return Step(name)

    return run


def _vacuum(connection: sqlite3.Connection, path: Path) -> Step:
    vacuum(connection, path)
    return Step("VACUUM")


def _checkpoint(connection: sqlite3.Connection, path: Path) -> Step:
    replication = _find_replication(connection, path)
    if replication is not None:
        reason = f"replicated by Litestream ({replication}), which goes on from this -wal"
        return Step(_CHECKPOINT, SKIPPED, reason)
    busy, _, _ = connection.execute(_CHECKPOINT).fetchone()
    if busy:
        return Step(_CHECKPOINT, BUSY, "another process is using it, so its -wal stays for now")
    return Step(_CHECKPOINT)


def _find_replication(connection: sqlite3.Connection, path: Path) -> str | None:
    """Return what tells that a database is replicated; None where nothing does.

    Litestream keeps a folder beside the database (unless it was given another place) and two
    tables in it. Both outlast its process, which may be down just now and will want to go on with
    the -wal where it stopped: so they count whether it runs or not.
    """
    folder = path.with_name(f".{path.name}-litestream")
    if folder.is_dir():
        return f"the folder {folder.name} beside it"
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN (?, ?)"
    found = connection.execute(query, _LITESTREAM_TABLES).fetchone()
    return None if found is None else f"its table {found[0]}"


_LITESTREAM_TABLES: Final = ("_litestream_seq", "_litestream_lock")
_CHECKPOINT: Final = "PRAGMA wal_checkpoint(TRUNCATE)"
_STEPS: Final[dict[str, Callable[[sqlite3.Connection, Path], Step]]] = {
    **{name: _statement(name) for name in ("PRAGMA optimize", "ANALYZE", "REINDEX")},
    "VACUUM": _vacuum,
    _CHECKPOINT: _checkpoint,
}
_OUTCOMES: Final[dict[type[StreamHubError], str]] = {SpaceError: REFUSED, LockedDatabaseError: BUSY}
