"""Dump of a control plane by the server's own program, of the same moment as our copy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

from psycopg.pq import Conninfo

from streamhub_orm.errors import ControlPlaneFaultError

if TYPE_CHECKING:
    from pathlib import Path

    from streamhub_orm.promotion.copying import Server

_PROGRAM: Final = "pg_dump"
_VERSION: Final = re.compile(r"(\d+)(?:\.\d+)*")
_WITHOUT: Final = "Or leave --pg-dump out: the archive holds all rows of ours in any case."


def dump_in_snapshot(server: Server, name: str, target: Path) -> None:
    """Write a dump of the whole database, in pg_dump's own format, as the open transaction sees it.

    The password goes into the program's environment alone. Raises `ControlPlaneFaultError` where
    there is no such program, an older one than the server, or it fails; then no file is left.
    """
    program = _require_program(server, name)
    row = server.execute("SELECT pg_export_snapshot()").fetchone()
    assert row is not None  # noqa: S101 - one row in any case
    options = ("--format=custom", "--no-password", f"--snapshot={row[0]}", f"--file={target}")
    done = subprocess.run(  # noqa: S603 - the server's own program
        [program, *options],
        env=_environment(server),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        target.unlink(missing_ok=True)
        said = [line for line in done.stderr.splitlines() if "error:" in line]
        reason = said[0].partition("error: ")[2] if said else f"exit status {done.returncode}"
        todo = f"Grant this user what it reads, or run as the owner of the database. {_WITHOUT}"
        raise ControlPlaneFaultError(name, f"{_PROGRAM} to fail: {reason}", "a whole dump", todo)


def _require_program(server: Server, name: str) -> str:
    """Return the path of a program that is not older than the server."""
    major = server.info.server_version // 10_000
    expected = f"{_PROGRAM} of PostgreSQL {major} or later"
    todo = f"Install the server's client programs (postgresql-client-{major}). {_WITHOUT}"
    program = shutil.which(_PROGRAM)
    if program is None:
        raise ControlPlaneFaultError(name, f"no program {_PROGRAM}", expected, todo)
    told = subprocess.run(  # noqa: S603 - the server's own program
        [program, "--version"], capture_output=True, text=True, check=False
    ).stdout
    version = _VERSION.search(told)
    if version is None or int(version[1]) < major:
        found = f"{program} of {version[0] if version else 'no known release'}"
        raise ControlPlaneFaultError(name, found, expected, todo)
    return program


def _environment(server: Server) -> dict[str, str]:
    """Return an environment by which the program connects as this connection did."""
    info = server.info
    given = {
        **info.get_parameters(),
        "host": info.host,
        "port": str(info.port),
        "user": info.user,
        "dbname": info.dbname,
        "password": info.password,
    }
    variables = {
        option.keyword.decode(): option.envvar.decode()
        for option in Conninfo.get_defaults()
        if option.envvar
    }
    named = {variables[key]: value for key, value in given.items() if key in variables and value}
    return {**os.environ, **named}
