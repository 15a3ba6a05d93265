"""Man pages of click's commands: one for the program, each group and each command."""

from __future__ import annotations

import inspect
import re
import textwrap
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click
import jinja2

from streamhub_orm import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

_WIDTH: Final = 72
_ESCAPES: Final = {
    "\\": r"\(rs",
    "-": r"\-",
    "'": r"\(aq",
    '"': r"\(dq",
    "`": r"\(ga",
    "^": r"\(ha",
    "~": r"\(ti",
}


def man_pages(
    command: click.Command, name: str, parent: click.Context | None = None
) -> Iterator[tuple[str, str]]:
    """Yield the name of each page, as `streamhub-db-backup-create`, and its text for troff."""
    context = click.Context(command, info_name=name, parent=parent)
    children = {}
    if isinstance(command, click.Group):
        found = (
            (each, command.get_command(context, each)) for each in command.list_commands(context)
        )
        children = {each: child for each, child in found if child is not None and not child.hidden}
    title = context.command_path.replace(" ", "-")
    options = (it for it in command.get_params(context) if isinstance(it, click.Option))
    page = _PAGE.render(
        title=title,
        path=context.command_path,
        usage=" ".join(command.collect_usage_pieces(context)),
        summary=_summary(command),
        paragraphs=_paragraphs(command.help or ""),
        options=[it for it in (option.get_help_record(context) for option in options) if it],
        children=[(f"{title}-{each}", _summary(child)) for each, child in children.items()],
        parent=parent and parent.command_path.replace(" ", "-"),
        version=__version__,
        today=datetime.now(UTC).date(),
    )
    yield title, re.sub(r"\n{2,}", "\n", page)  # an empty line is a break to troff
    for each, child in children.items():
        yield from man_pages(child, each, context)


def _summary(command: click.Command) -> str:
    return _paragraphs(command.help or "")[0].rstrip(".")


def _paragraphs(text: str) -> list[str]:
    text = inspect.cleandoc(text).partition("\f")[0].replace("\b\n", "")
    return [" ".join(each.split()) for each in text.split("\n\n")]


def _troff(text: object) -> str:
    """Return a text in lines that troff prints as they are: no escape, no request, no ligature."""
    lines = textwrap.wrap(str(text), _WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join(map(_line, lines))


def _line(line: str) -> str:
    escaped = "".join(
        _ESCAPES.get(it) or (it if it.isascii() else f"\\[u{ord(it):04X}]") for it in line
    )
    return rf"\&{escaped}" if line.startswith(".") else escaped


_environment = jinja2.Environment(
    loader=jinja2.PackageLoader("streamhub_orm.maintenance.packaging", ""),
    autoescape=False,  # noqa: S701 - troff has escapes of its own
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters["troff"] = _troff
_PAGE: Final = _environment.get_template("page.1.j2")
