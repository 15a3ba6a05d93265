"""`streamhub-db upgrade`: every database brought to this release."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

from streamhub_orm.check import check_file
from streamhub_orm.cli.completion import AppName, app_option
from streamhub_orm.cli.lists import ANY, Entry
from streamhub_orm.cli.options import Invocation, global_options, lock_timeout_option
from streamhub_orm.cli.output import echo, print_json, progress_bar, warn_of_waits
from streamhub_orm.cli.tables import print_table
from streamhub_orm.migrations.worlds import APP
from streamhub_orm.upgrade import UpgradeReport, upgrade_installation
from streamhub_orm.upgrade.caution import Caution
from streamhub_orm.upgrade.report import refused_json
from streamhub_orm.upgrade.run import KEPT_BACKUPS

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.legacy.accounts import RowCounts
    from streamhub_orm.upgrade.report import AppReport


@click.command
@app_option("Only this app; repeatable.", many=True)
@click.option("--jobs", type=click.IntRange(min=1), help="Worker processes; default: one per core.")
@click.option("--dry-run", is_flag=True, help="Rehearse on scratch copies; touch nothing.")
@lock_timeout_option
@click.option(
    "--keep-backups",
    type=click.IntRange(min=1),
    default=KEPT_BACKUPS,
    show_default=True,
    metavar="N",
    help="After success, keep the newest N backups of each file; the pre-split one always stays.",
)
@click.option(
    "--create-missing",
    type=AppName(),
    multiple=True,
    metavar="NAME",
    help="Start this app anew, whose database is lost; repeatable.",
)
@click.option(
    "--canary",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Upgrade the N apps with the smallest files first, check them, then the rest.",
)
@click.option(
    "--canary-app",
    "canary_apps",
    type=AppName(),
    multiple=True,
    metavar="NAME",
    help="Upgrade this app first as well; repeatable.",
)
@click.option(
    "--stop-after-failures",
    type=click.IntRange(min=1),
    metavar="N",
    help="Begin no other app once N have failed; default: go on with all.",
)
@global_options
@click.pass_obj
def upgrade(  # noqa: PLR0913, PLR0917 - one parameter for each option
    invocation: Invocation,
    apps: tuple[str, ...],
    jobs: int | None,
    lock_timeout: float,
    keep_backups: int,
    create_missing: tuple[str, ...],
    canary: int,
    canary_apps: tuple[str, ...],
    stop_after_failures: int | None,
    *,
    dry_run: bool,
) -> int:
    """Bring every database to this release: backup, split, upgrade.

    Safe to run again at any time: what is done is not done twice, what failed is taken up.
    """
    invocation.refused_document = partial(refused_json, invocation.root.absolute(), dry_run=dry_run)
    report = run_upgrade(
        invocation,
        apps=apps,
        jobs=jobs,
        dry_run=dry_run,
        lock_timeout_seconds=lock_timeout,
        keep_backups=keep_backups,
        create_missing=create_missing,
        caution=Caution(canary, canary_apps, stop_after_failures, _inspect),
    )
    if invocation.json:
        print_json(report.to_json())
    return 1 if report.failed else 0


def _inspect(name: str, path: Path) -> str | None:
    """Return what `check` finds in an app.db, in one line."""
    found = check_file(name, path, APP)
    faults = [found.error, *found.drift, *found.integrity, *found.foreign_keys]
    words = "; ".join(it for it in faults if it)
    return f"{path}: it is upgraded, and the check found: {words}" if words else None


def run_upgrade(invocation: Invocation, **options: Any) -> UpgradeReport:  # noqa: ANN401 - those of upgrade_installation
    """Upgrade; show progress, and the report unless a JSON document will."""
    with progress_bar(shown=invocation.verbosity >= 0 and not invocation.json) as progress:
        report = upgrade_installation(
            invocation.root,
            **options,
            progress=progress,
            announce=warn_of_waits,
            interrupted=invocation.ctrl_c.tell,
        )
    if not invocation.json:
        _print_report(report, invocation.verbosity)
    _print_failures(report)
    return report


def _print_report(report: UpgradeReport, verbosity: int) -> None:
    changed = [app for app in report.apps if verbosity > 0 or app.changed or app.error]
    entries = [Entry(app, app.app, ok=app.error is None) for app in changed]
    shown = entries if verbosity > 0 else ANY.shorten(entries, judged=True)
    if shown:
        columns = ("app", "from", "to", "imported", "superseded", "unmatched", "result")
        print_table(columns, [_row(entry.item) for entry in shown])
    if hidden := len(entries) - len(shown):
        echo(f"-v lists the other {hidden:,}.")
    for line in _summary(report):
        echo(line)


def _row(app: AppReport) -> tuple[object, ...]:
    kinds = (app.account.imported, app.account.superseded, app.account.unmatched)
    result = "failed" if app.error else "ok"
    return (app.app, app.from_revision, app.to_revision, *(it.total for it in kinds), result)


def _summary(report: UpgradeReport) -> list[str]:
    would = "would be " if report.dry_run else ""
    changed = sum(app.changed for app in report.apps)
    failed = sum(app.error is not None for app in report.apps)
    lines = [
        f"global database: {report.global_.from_revision or 'not adopted'} -> "
        f"{report.global_.to_revision or 'failed'}"
        if report.global_.changed or report.global_.error
        else f"global database: at {report.global_.to_revision}, unchanged",
        (
            f"apps: {changed} {would}changed, {len(report.apps) - changed - failed} unchanged, "
            f"{failed} {'would fail' if report.dry_run else 'failed'}"
        ),
        f"rows {would}imported: {_words(report.total('imported'))}",
    ]
    for kind, what in _WARNINGS.items():
        counts = report.orphans if kind == "orphaned" else report.total(kind)
        if counts.total:
            lines.append(f"warning: {kind}: {_words(counts)}; {what}")
    if report.made_anew:
        made = f"an empty one {'would be' if report.dry_run else 'was'} made"
        apps = ", ".join(report.made_anew)
        lines.append(f"warning: registered, with no database and no legacy rows, {made}: {apps}")
    if report.unregistered:
        folders = ", ".join(report.unregistered)
        lines.append(f"warning: folders with an app.db but no registry row, not touched: {folders}")
    if report.backup is not None:
        lines.append(f"backup of the global database: {report.backup}")
    if not report.changed and not report.failed:
        lines.append("Nothing to do: every database is at head.")
    return lines


_NAMED: Final = 5
"""Apps that are named for one error that all of them have."""
_WARNINGS = {
    "superseded": "the app.db holds another row under the same key; the old row stays where it was",
    "unmatched": "left in their old place, and not in the app.db whose import was done before",
    "orphaned": "they belong to no registered app and stay where they are",
}


def _words(counts: RowCounts) -> str:
    return ", ".join(f"{count} {table}" for table, count in asdict(counts).items())


def _print_failures(report: UpgradeReport) -> None:
    if report.global_.error:
        echo(f"Error: global database: {report.global_.error}", err=True)
    alike: dict[str, list[str]] = {}
    for app in report.apps:
        if app.error:
            alike.setdefault(app.error, []).append(app.app)
    for error, apps in sorted(alike.items(), key=lambda it: len(it[1])):
        more = f" and {len(apps) - _NAMED:,} more" if len(apps) > _NAMED else ""
        noun = "app" if len(apps) == 1 else "apps"
        echo(f"Error: {noun} {', '.join(apps[:_NAMED])}{more}: {error}", err=True)
    if report.failed:
        failed = f"{report.failed} {'database' if report.failed == 1 else 'databases'}"
        echo(
            f"{failed} would fail, the others would be done. Cure what is named above, then "
            "upgrade."
            if report.dry_run
            else f"{failed} failed, the others are done. Cure what is named above and run the same "
            "command again.",
            err=True,
        )
