"""Options that every command takes, before or after its name, and its early end."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from streamhub_orm.cli.output import echo, print_json
from streamhub_orm.cli.ownership import work_as_owner
from streamhub_orm.engine.ctrl_c import CtrlC
from streamhub_orm.errors.visible import visible
from streamhub_orm.server_url import URL_VARIABLE, ServerUrl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamhub_orm.errors import StreamHubError

Command = TypeVar("Command", bound=Callable[..., Any])


def _unanswered() -> CtrlC:
    return CtrlC(lambda _: None, lambda: None)


@dataclass
class Invocation:
    """One call of the command line: its global options, and its end where that comes early."""

    command: str = "streamhub-db"
    """The command as it is typed, with the words before it."""
    data_dir: Path | None = None
    json: bool = False
    verbosity: int = 0
    """Of -v and -q; below 0 nothing but errors is printed."""
    ctrl_c: CtrlC = field(default_factory=_unanswered)
    """The answer to Ctrl-C for as long as the command runs."""
    started: float = field(default_factory=time.monotonic)
    refused_document: Callable[[str], dict[str, Any]] | None = None
    """Makes the JSON document for a refusal, where the command has a form of its own."""

    @property
    def root(self) -> Path:
        """--data-dir, else DATA_DIR, else the current folder."""
        return self.data_dir or Path(os.environ.get("DATA_DIR") or ".")

    @property
    def installation(self) -> Path:
        """The same; for `backup`, BACKUP_DATA_DIR comes before DATA_DIR."""
        named = os.environ.get("BACKUP_DATA_DIR") if _is_about_archives() else None
        return self.data_dir or Path(named or self.root)

    def refuse(self, error: StreamHubError) -> None:
        """Say on stderr, and with --json as the one document on stdout, why nothing was done."""
        self.end_early(f"Error: {error}", str(error), error.details)

    def end_early(self, line: str, error: str, details: Mapping[str, Any] | None = None) -> None:
        """Print a line on stderr and, with --json, the one document, which holds the `error`."""
        echo(line, err=True)
        if self.json or "--json" in sys.argv:  # the options may not have been parsed to their end
            plain = {"ok": False, "error": error}
            document = self.refused_document(error) if self.refused_document else plain
            print_json({**document, **(details or {})})


def _is_about_archives() -> bool:
    return click.get_current_context().command_path.split()[1:2] == ["backup"]


def global_options(command: Command) -> Command:
    """Add the options of all commands; a command finds them in its `Invocation`."""

    @wraps(command)
    def with_settings(
        *args: object,
        data_dir: Path | None,
        global_url: str | None,
        as_json: bool,
        quiet: int,
        verbose: int,
        **rest: object,
    ) -> object:
        context = click.get_current_context()
        invocation = context.ensure_object(Invocation)
        invocation.command = context.command_path
        invocation.data_dir = data_dir or invocation.data_dir
        invocation.json = as_json or invocation.json
        invocation.verbosity += verbose - quiet
        if global_url is not None:
            ServerUrl.parse(global_url, "--global-url", is_argument=True)
            os.environ[URL_VARIABLE] = global_url  # for this process and its workers
        _configure_logging(invocation.verbosity)
        work_as_owner(invocation.installation)
        return command(*args, **rest)

    for option in reversed(_OPTIONS):
        with_settings = option(with_settings)
    return with_settings  # type: ignore[return-value]


_OPTIONS = (
    click.option(
        "--data-dir",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="The installation; else DATA_DIR, else the current folder.",
    ),
    click.option(
        "--global-url",
        metavar="URL",
        help="The server that holds the global database, postgresql+psycopg://USER@HOST/DATABASE; "
        f"else {URL_VARIABLE}.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document."),
    click.option("-q", "--quiet", count=True, help="Say less; no progress."),
    click.option("-v", "--verbose", count=True, help="Say more; -vv shows each revision."),
)


class Duration(click.ParamType[timedelta]):
    """A length of time: a whole number and m, h, d or w, as 26h."""

    name = "duration"
    _UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> timedelta:
        """Return it; fail as a usage error for anything else, and for more than 100 years."""
        if isinstance(value, timedelta):  # the default
            return value
        number, unit = value[:-1], self._UNITS.get(value[-1:])
        if unit and number.isascii() and number.isdigit() and len(number) < _MOST_DIGITS:
            length = timedelta(**{unit: int(number)})
            if timedelta() < length <= _LONGEST:
                return length
        return self.fail(f"found {value!r}; expected a number and m, h, d or w, as 26h", param, ctx)


_LONGEST: Final = timedelta(days=36_525)
_MOST_DIGITS: Final = 9

lock_timeout_option = click.option(
    "--lock-timeout",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Wait so long for a run that changes the databases to end; default: do not wait.",
)
"""Option of the commands that take the installation's lock and may wait for it."""


class _VisibleFormatter(logging.Formatter):
    """One line for each record, whatever names it carries."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line; a traceback that follows it has lines of its own."""
        return visible(super().formatMessage(record))


def _configure_logging(verbosity: int) -> None:
    if verbosity > 0:
        level = logging.DEBUG if verbosity > 1 else logging.INFO
        handler = logging.StreamHandler()
        handler.setFormatter(_VisibleFormatter("%(levelname)s %(name)s: %(message)s"))
        logging.basicConfig(handlers=[handler])
        # Not Alembic's: it logs the revisions of our databases in memory too, and names no file.
        logging.getLogger("streamhub_orm").setLevel(level)
