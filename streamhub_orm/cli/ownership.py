"""The user that a command works as: root becomes the owner of the installation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from streamhub_orm.owner import become_owner

if TYPE_CHECKING:
    from pathlib import Path

_ELSEWHERE: Final = {"completion", "demo", "history", "packaging", "revision"}
"""Commands that open no installation."""
_WITH_OUTSIDE: Final = {"backup", "doctor", "report", "status"}
"""Commands that write or read what is the operator's own: archives, a page."""


def work_as_owner(root: Path) -> None:
    """Become the owner of an installation, where root runs a command on somebody else's."""
    context = click.get_current_context()
    command = context.command_path.split()[1:2]
    if isinstance(context.command, click.Group) or _ELSEWHERE.intersection(command):
        return
    become_owner(root, for_good=not _WITH_OUTSIDE.intersection(command))
