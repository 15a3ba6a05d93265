"""`streamhub-db packaging`: the files with which the system runs the maintenance."""

from __future__ import annotations

import os
import pwd
import re
import sys
import sysconfig
from grp import getgrgid
from pathlib import Path
from typing import Final

import click

from streamhub_orm.archives.encryption import parse_recipients
from streamhub_orm.cli.completion import SHELLS, completion_script
from streamhub_orm.cli.options import Invocation, global_options
from streamhub_orm.cli.output import echo, print_json, warn
from streamhub_orm.data_dir import GLOBAL_DB_NAME
from streamhub_orm.maintenance.packaging import (
    Services,
    blind_spots,
    differences,
    write_packaging,
)
from streamhub_orm.owner import User, find_owner

_USER: Final = "streamhub"
_PROGRAM: Final = "streamhub-db"
_PLAIN: Final = re.compile(r"/[\w./@+:-]*", re.ASCII)
"""A path that a unit file takes as it is: no space, quote, `%` or `$`."""
_URL: Final = re.compile(r"https?://[^\s\"'\\]+", re.ASCII)
_KEY: Final = re.compile(r"[^\x00-\x1f\x7f,\"'\\]+")
_NAME: Final = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


@click.command
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@click.option(
    "--backup-dir",
    type=click.Path(path_type=Path),
    default=Path("/var/backups/streamhub"),
    show_default=True,
    metavar="DIR",
    help="The folder of the backups.",
)
@click.option(
    "--user",
    metavar="NAME",
    help="Who runs the services; default: the owner of the installation, else streamhub.",
)
@click.option(
    "--recipient",
    "recipients",
    multiple=True,
    metavar="KEY",
    help="Encrypt backups for this public key of age or SSH; repeatable.",
)
@click.option(
    "--alarm-url",
    metavar="URL",
    help="Gets a POST when a backup fails, is missing or is damaged.",
)
@click.option(
    "--program",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The streamhub-db that the services run; default: this one.",
)
@global_options
@click.pass_obj
def packaging(  # noqa: PLR0913, PLR0917 - one parameter for each option
    invocation: Invocation,
    folder: Path,
    backup_dir: Path,
    user: str | None,
    recipients: tuple[str, ...],
    alarm_url: str | None,
    program: Path | None,
) -> None:
    """Write units, sysusers.d, tmpfiles.d, man pages and completions below DIR, which may be /.

    The installation has to be named. What lies in etc/streamhub is written once and kept
    afterwards; everything else is replaced.
    """
    named = invocation.data_dir or os.environ.get("DATA_DIR")
    if named is None:
        raise click.UsageError("name the installation by --data-dir or DATA_DIR")  # noqa: TRY003, EM101
    _require_keys(recipients)
    services = Services(
        _plain(program or _this_program(), "--program"),
        _plain(Path(named), "--data-dir"),
        _plain(backup_dir, "--backup-dir"),
        *_find_user(Path(named), user),
        recipients,
        _url(alarm_url),
    )
    whole = click.get_current_context().find_root().command
    completions = {shell: completion_script(whole, _PROGRAM, shell) for shell in SHELLS}
    done = write_packaging(folder.absolute(), services, whole, completions)
    blind = blind_spots(services, Path(sys.executable)) if program is None else []
    warnings = [f"{it}: install it into /opt, or name another by --program" for it in blind]
    config = folder.absolute() / "etc/streamhub/backup.env"
    if not done[config]:
        warnings += [
            f"{config} is kept, and its {name} is not the one given here: edit it"
            for name in differences(config, services)
        ]
    if invocation.json:
        items = [{"path": str(path), "written": written} for path, written in done.items()]
        print_json(
            {"ok": True, "program": str(services.program), "items": items, "warnings": warnings}
        )
    else:
        pages = [path for path in done if path.suffix == ".1"]
        for path in (each for each in done if each not in pages):
            echo(f"{'wrote' if done[path] else 'kept, it is yours:'} {path}")
        echo(f"wrote {len(pages)} man pages into {pages[0].parent}")
    for warning in warnings:
        warn(f"warning: {warning}")


def _this_program() -> Path:
    started = Path(sys.argv[0])
    if started.name == _PROGRAM and started.is_file():
        return started.resolve()
    return Path(sysconfig.get_path("scripts")) / _PROGRAM


def _plain(path: Path, option: str) -> Path:
    path = path.absolute()
    if _PLAIN.fullmatch(str(path)) is None:
        message = f"{path} holds a character that a unit file reads otherwise; take a plain name"
        raise click.BadParameter(message, param_hint=option)
    return path


def _require_keys(recipients: tuple[str, ...]) -> None:
    parse_recipients(recipients)
    # The comment of an SSH key may hold anything, and here it becomes part of a line.
    if any(_KEY.fullmatch(each) is None for each in recipients):
        message = "the comment of this key holds what a line of backup.env cannot; leave it out"
        raise click.BadParameter(message, param_hint="--recipient")


def _url(text: str | None) -> str | None:
    if text is not None and _URL.fullmatch(text) is None:
        raise click.BadParameter("this is no URL", param_hint="--alarm-url")  # noqa: TRY003, EM101
    return text


def _find_user(data_dir: Path, user: str | None) -> tuple[str, str]:
    """Return the user of the services and his group."""
    user = user or _owner_of(data_dir)
    if _NAME.fullmatch(user) is None:
        message = f"{user!r} is no name of a user that systemd takes; name another"
        raise click.BadParameter(message, param_hint="--user")
    try:
        return user, getgrgid(pwd.getpwnam(user).pw_gid).gr_name
    except KeyError:
        return user, user  # as systemd-sysusers makes them


def _owner_of(data_dir: Path) -> str:
    owner = find_owner(data_dir)
    if owner is None and any(
        os.path.lexists(data_dir / each / GLOBAL_DB_NAME) for each in ("data", ".")
    ):
        owner = User.present()
    return _USER if owner is None else str(owner).partition(":")[0]
