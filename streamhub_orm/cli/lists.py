"""Lists of databases and apps: which of them are shown, in what order, and the line that ends."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import click

from streamhub_orm.cli.output import echo, elapsed_seconds
from streamhub_orm.cli.tables import print_table
from streamhub_orm.readable import in_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")
Command = TypeVar("Command", bound=Callable[..., Any])

OK: Final = "ok"
WRONG: Final = "wrong"
_SHOWN_WHOLE: Final = 50
"""Longer lists are shortened on a terminal."""
_PLURALS: Final = {"copy": "copies"}
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Entry(Generic[T]):
    """One item of a list, and what it is chosen and ordered by."""

    item: T
    name: str
    state: str = OK
    """The word that `--only` takes, and that the totals count."""
    ok: bool = True
    """False where it makes the exit status 1; a list that is shortened still shows it."""
    size_bytes: int = 0
    made_at: datetime | None = None


@dataclass(frozen=True)
class Choice:
    """Choice that --all, --only, --sort and --limit make."""

    everything: bool = False
    only: tuple[str, ...] = ()
    sort: str | None = None
    limit: int | None = None

    def pick(self, entries: Sequence[Entry[T]]) -> list[Entry[T]]:
        """Return the entries that were asked for, for a table and for JSON."""
        wanted = {*self.only}
        kept = [it for it in entries if not wanted or wanted & {it.state, OK if it.ok else WRONG}]
        if self.sort is not None:
            kept.sort(key=_ORDERS[self.sort])
        return kept[: self.limit]

    def shorten(self, entries: list[Entry[T]], *, judged: bool) -> list[Entry[T]]:
        """Return those that a terminal shows: of many the wrong ones, or without that the first."""
        named = self.everything or self.only or self.limit is not None
        if named or len(entries) <= _SHOWN_WHOLE or not sys.stdout.isatty():
            return entries
        return [it for it in entries if not it.ok] if judged else entries[:_SHOWN_WHOLE]


ANY: Final = Choice()

_ORDERS: Final[dict[str, Callable[[Entry[Any]], Any]]] = {
    "name": lambda it: it.name,
    "size": lambda it: (-it.size_bytes, it.name),
    "age": lambda it: (it.made_at or _LONG_AGO, it.name),
}


def list_options(
    *states: str, sorts: Sequence[str] = ("name",), everything: bool = True
) -> Callable[[Command], Command]:
    """Add --all, --only, --sort and --limit; the command gets what they say as `choice`.

    Without `everything`, the command has an --all of its own.
    """

    def decorate(command: Command) -> Command:
        @wraps(command)
        def with_choice(
            *args: object,
            show_all: bool = False,
            only: tuple[str, ...] = (),
            sort: str | None,
            limit: int | None,
            **rest: object,
        ) -> object:
            everything = show_all or bool(rest.pop("everything", False))
            return command(*args, choice=Choice(everything, only, sort, limit), **rest)

        for option in reversed(options):
            with_choice = option(with_choice)
        return with_choice  # type: ignore[return-value]

    options = [
        click.option(
            "--sort", type=click.Choice(sorts), help="The order; the largest and the oldest first."
        ),
        click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N of them."),
    ]
    if states:
        names = list(map(str, states))
        only = click.option(
            "--only",
            multiple=True,
            type=click.Choice(names),
            metavar="STATE",
            help=f"Only those that are {', '.join(names[:-1])} or {names[-1]}; repeatable.",
        )
        options.insert(0, only)
    if everything:
        help_ = f"List all, also where a terminal shows more than {_SHOWN_WHOLE} in short."
        options.insert(0, click.option("--all", "show_all", is_flag=True, help=help_))
    return decorate


def print_list(  # noqa: PLR0913 - a list has these parts
    columns: Sequence[str],
    entries: Sequence[Entry[T]],
    row: Callable[[T], Sequence[object]],
    choice: Choice,
    *,
    noun: str,
    judged: bool = True,
    last: Sequence[Sequence[object]] = (),
    size_bytes: int | None = None,
) -> None:
    """Print a table of the entries that were asked for, with `last` rows, and the totals of all.

    On a terminal a long list is cut to what is wrong or, unless `judged`, to the first.
    """
    picked = choice.pick(entries)
    shown = choice.shorten(picked, judged=judged)
    if shown or last or not picked:
        print_table(columns, [*(row(it.item) for it in shown), *last])
    if hidden := len(picked) - len(shown):
        echo(f"--all lists the other {hidden:,}.")
    told = judged or not all(it.ok for it in entries)
    states = [it.state for it in entries] if told else None
    print_totals(noun, states, len(entries), size_bytes=size_bytes)


def print_totals(
    noun: str, states: Iterable[str] | None, count: int, *, size_bytes: int | None = None
) -> None:
    """Print the line that ends a list: how many, in what states, and the seconds it took."""
    found = Counter(states or ())
    ordered = sorted(found.items(), key=lambda it: (it[0] != OK, -it[1], it[0]))
    words = ", ".join(f"{number:,} {state}" for state, number in ordered)
    plural = noun if count == 1 else _PLURALS.get(noun, f"{noun}s")
    seconds = f"{elapsed_seconds():.1f} s"
    size = "" if size_bytes is None else f", {in_bytes(size_bytes)}"
    echo(f"{count:,} {plural}{size}{f': {words}' if words else ''}; {seconds}")
