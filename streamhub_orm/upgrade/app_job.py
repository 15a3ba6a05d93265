"""What an upgrade does for one app, in whichever process, and its entry of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamhub_orm.errors import StreamHubError
from streamhub_orm.migrations import app_files
from streamhub_orm.upgrade.preflight import require_writable
from streamhub_orm.upgrade.report import AppReport

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamhub_orm.legacy.progress import Progress
    from streamhub_orm.migrations.upgrading import Upgraded
    from streamhub_orm.upgrade.preflight import Plan
    from streamhub_orm.upgrade.workers import WorkerDiedError


def died(plan: Plan, name: str, error: WorkerDiedError) -> AppReport:
    """Return the entry of an app whose worker process ended without an answer."""
    path = plan.place.app_db(name)
    message = f"{path}: {error}; expected an answer. Run again: it takes up what is left."
    return AppReport(name, error=message)


def bring_app(plan: Plan, name: str, progress: Progress) -> AppReport:
    """Bring one app to head, with its legacy rows."""
    path = plan.place.app_db(name)

    def bring() -> Upgraded:
        require_writable(path)
        return app_files.bring_app_to_head(path, plan.legacy_files(name), progress)

    return _reported(plan, name, bring)


def rehearse_app(plan: Plan, name: str, progress: Progress) -> AppReport:
    """Do the same on a scratch copy."""
    path = plan.place.app_db(name)

    def rehearse() -> Upgraded:
        require_writable(path)
        return app_files.rehearse_app(path, plan.legacy_files(name), progress)

    return _reported(plan, name, rehearse)


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


def count_unmatched(plan: Plan, name: str, _progress: Progress) -> AppReport:
    """Count the legacy rows that an app at head does not hold."""
    revision = plan.states[name].revision
    report = AppReport(name, revision, revision)
    try:
        report.account = app_files.unmatched_of(plan.place.app_db(name), plan.legacy_files(name))
    except StreamHubError as error:
        report.error = str(error)
    return report
