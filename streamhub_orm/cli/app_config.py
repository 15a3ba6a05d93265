"""`streamhub-db apps config`: the config.yaml of an app, shown, changed and brought back."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streamhub_orm.cli.completion import AppName
from streamhub_orm.cli.options import Invocation, global_options
from streamhub_orm.cli.output import echo, print_json, warn
from streamhub_orm.cli.sessions import opened_databases
from streamhub_orm.cli.tables import print_table
from streamhub_orm.errors import ConfigFileError, DatabaseFileError, UnfinishedError
from streamhub_orm.owner import as_operator
from streamhub_orm.services import app_settings as service
from streamhub_orm.settings import PRESETS, load_app_config
from streamhub_orm.settings.app_config import parse_value, read_bytes
from streamhub_orm.settings.config_edits import warnings_of
from streamhub_orm.settings.core_settings import merged, without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.orm import Session

    from streamhub_orm.data_dir import DataDir
    from streamhub_orm.settings import Edited


@click.group
@global_options
def config() -> None:
    """Show and change the config.yaml of an app. The server reads it anew each time."""


@config.command
@click.argument("name", type=AppName())
@global_options
@click.pass_obj
def show(invocation: Invocation, name: str) -> None:
    """Show what the server reads in the config.yaml of the app NAME, secrets hidden."""
    with _session(invocation, "reading settings", read_only=True) as (session, place):
        path = place.app_config(name)
        exists = path.exists()
        found = {
            "path": str(path),
            "exists": exists,
            "settings": without_secrets(service.read(session, place, name)),
            "warnings": list(warnings_of(load_app_config(path))) if exists else [],
            "backups": service.list_backups(session, place, name),
        }
    if invocation.json:
        print_json({"ok": True, "app": name, **found})
        return
    if not exists:
        warn(f"warning: there is no {path}: `streamhub-db apps config set {name}` makes it")
    print_table(("key", "value"), list(_rows(found["settings"])))
    _say(found["warnings"], [f"kept: {it}" for it in found["backups"]])


@config.command("set")
@click.argument("name", type=AppName())
@click.argument("changes", nargs=-1, metavar="[KEY=VALUE]…")
@global_options
@click.pass_obj
def set_(invocation: Invocation, name: str, changes: tuple[str, ...]) -> None:
    """Change keys of the app NAME, such as `recording.layout=speaker`.

    A VALUE is read as YAML. All other keys stay, and so do comments; the file before is kept. A
    file that is missing is made, with the core's defaults.
    """
    wanted: dict[str, Any] = {}
    for change in changes:
        wanted = merged(wanted, _parsed(change))
    _edit(invocation, name, service.change, wanted)


@config.command
@click.argument("name", type=AppName())
@click.argument("preset_name", type=click.Choice(list(PRESETS)), metavar="PRESET")
@global_options
@click.pass_obj
def preset(invocation: Invocation, name: str, preset_name: str) -> None:
    """Change the app NAME to a PRESET: low-latency, high-quality-recording, mass-audience-HLS."""
    _edit(invocation, name, service.apply_preset, preset_name)


@config.command
@click.argument("name", type=AppName())
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@global_options
@click.pass_obj
def write(invocation: Invocation, name: str, file: Path) -> None:
    """Make FILE (`-` is standard input), to the byte, the config.yaml of the app NAME."""
    _edit(invocation, name, service.write, _content_of(file))


@config.command
@click.argument("name", type=AppName())
@click.argument("backup")
@global_options
@click.pass_obj
def revert(invocation: Invocation, name: str, backup: str) -> None:
    """Write a kept config.yaml of the app NAME back: BACKUP is a name that `show` lists."""
    _edit(invocation, name, service.revert, backup)


@contextmanager
def _session(
    invocation: Invocation, doing: str, *, read_only: bool = False
) -> Iterator[tuple[Session, DataDir]]:
    with (
        opened_databases(invocation, doing) as databases,
        databases.global_session(read_only=read_only) as session,
    ):
        yield session, databases.place


def _edit(invocation: Invocation, name: str, edit: Callable[..., Edited], given: object) -> None:
    edited = None
    try:
        with _session(invocation, "changing settings") as (session, place):
            edited = edit(session, place, name, given)
    except DatabaseFileError as error:
        if edited is None or not edited.changed:
            raise
        done = f"The config.yaml of {name} is changed, its row in the registry may not be."
        todo = f"Run `streamhub-db apps config set {name}`: it brings the row up to the file."
        raise UnfinishedError(error.path, error, done, todo) from error
    _print(invocation, name, edited)


def _content_of(file: Path) -> bytes:
    """Read what the operator named; where the installation's owner can change it, as that owner."""
    if str(file) == "-":
        return sys.stdin.buffer.read()
    with as_operator(file):
        content = read_bytes(file)
    if content is None:
        todo = "Name another file; nothing was changed."
        raise ConfigFileError(file, "no such file", "a text of settings", todo=todo)
    return content


def _parsed(change: str) -> dict[str, Any]:
    """Return the changes that one `KEY=VALUE` says; the key's dots lead into mappings."""
    key, sign, text = change.partition("=")
    names = key.split(".")
    if not sign or not all(names):
        message = f"expected KEY=VALUE, such as recording.layout=speaker; found {key!r}"
        raise click.UsageError(message)
    try:
        value = parse_value(text)
    except ValueError as error:
        message = f"{key}: {error}"
        raise click.UsageError(message) from None
    for name in reversed(names):
        value = {name: value}
    assert isinstance(value, dict)  # noqa: S101 - there is at least one name
    return value


def _rows(settings: dict[Any, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _rows(value, f"{prefix}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, default=str)
            yield f"{prefix}{key}", text


def _print(invocation: Invocation, name: str, edited: Edited) -> None:
    backup = None if edited.backup is None else str(edited.backup)
    if invocation.json:
        document = {"ok": True, "app": name, "changed": edited.changed, "backup": backup}
        print_json({**document, "warnings": list(edited.warnings)})
    else:
        echo(f"changed the settings of {name}" if edited.changed else "Nothing to do.")
        if backup is not None:
            echo(f"the file before is kept: {backup}")
        _say(list(edited.warnings), [])


def _say(warnings: list[str], lines: list[str]) -> None:
    for warning in warnings:
        warn(f"warning: {warning}")
    for line in lines:
        echo(line)
