"""`streamhub-db global`: where the global database is, and its way to a server and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from streamhub_orm.cli.options import Invocation, global_options, lock_timeout_option
from streamhub_orm.cli.output import echo, print_json, progress_bar
from streamhub_orm.cli.tables import print_table
from streamhub_orm.server_url import URL_VARIABLE, ServerUrl

if TYPE_CHECKING:
    from streamhub_orm.promotion.copying import Copied
    from streamhub_orm.promotion.promote import Promotion

_REFUSED: Final = 3


@click.group("global")
@global_options
def global_() -> None:
    """Move the global database to a PostgreSQL server, for many nodes, and back."""


def _url(given: str | None) -> ServerUrl:
    """Return the URL of an argument, or that of the environment."""
    url = ServerUrl.load() if given is None else ServerUrl.parse(given, "URL", is_argument=True)
    if url is None:
        message = f"Name the server: postgresql+psycopg://HOST/DATABASE, or set {URL_VARIABLE}."
        raise click.UsageError(message)
    return url


@global_.command
@click.argument("url", required=False)
@click.option("--dry-run", is_flag=True, help="Say what would be moved and refused; touch nothing.")
@click.option("--undo", is_flag=True, help="Give the writes back to the file, after a killed run.")
@lock_timeout_option
@global_options
@click.pass_obj
def promote(
    invocation: Invocation, url: str | None, lock_timeout: float, *, dry_run: bool, undo: bool
) -> int:
    """Move the global database from its file to the server at URL.

    By default to the one of STREAMHUB_GLOBAL_URL. The file is backed up, stays, and takes no writes
    any more, whoever has it open. A killed run is finished by the same command.
    """
    from streamhub_orm.promotion.promote import (  # noqa: PLC0415 - help needs no extra
        promote as run_promote,
    )
    from streamhub_orm.promotion.promote import undo_promotion  # noqa: PLC0415

    server = _url(url)
    if undo:
        done = undo_promotion(invocation.root, server)
    else:
        with progress_bar(shown=not invocation.json) as progress:
            done = run_promote(
                invocation.root,
                server,
                dry_run=dry_run,
                lock_timeout_seconds=lock_timeout,
                progress=progress,
            )
    if invocation.json:
        print_json(done.to_json())
    elif undo:
        echo(f"{done.global_db} takes writes again" if done.changed else "Nothing to undo.")
    else:
        _print_promotion(done)
    for error in done.refusals:
        echo(f"Error: {error}", err=True)
    return 0 if done.ok else _REFUSED


def _print_promotion(done: Promotion) -> None:
    if not done.changed and not done.dry_run:
        echo(f"Nothing to do: the global database is at {done.server}.")
        return
    if done.tables:
        _print_tables(done.tables)
    for left in done.left:
        echo(f"stays in the file alone: {left.what}{_rows(left.rows)}")
    if done.backup is not None:
        echo(f"backup of the file: {done.backup}")
    if done.changed:
        echo(f"the global database is at {done.server}; set {URL_VARIABLE} for all programs")
    elif done.ok:
        echo(f"would move the global database to {done.server}")


def _rows(count: int) -> str:
    return f" ({count:,} rows)" if count else ""


def _print_tables(tables: list[Copied]) -> None:
    print_table(("table", "rows", "sha256"), [(it.table, it.rows, it.sha256) for it in tables])


@global_.command
@click.option(
    "--undo", is_flag=True, help="Give the writes back to the server, after a killed run."
)
@lock_timeout_option
@global_options
@click.pass_obj
def demote(invocation: Invocation, lock_timeout: float, *, undo: bool) -> None:
    """Move the global database from the server of STREAMHUB_GLOBAL_URL back into a file.

    The server takes no writes any more, and the file that was promoted is set aside. Stop whatever
    has it open. A killed run is finished by the same command.
    """
    from streamhub_orm.promotion.demote import demote as run_demote  # noqa: PLC0415 - as above
    from streamhub_orm.promotion.demote import undo_demotion  # noqa: PLC0415

    server = _url(None)
    if undo:
        done = undo_demotion(invocation.root, server)
    else:
        with progress_bar(shown=not invocation.json) as progress:
            done = run_demote(
                invocation.root, server, lock_timeout_seconds=lock_timeout, progress=progress
            )
    if invocation.json:
        print_json(done.to_json())
    elif undo:
        echo(f"{done.server} takes writes again" if done.changed else "Nothing to undo.")
    elif not done.changed:
        echo(f"Nothing to do: the global database is in {done.global_db}.")
    else:
        _print_tables(done.tables)
        if done.set_aside is not None:
            echo(f"the file until now is {done.set_aside}")
        echo(f"the global database is in {done.global_db}; unset {URL_VARIABLE} everywhere")


@global_.command
@global_options
@click.pass_obj
def status(invocation: Invocation) -> int:
    """Show where the global database is, and how far a promotion or demotion is.

    Exit status 1 where one is under way, or nobody can say where it is.
    """
    from streamhub_orm.promotion.status import read_global_status  # noqa: PLC0415 - as above

    found = read_global_status(invocation.root, ServerUrl.load())
    if invocation.json:
        print_json(found.to_json())
        return 0 if found.ok else 1
    columns = ("side", "name", "state", "revision", "move", "other side", "since")
    sides = [("file", found.file), *([("server", found.server)] if found.server else [])]
    rows = []
    for side, it in sides:
        mark = (None,) * 3 if it.mark is None else (it.mark.state, it.mark.other, it.mark.since)
        rows.append((side, it.name, it.state, it.revision, *mark))
    print_table(columns, rows)
    echo(f"the global database is {_WHERE[found.where]}")
    if found.under_way:
        echo(f"a {found.under_way} is under way")
    if found.todo:
        echo(found.todo)
    return 0 if found.ok else 1


_WHERE: Final = {
    "file": "in the file",
    "server": "on the server",
    None: "neither in this file nor on this server, as far as can be seen",
}
