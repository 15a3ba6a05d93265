"""Alembic environment, which both env.py delegate to: the files a command means, each run apart.

Only `upgrade` adopts and imports; the commands that only read open their files read-only, so they
cannot write an unadopted one.
"""

from __future__ import annotations

import logging
import sys
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from alembic import context, util

from streamhub_orm.engine.connections import open_read_only, translated
from streamhub_orm.engine.engines import READ_ONLY, raw_connection
from streamhub_orm.errors import StreamHubError, UnforeseenError
from streamhub_orm.errors.visible import visible
from streamhub_orm.fleet import walk
from streamhub_orm.migrations.adoption import require_world
from streamhub_orm.migrations.app_file import upgrade_app_file
from streamhub_orm.migrations.authoring import (
    comparison_options,
    expecting_unreflectable_indices,
)
from streamhub_orm.migrations.downgrading import change_adopted
from streamhub_orm.migrations.global_file import upgrade_global_file
from streamhub_orm.migrations.handed import change_handed
from streamhub_orm.migrations.revisions import (
    Route,
    connect_over,
    database_in_memory,
    keep_user_version,
    last_of,
)
from streamhub_orm.migrations.states import State, missing, read_state
from streamhub_orm.migrations.targets import find_server, find_targets, read_options
from streamhub_orm.migrations.worlds import APP, GLOBAL, START_FILE, World
from streamhub_orm.schema.types import POSTGRESQL

if TYPE_CHECKING:
    from streamhub_orm.migrations.targets import Target
    from streamhub_orm.migrations.upgrading import Upgraded
    from streamhub_orm.server_url import ServerUrl

_log: Final = logging.getLogger(__name__)
_DONE: Final = {"upgrade": "upgraded", "downgrade": "downgraded", "stamp": "stamped"}
"""The commands that write a database, and what is said of it afterwards."""
_OFFLINE_HEADER: Final = """\
-- The plain history. Adoption of files that the Node core made, the import of legacy rows and
-- backups do not happen here: they are part of `alembic upgrade` without --sql."""


def run_environment(name: str) -> None:
    """Run the Alembic command that is under way on the files it means; for env.py alone."""
    world = {"global": GLOBAL, "app": APP}[name]
    command = _command()
    handed = context.config.attributes.get("connection")
    if command == "merge":
        message = (
            "the history is linear, so nothing is merged: give the later revision the next number, "
            "and the earlier one as its down_revision"
        )
        raise util.CommandError(message)
    try:
        read_options(world)
        server = find_server(world)
        if context.is_offline_mode():
            _print_sql(world, server)
        elif server is not None and handed is None:
            _run_on_server(server, command, world)
        elif handed is not None:
            _run_on_handed(handed, command, world)
        elif command == "revision":
            _compare_head(world)
        else:
            _run_on_files(command, world)
    except StreamHubError as error:
        raise util.CommandError(str(error)) from error


def _command() -> str:
    """Return the name of Alembic's command, whose inner function runs its steps."""
    context.configure(dialect_name="sqlite")
    outer, _, _ = context.get_context().opts["fn"].__qualname__.partition(".<locals>")
    return str(outer).rpartition(".")[2]


def _print_sql(world: World, server: ServerUrl | None) -> None:
    if server is not None:
        message = (
            "--sql prints the plain history of files; what a server begins with stands in "
            f"alembic/{START_FILE}"
        )
        raise util.CommandError(message)
    context.configure(
        dialect_name="sqlite",
        literal_binds=True,
        transactional_ddl=True,
        on_version_apply=keep_user_version(world),
    )
    context.get_context().impl.static_output(_OFFLINE_HEADER)
    with context.begin_transaction():
        context.run_migrations()


def _run_on_handed(handed: sa.Connection | sa.Engine, command: str, world: World) -> None:
    """Run the command over a connection that the program hands over, or one of its engine."""
    with nullcontext(handed) if isinstance(handed, sa.Connection) else handed.connect() as opened:
        if command not in _DONE:
            _compare(opened, world)
            return
        drop_rows = command == "stamp" or _drops_rows(world)
        path: Path | str
        if opened.dialect.name == POSTGRESQL and world is GLOBAL:
            from streamhub_orm.migrations import server  # noqa: PLC0415 - an extra

            path, done = server.change_handed_server(
                opened, _route(world), command, drop_rows=drop_rows
            )
        else:
            path, done = change_handed(opened, world, _route(world), command, drop_rows=drop_rows)
        _tell(command, path, done)


