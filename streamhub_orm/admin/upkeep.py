"""Upkeep of one database for the endpoints: health, optimize and purge, as they answer them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from streamhub_orm.admin.answers import RefusedError, refusal_of
from streamhub_orm.admin.facts import find_app
from streamhub_orm.data_dir import require_app_name
from streamhub_orm.engine.backups import wal_bytes
from streamhub_orm.engine.connections import reading
from streamhub_orm.errors.visible import visible
from streamhub_orm.fleet import read_pages
from streamhub_orm.maintenance.health import read_health
from streamhub_orm.maintenance.optimize import BUSY, FAILED, OK, REFUSED, optimize
from streamhub_orm.maintenance.purge import Scope, purge
from streamhub_orm.maintenance.selection import Selection

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.maintenance.optimize import Optimized, Step

_logger: Final = logging.getLogger(__name__)
_CHECKPOINT: Final = "PRAGMA wal_checkpoint(TRUNCATE)"
# In the place of a step's own reason, which may name other files.
_REASONS: Final = {
    BUSY: "another process uses the file",
    REFUSED: "the disk has not enough room",
    FAILED: "the server's log has the reason",
}


def read_one_health(place: DataDir, app: str | None) -> dict[str, Any]:
    """Return the health of an app's database, or the global one for None."""
    if app is not None:
        find_app(place, app)
    [found] = read_health(place, _only(app), raises=True)
    pages, unused = found.pages or 0, found.freelist_pages or 0
    return {
        "path": found.server or str(found.path),
        "sizeBytes": found.size_bytes,
        "walSizeBytes": found.wal_bytes or 0,
        "pageCount": pages,
        "freelistCount": unused,
        "fragmentationPct": round(100 * unused / max(pages, 1), 2),
        "tables": [
            {"name": it.table, "rows": it.rows, "bytes": it.own_bytes} for it in found.tables
        ],
    }


def run_optimize(place: DataDir, app: str) -> dict[str, Any]:
    """Optimize an app's database; a step that failed is noted, and the others are done.

    Where another process kept the file locked, the answer is an error with what was done.
    """
    _, path = find_app(place, app)
    before = _sizes(path)
    [done] = optimize(place, _only(app), raises=True)
    after = _sizes(path)
    _log_remarks(done)
    answer = {
        "path": str(path),
        "steps": [_shown(step) for step in done.steps],
        "before": before,
        "after": after,
        "reclaimedBytes": done.reclaimed_bytes,
    }
    if any(step.result == BUSY and step.name != _CHECKPOINT for step in done.steps):
        message = "The database is busy; `steps` says what was done before."
        todo, again = "Ask again in a moment.", {"Retry-After": "5"}
        raise RefusedError(503, "locked_database", message, todo, headers=again, data=answer)
    return answer


def run_purge(place: DataDir, app: str, scope: Scope) -> dict[str, Any]:
    """Delete what the scope says; `kept` are recordings of which something could not be deleted.

    Where it ended early, the answer is an error with what was deleted before.
    """
    require_app_name(app)
    if scope is not Scope.LOGS:
        find_app(place, app)
    done = purge(place, app, scope)
    for vod in done.kept_vods:
        _logger.warning("purge of app %s: recording %d stays: %s", app, vod.id, visible(vod.reason))
    answer = {
        "scope": str(scope),
        "vodsDeleted": done.deleted["vods"],
        "streamsDeleted": done.deleted["streams"],
        "logsDeleted": done.deleted["server_logs"],
        "s3Deleted": done.deleted["objects"],
        "localDeleted": done.local_files,
        "kept": done.kept,
        "keptVods": [vod.id for vod in done.kept_vods],
    }
    if done.error is not None:
        _logger.error("purge of app %s ended early: %s", app, done.error)
        if done.fault is not None:
            raise refusal_of(done.fault, data=answer)
        message = "The purge ended early; `data` says what was deleted before."
        todo = "See the server's log; the same request takes up what is left."
        raise RefusedError(500, "purge_unfinished", message, todo, data=answer)
    return answer


def _only(app: str | None) -> Selection:
    return Selection(with_global=app is None, apps=() if app is None else (app,))


def _sizes(path: Path) -> dict[str, int]:
    with reading(path) as connection:
        unused = read_pages(connection).unused
    size, wal = path.stat().st_size, wal_bytes(path)
    return {"sizeBytes": size, "walSizeBytes": wal, "freelistCount": unused}


def _shown(step: Step) -> dict[str, str | None]:
    return {
        "name": step.name,
        "result": step.result,
        "reason": _REASONS.get(step.result, step.reason),
    }


def _log_remarks(done: Optimized) -> None:
    for step in done.steps:
        if step.result != OK:
            _logger.warning(
                "optimize of app %s: %s %s: %s", done.name, step.name, step.result, step.reason
            )
    if done.backup is not None:
        _logger.warning("optimize of app %s: its backup is kept: %s", done.name, done.backup)
