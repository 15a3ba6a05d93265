"""The options by which a command is told which databases it is for."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from streamhub_orm.maintenance.selection import Selection

Command = TypeVar("Command", bound=Callable[..., Any])


def selection_options(command: Command) -> Command:
    """Add --global, --app and --all; the command gets what they say as `selection`."""

    @wraps(command)
    def with_selection(
        *args: object, only_global: bool, apps: tuple[str, ...], everything: bool, **rest: object
    ) -> object:
        if everything and (only_global or apps):
            raise click.UsageError("--all goes without --global and --app")  # noqa: TRY003, EM101
        chosen = only_global or apps
        selection = Selection(with_global=only_global, apps=apps) if chosen else Selection()
        return command(*args, selection=selection, **rest)

    for option in reversed(_OPTIONS):
        with_selection = option(with_selection)
    return with_selection  # type: ignore[return-value]


_OPTIONS = (
    click.option("--global", "only_global", is_flag=True, help="The global database."),
    click.option("--app", "apps", multiple=True, metavar="NAME", help="This app; repeatable."),
    click.option("--all", "everything", is_flag=True, help="All databases, as without a choice."),
)
