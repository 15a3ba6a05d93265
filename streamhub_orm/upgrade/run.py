"""The run of an upgrade, from the lock to the last app."""

from __future__ import annotations

import os
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from streamhub_orm.data_dir import DataDir
from streamhub_orm.durable_files import make_folder
from streamhub_orm.engine.backups import back_up, time_stamp
from streamhub_orm.engine.connections import try_write_lock
from streamhub_orm.engine.run_lock import run_lock
from streamhub_orm.errors import StreamHubError
from streamhub_orm.legacy.bookkeeping import mark_split_done, record_split_backup
from streamhub_orm.legacy.progress import silent
from streamhub_orm.migrations.global_database import rehearse_global, upgrade_global
from streamhub_orm.migrations.states import State
from streamhub_orm.owner import scratch_folder
from streamhub_orm.registry import record_apps
from streamhub_orm.upgrade.app_job import count_app, died, rehearse_app, upgrade_app
from streamhub_orm.upgrade.caution import WITHOUT, Caution
from streamhub_orm.upgrade.interrupts import Interrupts
from streamhub_orm.upgrade.leftovers import clear_leftovers, prune_backups_of
from streamhub_orm.upgrade.preflight import (
    Plan,
    long_waits,
    look_at_everything,
    require_rehearsable,
    require_workable,
)
from streamhub_orm.upgrade.report import NOTHING, AppReport, GlobalReport, UpgradeReport
from streamhub_orm.upgrade.resuming import recorded_backup
from streamhub_orm.upgrade.row_index import index_rows, temporary_row_index
from streamhub_orm.upgrade.workers import WorkerDiedError, run_on_each

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from streamhub_orm.legacy.progress import Progress
    from streamhub_orm.migrations.upgrading import Upgraded


KEPT_BACKUPS: Final = 3


def upgrade_installation(  # noqa: PLR0913 - one keyword for each option of the command
    data_dir: Path,
    *,
    apps: Iterable[str] = (),
    jobs: int | None = None,
    dry_run: bool = False,
    lock_timeout_seconds: float = 0.0,
    keep_backups: int = KEPT_BACKUPS,
    create_missing: Collection[str] = (),
    caution: Caution = WITHOUT,
    progress: Progress = silent,
    announce: Callable[[dict[str, float]], None] = lambda _: None,
    interrupted: Callable[[list[str]], None] = lambda _: None,
) -> UpgradeReport:
    """Bring an installation, or some of its apps, to head.

    An app whose database is lost is refused by name, unless it is one of `create_missing`. Some
    apps come first and the run ends early as `caution` says; apps that were not begun then have
    that as their error.
    Ctrl-C stops it between two files, and `interrupted` is told the apps that it waits for; a
    second one stops it at once.
    After a run without a failure, files that it backed up keep their `keep_backups` newest ones.
    `progress` is called with a phase, the files done and their number; and for a big app, with
    `rows of NAME` and `indices of NAME` and how many of them are there. `announce` is called
    before the first change with the files whose writers will wait for long, and the seconds. Raises
    a `StreamHubError` where the run is refused before anything is touched; later failures are in
    the report.
    """
    started = time.monotonic()
    place = DataDir.find(data_dir)
    if dry_run:
        plan = _look(place, apps, create_missing, recover=False)
        run = _Run.of(plan, jobs, progress, caution, interrupted, dry_run=True)
        announce(long_waits(plan))
        require_rehearsable(plan, run.jobs)
        with run.interrupts, scratch_folder("rehearsal") as folder:
            index_rows(plan, folder / "rows")
            run.rehearse()
    else:
        make_folder(place.lock_path.parent)  # a node without a global database may have none
        with run_lock(place.lock_path, timeout_seconds=lock_timeout_seconds):
            plan = _look(place, apps, create_missing, recover=True)
            run = _Run.of(plan, jobs, progress, caution, interrupted, dry_run=False)
            announce(long_waits(plan))
            clear_leftovers(plan)
            with run.interrupts, temporary_row_index(plan):
                run.upgrade()
            with suppress(StreamHubError):  # old backups that stay are no failure of the upgrade
                prune_backups_of(run.report, plan, since=run.started, keep=keep_backups)
    run.finish(time.monotonic() - started)
    return run.report


