"""Leftovers beside the databases: those of killed runs, and old backups."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from streamhub_orm.durable_files import remove_leftovers
from streamhub_orm.engine.backups import prune_backups
from streamhub_orm.engine.connections import translated
from streamhub_orm.engine.database_files import remove_aliases
from streamhub_orm.errors import StreamHubError
from streamhub_orm.legacy.bookkeeping import protected_backups

if TYPE_CHECKING:
    from streamhub_orm.upgrade.preflight import Plan
    from streamhub_orm.upgrade.report import UpgradeReport


def clear_leftovers(plan: Plan) -> None:
    """Remove what killed runs left beside the databases.

    An app where that fails is not worked on.
    """
    place = plan.place
    with translated(place.global_db, "clearing what killed runs left beside it"):
        remove_leftovers(place.global_db.parent)
        if place.global_url is None:
            remove_aliases(place.global_db)
    for name in plan.states:
        path = place.app_folder(name) / "app.db"
        try:
            with translated(path, "clearing what killed runs left beside it"):
                remove_leftovers(path.parent)
        except StreamHubError as error:
            plan.errors[name] = error


def prune_backups_of(report: UpgradeReport, plan: Plan, *, since: str, keep: int) -> None:
    """Remove old backups of the files that a run backed up anew, if all went well.

    `since` is the time at which it began, as backups are named: a run that took up an interrupted
    one used that one's backup, and prunes nothing there.
    """
    if report.failed or plan.errors:
        return
    place = plan.place
    on_server = place.global_url is not None
    protected = frozenset() if on_server else protected_backups(place.global_db)
    made = {place.app_db(app.app): app.backup for app in report.apps if app.backup}
    made[place.global_db] = str(report.backup or "")
    for path, backup in made.items():
        name = Path(backup).name
        if name > f"{path.name}.bak-{since}":
            prune_backups(path, keep=keep, protected=protected | {name})
