"""Options that the commands of `streamhub-db backup` share, and how they print."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import click

from streamhub_orm.archives import Places
from streamhub_orm.archives.places import ALL, LOCAL, PLACES
from streamhub_orm.cli.output import echo, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamhub_orm.cli.options import Invocation

Command = TypeVar("Command", bound=Callable[..., Any])


class Where(TypedDict):
    """Options that say where archives lie, and what opens them; `find_places` takes them."""

    local_dir: Path | None
    identity: Path | None


local_dir_option = click.option(
    "--local-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder of the backups; else BACKUP_LOCAL_DIR, else backups/ in the installation.",
)
_from_option = click.option(
    "--from",
    "source",
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


def reading_options(command: Command) -> Command:
    """Add --from, --local-dir and --identity; what the last two say is `Where`."""
    for option in (identity_option, local_dir_option, _from_option):
        command = option(command)
    return command


def print_outcome(
    invocation: Invocation, document: dict[str, Any], lines: list[str], errors: list[str]
) -> None:
    """Print the document with --json, else the lines; then the errors."""
    if invocation.json:
        print_json(document)
    else:
        for line in lines:
            echo(line)
    print_errors(errors)


def print_errors(errors: list[str]) -> None:
    """Print errors on stderr."""
    for error in errors:
        echo(f"Error: {error}", err=True)
