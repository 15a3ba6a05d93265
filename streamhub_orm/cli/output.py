"""Lines, JSON and progress bars: whatever they hold, none of it steers the terminal."""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

from streamhub_orm import __version__
from streamhub_orm.errors.visible import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streamhub_orm.cli.options import Invocation

    Progress = Callable[[str, int, int], None]


def is_quiet() -> bool:
    """Tell whether the command is to print nothing but errors (`-q`)."""
    context = click.get_current_context(silent=True)
    return context is not None and context.obj.verbosity < 0


def elapsed_seconds() -> float:
    """Return for how long the command has run."""
    return time.monotonic() - float(click.get_current_context().obj.started)


def echo(line: str = "", *, err: bool = False) -> None:
    """Print one line unless the command is quiet; with `err` on stderr, and always."""
    if err or not is_quiet():
        click.echo(visible(line), err=err)


def warn(line: str) -> None:
    """Print one line on stderr unless the command is quiet: nothing failed."""
    if not is_quiet():
        click.echo(visible(line), err=True)


def print_json(document: dict[str, Any]) -> None:
    """Print the one JSON document of a command, with the version and the seconds it took."""
    seconds = document.get("seconds", round(elapsed_seconds(), 3))
    document = {**document, "version": __version__, "seconds": seconds}
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


def require_consent(deed: str, *, yes: bool, dry_run: bool) -> None:
    """Raise click's usage error where a command that deletes was given neither option."""
    if not yes and not dry_run:
        message = f"This {deed}. Pass --dry-run to see what would go, --yes to do it."
        raise click.UsageError(message)


def warn_of_waits(waits: dict[str, float]) -> None:
    """Say on stderr for how long the writers of these databases will wait."""
    for name, seconds in waits.items():
        warn(f"{name}: its writers will wait for about {seconds:.0f} s")
    if waits:
        warn("Stop the server: a writer gives up after 5 s.")


_SHOWN_AFTER_SECONDS: Final = 0.5
"""A bar for what ends sooner would only flicker."""
_ROOM_FOR_A_BAR: Final = 60
"""Columns; where there are fewer, the numbers need them all."""
_REFRESHED_AFTER_SECONDS: Final = 0.1
"""To draw the bars takes as long as to look at an app."""


@contextmanager
def progress_bar(*, shown: bool) -> Iterator[Progress]:
    """Yield a progress callback: bars on a terminal's stderr, nothing elsewhere."""
    if not shown or is_quiet() or not sys.stderr.isatty():
        yield lambda *_: None
        return
    began = time.monotonic()
    with ExitStack() as stack:
        update: Progress | None = None

        def progress(phase: str, done: int, total: int) -> None:
            nonlocal update
            if update is None and time.monotonic() - began >= _SHOWN_AFTER_SECONDS:
                update = stack.enter_context(_bars())
            if update is not None and total:
                update(phase, done, total)

        yield progress


@contextmanager
def progress_of(invocation: Invocation, phase: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a callback for work that has one phase: how many are done, and of how many."""
    with progress_bar(shown=not invocation.json) as progress:
        yield partial(progress, phase)


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console  # noqa: PLC0415 - rich is slow to import
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        *([BarColumn(bar_width=None)] if console.width >= _ROOM_FOR_A_BAR else []),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(compact=True),
    )
    # No refresh thread of its own: workers are forked while the bar is shown.
    bars = Progress(*columns, console=console, auto_refresh=False, transient=True)
    tasks = {}
    drawn = 0.0
    with bars:

        def update(phase: str, done: int, total: int) -> None:
            nonlocal drawn
            if phase not in tasks:
                tasks[phase] = bars.add_task(visible(phase), total=total)
            due = done == total or time.monotonic() - drawn >= _REFRESHED_AFTER_SECONDS
            bars.update(tasks[phase], completed=done, total=total, refresh=due)
            drawn = time.monotonic() if due else drawn
            if done == total and " of " in phase:  # rows or indices of one app: others will follow
                bars.remove_task(tasks.pop(phase))

        yield update
