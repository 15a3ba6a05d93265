"""`streamhub-db logs`: the server's log, read and cleared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from streamhub_orm.cli.completion import app_option
from streamhub_orm.cli.lists import print_totals
from streamhub_orm.cli.options import Invocation, global_options
from streamhub_orm.cli.output import echo, print_json, warn
from streamhub_orm.cli.sessions import global_session, opened_databases, shown_time
from streamhub_orm.cli.tables import print_table
from streamhub_orm.errors import StoredValueError
from streamhub_orm.schema import utc_from_text, utc_now
from streamhub_orm.services import logs as service

if TYPE_CHECKING:
    from datetime import datetime


@click.group
@global_options
def logs() -> None:
    """Read the server's log, and delete what is older than it is to be kept."""


def _time(_: click.Context, __: click.Parameter, text: str | None) -> datetime | None:
    """Read a day or a point in time, in UTC unless it says another offset."""
    if text is None:
        return None
    try:
        return utc_from_text(f"{text} 00:00:00" if len(text) == len("2026-01-31") else text)
    except StoredValueError as error:
        message = f"{error}, or a day such as 2026-01-31."
        raise click.BadParameter(message) from error


def _key(_: click.Context, __: click.Parameter, text: str | None) -> service.PageKey | None:
    """Read what `next` of the page before says."""
    try:
        return None if text is None else service.PageKey.from_text(text)
    except StoredValueError as error:
        raise click.BadParameter(str(error)) from error


@logs.command("list")
@click.option(
    "--level",
    "levels",
    multiple=True,
    metavar="WORD",
    help="trace, debug, info, warn, error or fatal, or another server's word; repeatable.",
)
@app_option("Lines of this app.")
@click.option("--source", metavar="WORD", help="Lines of this source.")
@click.option("--since", callback=_time, metavar="TIME", help="From this time on, or day, in UTC.")
@click.option("--until", callback=_time, metavar="TIME", help="Before this time, or day, in UTC.")
@click.option("--text", metavar="TEXT", help="Lines whose message holds this text.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="How many lines."
)
@click.option(
    "--after", callback=_key, metavar="KEY", help="The page after the one that ended here."
)
@global_options
@click.pass_obj
def list_(
    invocation: Invocation,
    /,
    limit: int,
    after: service.PageKey | None,
    **filters: Any,  # noqa: ANN401 - the options above
) -> None:
    """List lines of the server's log, the newest first."""
    filter_ = service.LogFilter(**filters)
    with global_session(invocation, "reading the log", read_only=True) as session:
        found = service.list_(session, filter_, limit=limit, after=after)
    following = str(found[-1].key) if len(found) == limit else None
    if invocation.json:
        entries = [_document(entry) for entry in found]
        print_json({"ok": True, "logs": entries, "next": following})
        return
    columns = ("time", "level", "app", "source", "message")
    print_table(columns, [_line(entry) for entry in found])
    print_totals("line", None, len(found))
    if following is not None:
        warn(f"More: --after {following}")


@logs.command
@click.option(
    "--days",
    type=click.IntRange(min=0),
    default=service.RETENTION_DAYS,
    envvar="LOG_RETENTION_DAYS",
    show_default=True,
    show_envvar=True,
    help="Keep the lines of so many days; 0 keeps all.",
)
@click.option("--dry-run", is_flag=True, help="Say how many lines would be deleted.")
@global_options
@click.pass_obj
def purge(invocation: Invocation, days: int, *, dry_run: bool) -> None:
    """Delete lines of the server's log that are older than it is to be kept."""
    now = utc_now()
    with opened_databases(invocation, "deleting old lines of the log") as databases:
        if dry_run:
            with databases.global_session(read_only=True) as session:
                count = service.count_expired(session, days, now=now)
        else:
            count = service.purge(databases, days, now=now)
    before = shown_time(service.expiry(days, now=now))
    if invocation.json:
        kept = {"days": days, "before": before, "dry_run": dry_run}
        print_json({"ok": True, **kept, "deleted": count})
    else:
        what = "would delete" if dry_run else "deleted"
        reason = f"from before {before}" if before else "since all are kept"
        echo(f"{what} {count} lines, {reason}")


def _document(entry: service.LogEntry) -> dict[str, object]:
    return {
        "id": entry.id,
        "ts": shown_time(entry.ts, "milliseconds"),
        "level": entry.level,
        "source": entry.source,
        "app": entry.app,
        "message": entry.message,
        "meta": entry.meta,
    }


def _line(entry: service.LogEntry) -> tuple[object, ...]:
    return shown_time(entry.ts), entry.level, entry.app, entry.source, entry.message
