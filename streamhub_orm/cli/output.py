"""Lines, JSON, tables and progress bars: whatever they hold, none of it steers the terminal."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from streamhub_orm.errors.visible import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Progress = Callable[[str, int, int], None]


def echo(line: str = "", *, err: bool = False) -> None:
    """Print one line, on stderr with `err`."""
    click.echo(visible(line), err=err)


def print_json(document: object) -> None:
    """Print the one JSON document of a command."""
    text = json.dumps(document, ensure_ascii=False, indent=2, default=text_of)
    line = text.replace("\n", "")  # a line break that stands in a value is written as \n
    if visible(line) != line or not _is_encodable(text):
        text = json.dumps(document, indent=2, default=text_of)  # by numbers, as \u202e
    click.echo(text.replace("\x7f", "\\u007f"))


def text_of(value: object) -> str:
    """Return a value as text; bytes that somebody stored where a text belongs as SQL has them."""
    return f"X'{value.hex().upper()}'" if isinstance(value, bytes) else str(value)


def _is_encodable(text: str) -> bool:
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows as a table on a terminal, as tab-separated lines elsewhere."""
    texts = [["-" if cell is None else visible(text_of(cell)) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in [list(columns), *texts]:
            click.echo("\t".join(row))
        return
    from rich.console import Console  # noqa: PLC0415 - rich is slow to import
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")  # the end of a path is what tells it apart
    for row in texts:
        table.add_row(*(escape(cell) for cell in row))
    Console().print(table)


def require_consent(deed: str, *, yes: bool, dry_run: bool) -> None:
    """Raise click's usage error where a command that deletes was given neither option."""
    if not yes and not dry_run:
        message = f"This {deed}. Pass --dry-run to see what would go, --yes to do it."
        raise click.UsageError(message)


def warn_of_waits(waits: dict[str, float]) -> None:
    """Say on stderr for how long the writers of these databases will wait."""
    for name, seconds in waits.items():
        click.echo(f"{name}: its writers will wait for about {seconds:.0f} s", err=True)
    if waits:
        click.echo("Stop the server: a writer gives up after 5 s.", err=True)


@contextmanager
def progress_bar(*, shown: bool) -> Iterator[Progress]:
    """Yield a progress callback: bars on a terminal's stderr, nothing elsewhere."""
    if not shown or not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console  # noqa: PLC0415 - rich is slow to import
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    # No refresh thread of its own: workers are forked while the bar is shown.
    bars = Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True)
    tasks = {}
    with bars:

        def progress(phase: str, done: int, total: int) -> None:
            if total and phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=total)
            if total:
                bars.update(tasks[phase], completed=done, total=total, refresh=True)
            if done == total and " of " in phase:  # rows or indices of one app: others will follow
                bars.remove_task(tasks.pop(phase))

        yield progress
