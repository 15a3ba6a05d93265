"""Root command, and the one place where errors become a message and an exit status."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from functools import partial
from keyword import iskeyword
from typing import Final

import click

from streamhub_orm import __version__
from streamhub_orm.cli.options import Invocation, global_options
from streamhub_orm.cli.output import echo, print_json
from streamhub_orm.cli.streams import lost_output, take_streams
from streamhub_orm.engine.ctrl_c import CtrlC
from streamhub_orm.errors import StreamHubError, UnforeseenError

_COMMANDS: Final = {  # and the module of each, in the order that --help shows
    "upgrade": "upgrade",
    "status": "installation",
    "check": "installation",
    "release": "release",
    "doctor": "doctor",
    "init": "installation",
    "apps": "apps",
    "demo": "installation",
    "backup": "backup",
    "copies": "copies",
    "rollback": "split",
    "downgrade": "revisions",
    "history": "revisions",
    "revision": "revisions",
    "tokens": "tokens",
    "tenants": "accounts",
    "users": "accounts",
    "nodes": "nodes",
    "logs": "logs",
    "health": "space",
    "optimize": "space",
    "sizes": "space",
    "purge": "apps",
    "split": "split",
    "global": "global_",
    "completion": "completion",
    "report": "space",
    "serve": "serve",
    "packaging": "packaging",
}


class _LazyGroup(click.Group):
    """Imports a command's module when it is called, so that --version answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"streamhub_orm.cli.{_COMMANDS[cmd_name]}")
        command = getattr(module, f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101 - the table above says so
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; for a name that is mistyped, click's error names those that are near."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            raise click.NoSuchCommand(args[0], possibilities=_COMMANDS, ctx=ctx) from error


_PROGRAM: Final = "streamhub-db"
"""Its name in every message; click would take it from how Python was started."""


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name=_PROGRAM)
@global_options
def cli() -> None:
    """Look after the databases of a StreamHub installation.

    Exit status: 0 done; 1 some databases failed, the others are done; 2 wrong usage; 3 refused
    before anything was touched.
    """


_STOPPED: Final = "Stopped by Ctrl-C."
_TAKEN_UP: Final = f"{_STOPPED} Run the same command again: it takes up what is left."
_READ_ONLY: Final = {
    *("status", "check", "doctor", "health", "sizes", "report", "history", "lint", "completion"),
    *("list", "show", "verify", "diff", "drill"),
    "streamhub-db",  # no command yet
}
"""Last words of the commands that leave nothing half done."""
_STOPPED_STATUS: Final = 128 + signal.SIGINT
_NAMED: Final = 5
"""Databases that are named, of those that are waited for."""


def main() -> None:
    """Run the command line; no traceback reaches an operator."""
    take_streams()
    invocation = Invocation()
    invocation.ctrl_c = CtrlC(_acknowledge, partial(_end_at_once, invocation))
    # With a context, since an error prints a document too.
    with click.Context(cli, info_name=_PROGRAM, obj=invocation), invocation.ctrl_c:
        status = _run(invocation)
    if reason := lost_output():
        echo(f"Error: the output could not be written: {reason}", err=True)
    sys.exit(status)


def _acknowledge(names: list[str]) -> None:
    """Say at the first Ctrl-C what the command waits for."""
    shown = ", ".join(names[:_NAMED]) or "the work at hand"
    echo(f"Ctrl-C: waiting for {shown} to be done. Press it again to stop at once.", err=True)


def _end_at_once(invocation: Invocation) -> None:
    """End the process, whatever its main thread is at."""
    with click.Context(cli, info_name=_PROGRAM, obj=invocation):
        _tell_stopped(invocation)
    os._exit(_STOPPED_STATUS)


def _tell_stopped(invocation: Invocation) -> None:
    words = _STOPPED if invocation.command.split()[-1] in _READ_ONLY else _TAKEN_UP
    invocation.end_early(words, words)


def _run(invocation: Invocation) -> int:
    status: object
    try:
        status = cli.main(prog_name=_PROGRAM, standalone_mode=False, obj=invocation)
    except click.exceptions.Exit as error:
        status = error.exit_code
    except click.ClickException as error:
        error.show()
        if "--json" in sys.argv:
            print_json({"ok": False, "error": error.format_message()})
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        invocation.ctrl_c.end_with_the_next()
        _tell_stopped(invocation)
        status = _STOPPED_STATUS
    except StreamHubError as error:
        invocation.refuse(error)
        status = error.exit_code
    except Exception as error:  # noqa: BLE001 - what nobody foresaw is told in the same form
        if invocation.verbosity > 1:
            for line in traceback.format_exc().splitlines():
                echo(line, err=True)
        invocation.refuse(UnforeseenError(f"{type(error).__name__}: {error}"))
        status = UnforeseenError.exit_code
    return status if isinstance(status, int) else 0
