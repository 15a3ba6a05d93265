"""Tables: on a terminal as wide as it is, tab-separated lines elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click

from streamhub_orm.cli.output import is_quiet, text_of
from streamhub_orm.errors.visible import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

_GAP: Final = 2
_NAME_AND_VALUE: Final = 2
_NARROWEST_TEXT: Final = 16
"""Columns that a text in words may be folded to; a name or a path is never folded."""


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows as a table, or each as a record where the terminal is too narrow for a table."""
    if is_quiet():
        return
    texts = [["-" if cell is None else visible(text_of(cell)) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in [list(columns), *texts]:
            click.echo("\t".join(row))
        return
    from rich.cells import cell_len  # noqa: PLC0415 - rich is slow to import
    from rich.console import Console as Terminal  # noqa: PLC0415

    console = Terminal()
    down = list(zip(columns, *texts, strict=True))
    widths = [max(map(cell_len, column)) for column in down]
    gaps = _GAP * (len(columns) - 1)
    foldable = [False] * len(columns)
    if sum(widths) + gaps > console.width:
        foldable = [
            _is_prose(column[1:], width) for column, width in zip(down, widths, strict=True)
        ]
        narrowest = zip(widths, foldable, strict=True)
        widths = [_NARROWEST_TEXT if folds else width for width, folds in narrowest]
    if sum(widths) + gaps > console.width:
        _print_records(columns, texts)
    else:
        _print_grid(console, columns, texts, foldable)


def _is_prose(cells: Sequence[str], width: int) -> bool:
    """Tell whether a column holds texts in words, which are read and not copied."""
    wide = [cell for cell in cells if len(cell) > _NARROWEST_TEXT]
    return width > _NARROWEST_TEXT and all(" " in cell for cell in wide)


def _print_grid(
    console: Console, columns: Sequence[str], texts: list[list[str]], foldable: list[bool]
) -> None:
    from rich.markup import escape  # noqa: PLC0415 - rich is slow to import
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, folds in zip(columns, foldable, strict=True):
        table.add_column(column, overflow="fold", no_wrap=not folds)
    for row in texts:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)


def _print_records(columns: Sequence[str], texts: list[list[str]]) -> None:
    """Print each row as lines `column: value` with a blank line after it; nothing is folded.

    Of a table of names and values each row is one line.
    """
    for row in texts:
        if len(columns) == _NAME_AND_VALUE:
            click.echo(": ".join(row))
            continue
        for column, cell in zip(columns, row, strict=True):
            if cell not in {"", "-"}:
                click.echo(f"{column}: {cell}")
        click.echo()
