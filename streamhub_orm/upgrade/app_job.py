"""The job of an upgrade on one app, in whichever process, and its entry of the report."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from streamhub_orm.engine.connections import reading
from streamhub_orm.errors import StreamHubError
from streamhub_orm.legacy.importing import count_unmatched_rows
from streamhub_orm.migrations.app_file import rehearse_app_file, upgrade_app_file
from streamhub_orm.migrations.upgrading import Upgraded
from streamhub_orm.upgrade.preflight import require_writable
from streamhub_orm.upgrade.report import AppReport

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamhub_orm.legacy.progress import Progress
    from streamhub_orm.upgrade.preflight import Plan
    from streamhub_orm.upgrade.workers import WorkerDiedError


def upgrade_app(plan: Plan, name: str, progress: Progress) -> AppReport:
    """Bring one app to head, with its legacy rows."""
    return _reported(plan, name, partial(_upgrade, plan, name, progress))


def rehearse_app(plan: Plan, name: str, progress: Progress) -> AppReport:
    """Do the same on a scratch copy."""
    return _reported(plan, name, partial(_rehearse, plan, name, progress))


def count_app(plan: Plan, name: str, _progress: Progress) -> AppReport:
    """Count the legacy rows that an app at head does not hold."""
    return _reported(plan, name, partial(_count, plan, name))


def died(plan: Plan, name: str, error: WorkerDiedError) -> AppReport:
    """Return the entry of an app whose worker process ended without an answer."""
    path = plan.place.app_db(name)
    message = f"{path}: {error}; expected an answer. Run again: it takes up what is left."
    return AppReport(name, error=message)


def _upgrade(plan: Plan, name: str, progress: Progress) -> Upgraded:
    path = plan.place.app_db(name)
    require_writable(path)
    return upgrade_app_file(path, plan.legacy_files(name), progress=progress)


def _rehearse(plan: Plan, name: str, progress: Progress) -> Upgraded:
    path = plan.place.app_db(name)
    require_writable(path)
    return rehearse_app_file(path, plan.legacy_files(name), progress)


def _count(plan: Plan, name: str) -> Upgraded:
    revision = plan.states[name].revision
    with reading(plan.place.app_db(name)) as connection:
        account = count_unmatched_rows(connection, plan.legacy_files(name))
    return Upgraded(revision, revision, account=account, changed=False)


def _reported(plan: Plan, name: str, work: Callable[[], Upgraded]) -> AppReport:
    """Turn the outcome for one app, good or bad, into its entry of the report."""
    before = plan.states[name].revision
    try:
        outcome = work()
    except StreamHubError as error:
        return AppReport(name, before, before, error=str(error))
    except Exception as error:  # noqa: BLE001 - one bad app never stops the others, and is named
        found = f"{type(error).__name__}: {error}"
        fault = f"{plan.place.app_db(name)}: {found}; expected no such fault. Please report it."
        return AppReport(name, before, before, error=fault)
    backup = None if outcome.backup is None else str(outcome.backup)
    return AppReport(
        name,
        outcome.from_revision,
        outcome.to_revision,
        backup,
        outcome.account,
        changed=outcome.changed,
    )