def _run_on_server(server: ServerUrl, command: str, world: World) -> None:
    """Run the command on a control plane, in one transaction."""
    from streamhub_orm.migrations import server as control_plane  # noqa: PLC0415 - an extra
    from streamhub_orm.postgresql.engine import ServerEngine  # noqa: PLC0415 - an extra

    with closing(ServerEngine(server)) as engine:
        if command in _DONE:
            done = control_plane.change_server(
                engine, _route(world), command, drop_rows=_drops_rows(world)
            )
            _tell(command, engine.server, done)
            return
        found = control_plane.require_server(engine)
        with engine.connect(read_only=True) as connection, connection.begin():
            if command == "check" and found.state is not State.CURRENT:
                message = f"{server}: Target database is not up to date: at {found.revision}"
                raise util.CommandError(message)
            if command in {"check", "revision"}:
                _compare(connection, world)
            else:
                _run_steps(connection, world, dont_mutate=True)


def _compare(connection: sa.Connection, world: World) -> None:
    """Run a command that reads, with the models at hand for those that compare."""
    with (
        nullcontext() if connection.in_transaction() else connection.begin(),
        expecting_unreflectable_indices(world),
    ):
        _run_steps(connection, world, **comparison_options(world, connection.dialect.name))


def _compare_head(world: World) -> None:
    """Run a command that compares on what the history builds: no file in the field is as plain."""
    with database_in_memory(world) as connection:
        _compare(connection, world)


def _route(world: World) -> Route:
    return Route(_destination, lambda connection: _run_steps(connection, world))


def _run_steps(connection: sa.Connection, world: World, **options: Any) -> None:  # noqa: ANN401 - those of configure()
    context.configure(
        connection=connection,
        transactional_ddl=True,
        on_version_apply=keep_user_version(world),
        **options,
    )
    context.run_migrations()


def _run_on_files(command: str, world: World) -> None:
    """Run the command on each file; one that fails does not stop the rest.

    A fault in a revision's own code is raised as it is, so that its author sees where it came from.
    """
    route = _route(world)
    targets = find_targets(world)
    outcomes = walk(targets, lambda name: _run_on_file(command, targets[name](), world, route))
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    failures = [str(_unwrapped(error)) for error in errors]
    for error in map(_unwrapped, errors):
        if not isinstance(error, StreamHubError | util.CommandError):
            _log.error("%s", "\n".join(failures))
            raise error
    if failures:
        raise util.CommandError("\n".join(failures))
    if command == "check":
        _compare_head(world)


def _unwrapped(error: StreamHubError) -> BaseException:
    return error.__cause__ or error if isinstance(error, UnforeseenError) else error


def _run_on_file(command: str, target: Target, world: World, route: Route) -> None:
    if command not in _DONE:
        _read(target, world, command)
        return
    if command != "upgrade":
        drop_rows = command != "downgrade" or _drops_rows(world)
        done = change_adopted(target.path, world, route, command, drop_rows=drop_rows)
    elif world is APP:
        done = upgrade_app_file(target.path, target.files, route=route)
    else:
        done = upgrade_global_file(target.path, route=route)
    _tell(command, target.path, done)


def _tell(command: str, path: Path | str, done: Upgraded) -> None:
    """Say what was done to a file: on stderr for Alembic's own command, else in the log."""
    if done.from_revision == done.to_revision and not done.changed:
        line = f"{path}: at {done.to_revision or 'base'}, nothing to do"
    else:
        backup = f"backup {done.backup}" if done.backup else _no_backup(path)
        start, end = done.from_revision or "no revision", done.to_revision or "base"
        imported = done.account.imported.total
        rows = f", {imported} legacy rows imported" if imported else ""
        line = f"{path}: {_DONE[command]} from {start} to {end}{rows}; {backup}"
    options = context.config.cmd_opts
    if options is not None and not getattr(options, "quiet", False):
        print(visible(line), file=sys.stderr)  # noqa: T201 - Alembic writes on stdout only
    else:
        _log.info("%s", visible(line))


def _no_backup(path: Path | str) -> str:
    is_file = isinstance(path, Path)
    return f"no backup, as {'it held nothing before' if is_file else 'a server has its own means'}"


def _drops_rows(world: World) -> bool:
    return read_options(world).get("drop-rows") == ["yes"]


def _destination(revision: str | None) -> str | None:
    """Return where the command's steps lead a file that stands at `revision`."""
    opened = context.get_context()
    return last_of(opened.opts["fn"]((revision,) if revision else (), opened), revision)


def _read(target: Target, world: World, command: str) -> None:
    """Run a command that only reads; for `check`, find out whether the file is at head."""
    path = target.path
    if not path.exists():
        raise missing(path)
    if target.files is not None and command != "check":
        context.config.print_stdout("%s:", target.files.app)
    with translated(path, "reading"), connect_over(open_read_only(path)) as connection:
        found = read_state(raw_connection(connection), world, path)
        if found.state is State.UNADOPTED:
            require_world(raw_connection(connection), world, path)
        if command != "check":
            connection.info[READ_ONLY] = True
            with connection.begin():
                _run_steps(connection, world, dont_mutate=True)
        elif found.state is not State.CURRENT:
            stands = found.revision or "no revision"
            message = (
                f"{path}: Target database is not up to date: at {stands}, head is {world.head}"
            )
            raise util.CommandError(message)