def _look(
    place: DataDir, apps: Iterable[str], create_missing: Collection[str], *, recover: bool
) -> Plan:
    plan = look_at_everything(place, list(apps), recover=recover, create_missing=create_missing)
    require_workable(plan)
    return plan


@dataclass
class _Run:
    plan: Plan
    report: UpgradeReport
    jobs: int
    progress: Progress
    started: str
    """Time at which the run began, as backups are named."""
    caution: Caution
    canaries: frozenset[str]
    interrupts: Interrupts
    failures: int = 0
    """How many apps have failed in the run, apart from those that preflight refused."""
    stopped: str | None = None
    """Why no app is begun any more."""

    @classmethod
    def of(  # noqa: PLR0913 - what a run is made of
        cls,
        plan: Plan,
        jobs: int | None,
        progress: Progress,
        caution: Caution,
        interrupted: Callable[[list[str]], None],
        *,
        dry_run: bool,
    ) -> Self:
        """Begin a run, with a report that nothing has happened yet in."""
        report = UpgradeReport(plan.place.root, dry_run=dry_run)
        report.orphans = plan.legacy.rows.orphans(plan.registry.ids)
        report.unregistered = list(plan.place.unregistered(set(plan.registry.ids)))
        revision = plan.global_state.revision
        report.global_ = GlobalReport(revision, revision)
        canaries = caution.canaries_of(plan)
        jobs = jobs or os.cpu_count() or 1
        interrupts = Interrupts(interrupted)
        run = cls(plan, report, jobs, progress, time_stamp(), caution, canaries, interrupts)
        run.stop_for([name for name in caution.canary_apps if name in plan.errors])
        return run

    def stop_for(self, canaries: list[str]) -> None:
        """Begin no app any more where a canary has failed."""
        if canaries and self.stopped is None:
            self.stopped = f"not attempted, since a canary failed: {', '.join(canaries)}"

    def upgrade(self) -> None:
        """Back up, split app by app, mark the split, then global and app upgrades."""
        if self.plan.changes_global and self.stopped is None:
            self._back_up_global()
            if not self._record_backup():
                return
        self._on_each("split", upgrade_app, self.plan.to_split)
        if self._goes_on() and self._upgrade_global(self._end_split_and_upgrade):
            self._on_each("upgrade", upgrade_app, self.plan.to_upgrade)
            self._record_apps()
        self._report_done()

    def rehearse(self) -> None:
        """Do the same on scratch copies, so that counts and failures are those of a real run."""
        self._on_each("split", rehearse_app, self.plan.to_split)
        if self._goes_on() and self._upgrade_global(rehearse_global):
            self._on_each("upgrade", rehearse_app, self.plan.to_upgrade)
        self._report_done()

    def finish(self, seconds: float) -> None:
        """Add what could not be worked on, and put the apps in the registry's order."""
        for name in self.plan.selected:
            if name in self.plan.errors:
                self.report.add(AppReport(name, error=str(self.plan.errors[name])))
        order = {name: position for position, name in enumerate(self.plan.selected)}
        self.report.apps.sort(key=lambda app: order[app.app])
        self.report.made_anew = [app.app for app in self.report.apps if self._is_made_anew(app)]
        self.report.seconds = seconds

    def _is_made_anew(self, app: AppReport) -> bool:
        """Tell whether an empty database was made where the Node core should have made one."""
        plan, name = self.plan, app.app
        was_missing = name in plan.states and plan.states[name].state is State.MISSING
        is_news = name not in plan.create_missing and plan.legacy.split_done
        return was_missing and is_news and app.error is None and app.account == NOTHING

    def _end_split_and_upgrade(self, place: DataDir) -> Upgraded:
        """End the split, where every app has its rows, and bring the global database to head."""
        if self.plan.split_can_end and self.report.failed == 0:
            mark_split_done(place.global_db)
        return upgrade_global(place, backup=self.report.backup)

    def _record_apps(self) -> None:
        """Record which apps have an app.db by now; one that goes missing later is lost.

        Only after a run without a failure: a record changes the global database, and a run that
        fails again and again would leave another backup of it each time.
        """
        ids = self.plan.to_record
        try:
            if ids and self.report.failed == 0 and not self.plan.errors:
                record_apps(self.plan.place, ids)
        except StreamHubError as error:
            self.report.global_.error = str(error)

    def _report_done(self) -> None:
        """Report the apps with nothing left to do, with their legacy rows as they are recorded."""
        plan = self.plan
        self._on_each("count", count_app, plan.to_count)
        for name in plan.done:
            if name not in plan.uncounted:
                revision = plan.states[name].revision
                account = plan.accounts.get(name, NOTHING)
                self.report.add(AppReport(name, revision, revision, account=account))

    def _back_up_global(self) -> None:
        path = self.plan.place.global_db
        try_write_lock(path)
        self.report.backup = recorded_backup(path) or back_up(path)

    def _record_backup(self) -> bool:
        """Record the pre-split backup; where that fails, the run ends and names the global file."""
        path, backup = self.plan.place.global_db, self.report.backup
        split_done = self.plan.legacy.split_done
        if backup is None or (split_done and not self.plan.to_split):
            return True
        try:
            record_split_backup(path, backup, for_core=not split_done)
        except StreamHubError as error:
            self._stop(error, self.plan.to_split + self.plan.to_upgrade)
            return False
        return True

    def _stop(self, error: StreamHubError, names: list[str]) -> None:
        """Report the global database as failed, and these apps as not attempted."""
        self.report.global_.error = str(error)
        stopped = "not attempted, since the global database failed; run again when that is cured"
        self.report.apps += [AppReport(name, error=stopped) for name in names]

    def _upgrade_global(self, work: Callable[[DataDir], Upgraded]) -> bool:
        report = self.report.global_
        try:
            outcome = work(self.plan.place)
        except StreamHubError as error:
            self._stop(error, self.plan.to_upgrade)
            return False
        report.to_revision = outcome.to_revision
        report.changed = outcome.changed or self.plan.changes_global
        return True

    def _goes_on(self) -> bool:
        """Tell whether the run goes on; where it does not, report the apps as not attempted."""
        if self.stopped is not None:
            self._skip(self.plan.to_upgrade)
        return self.stopped is None

    def _skip(self, names: list[str]) -> None:
        for name in names:
            revision = self.plan.states[name].revision
            self.report.add(AppReport(name, revision, error=self.stopped))

    def _on_each(
        self, phase: str, work: Callable[[Plan, str, Progress], AppReport], names: list[str]
    ) -> None:
        canaries = [name for name in names if name in self.canaries]
        if canaries:
            reports = self._run_each("canaries", work, canaries)
            self._inspect(reports)
        self._run_each(phase, work, [name for name in names if name not in self.canaries])

    def _run_each(
        self, phase: str, work: Callable[[Plan, str, Progress], AppReport], names: list[str]
    ) -> list[AppReport]:
        self.progress(phase, 0, len(names))
        self.interrupts.stop_if_any()
        reports = {}
        each = run_on_each(
            partial(work, self.plan),
            names,
            jobs=self.jobs,
            progress=self.progress,
            goes_on=lambda: self.stopped is None,
            at_hand=self._note_at_hand,
            breaks_off=lambda: self.interrupts.came,
        )
        with closing(each) as outcomes:
            for done, (name, outcome) in enumerate(outcomes, start=1):
                if isinstance(outcome, WorkerDiedError):
                    outcome = died(self.plan, name, outcome)  # noqa: PLW2901 - its entry instead
                reports[name] = outcome
                self.report.add(outcome)
                self._count(outcome)
                self.progress(phase, done, len(names))
                self.interrupts.stop_if_any()
        self._skip([name for name in names if name not in reports])
        return list(reports.values())

    def _note_at_hand(self, names: list[str]) -> None:
        self.interrupts.at_hand = names

    def _count(self, outcome: AppReport) -> None:
        most = self.caution.stop_after_failures
        self.failures += outcome.error is not None
        if most is not None and self.failures >= most and self.stopped is None:
            limit = f"--stop-after-failures {most}"
            self.stopped = f"not attempted, since {self.failures} apps failed ({limit})"

    def _inspect(self, canaries: list[AppReport]) -> None:
        """Check the canaries; where one failed, or is not good now, end the run."""
        for report in canaries:
            if report.error is None and not self.report.dry_run:
                report.error = self.caution.inspect(report.app, self.plan.place.app_db(report.app))
        self.stop_for([report.app for report in canaries if report.error is not None])
