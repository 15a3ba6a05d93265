"""Options that the commands of `streamhub-db backup` share, and how they print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streamhub_orm.archives import Places
from streamhub_orm.archives.places import ALL, LOCAL, PLACES
from streamhub_orm.cli.output import echo, print_json, progress_bar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from streamhub_orm.cli.options import Invocation
    from streamhub_orm.cli.output import Progress

local_dir_option = click.option(
    "--local-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder of the backups; else BACKUP_LOCAL_DIR, else backups/ in the installation.",
)
from_option = click.option(
    "--from",
    "place",
    type=click.Choice(PLACES),
    default=LOCAL,
    show_default=True,
    help="Where the backup lies; s3 is the bucket of BACKUP_S3_BUCKET.",
)
place_option = click.option(
    "--place",
    type=click.Choice([*PLACES, ALL]),
    default=ALL,
    show_default=True,
    help="Which backups; s3 are those in the bucket of BACKUP_S3_BUCKET.",
)
identity_option = click.option(
    "--identity",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The identity that opens an encrypted backup; else BACKUP_AGE_IDENTITY.",
)


def find_places(
    invocation: Invocation,
    local_dir: Path | None = None,
    *,
    identity: Path | None = None,
    recipients: Sequence[str] = (),
) -> Places:
    """Complete what the options say by the environment."""
    return Places.find(
        invocation.data_dir,
        invocation.root,
        local_dir,
        recipients=recipients,
        identity=None if identity is None else identity.absolute(),
    )


def progress_of(invocation: Invocation) -> AbstractContextManager[Progress]:
    """Show progress on a terminal, unless the command is to be quiet."""
    return progress_bar(shown=invocation.verbosity >= 0 and not invocation.json)


def print_outcome(
    invocation: Invocation, document: dict[str, Any], lines: list[str], errors: list[str]
) -> None:
    """Print the document with --json, else the lines unless it is to be quiet; then the errors."""
    if invocation.json:
        print_json(document)
    elif invocation.verbosity >= 0:
        for line in lines:
            echo(line)
    print_errors(errors)


def print_errors(errors: list[str]) -> None:
    """Print errors on stderr."""
    for error in errors:
        echo(f"Error: {error}", err=True)
